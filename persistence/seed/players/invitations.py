"""What invitations bring: activations and their rewards, commission, viral events."""

from array import array
from collections import Counter

from hotpath.rules import BP
from persistence.seed.players.calendar import DAY_S
from persistence.seed.players.ledger import Grant
from persistence.seed.players.sheets import NULL
from persistence.seed.players.stage import Stage

ACTIVE_XP = 1_600  #: level 5
_ACTIVATION_DAYS = 7
_PAID_A_DAY = 20
_REWARD_MPT, _PREMIUM_MPT = 2_500_000, 5_000_000
_FIRST_BP, _SECOND_BP = 500, 100
_VIRAL_FROM, _VIRAL_TIERS = 100, 5
_VIRAL_S = 3_600
_COMMISSION_DAYS = 7


class Invitations:
    """Who came to life by whose invitation, and what that is worth.

    Args:
        stage: the game.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        size = stage.people.count + 1
        self._activated_s = array("q", b"\xff" * 8 * size)  # −1: not yet
        self._paid = bytearray(size)
        self._income_mpt = array("q", bytes(8 * size))  # credited tap income, all time
        self._ripe: list[int] = []  # reached level 5 today
        self._commission_mpt: Counter[int] = Counter()  # not granted yet, by who invited

    def earned(self, player: int, income_mpt: int) -> None:
        """A player's tap income was credited: the inviters get their share of it."""
        first = self._stage.people.inviter[player]
        if first:
            before_mpt, after_mpt = self._income_mpt[player], self._income_mpt[player] + income_mpt
            self._income_mpt[player] = after_mpt
            self._commission_mpt[first] += after_mpt * _FIRST_BP // BP - before_mpt * _FIRST_BP // BP
            if second := self._stage.people.inviter[first]:
                self._commission_mpt[second] += after_mpt * _SECOND_BP // BP - before_mpt * _SECOND_BP // BP

    def levelled(self, player: int, day: int) -> None:
        """A player has reached level 5."""
        if self._stage.people.inviter[player] and day - self._stage.people.joined_on(player) < _ACTIVATION_DAYS:
            self._ripe.append(player)

    def morning(self, day: int) -> list[int]:
        """Find what came to life the day before; returns whom it brings back."""
        ripe, self._ripe = sorted(self._ripe), []
        at_s, called = day * DAY_S + 300, []
        paid: Counter[int] = Counter()
        for player in ripe:
            inviter = self._stage.people.inviter[player]
            self._activated_s[player] = at_s
            paid[inviter] += 1
            if paid[inviter] <= _PAID_A_DAY:
                self._paid[player] = 1
                reward_mpt = _PREMIUM_MPT if self._stage.people.premium[player] else _REWARD_MPT
                called += [inviter, player]
                self._owe(inviter, "referral_reward", f"referral:{player}:inviter", reward_mpt, at_s)
                self._owe(player, "referral_reward", f"referral:{player}:friend", _REWARD_MPT, at_s)
        self._viral_event(paid, day)
        # the last morning too: nothing of the past stays unpaid
        if day % _COMMISSION_DAYS == 0 or day == self._stage.calendar.days - 1:
            called += self._pay_commission(day, at_s)
        return called

    def close(self) -> None:
        """Write the tree."""
        people, stamp = self._stage.people, self._stage.calendar.stamp
        for player in range(1, people.count + 1):
            if inviter := people.inviter[player]:
                activated_s = self._activated_s[player]
                first_mpt, first_carry = divmod(self._income_mpt[player] * _FIRST_BP, BP)
                second = self._income_mpt[player] if people.inviter[inviter] else 0
                second_mpt, second_carry = divmod(second * _SECOND_BP, BP)
                self._stage.sheets["referrals"].add(
                    f"{player}\t{inviter}\t{'ft'[people.premium[player]]}\t{stamp(people.joined_s[player])}"
                    f"\t{NULL if activated_s < 0 else stamp(activated_s)}\t{'ft'[self._paid[player]]}"
                    f"\t{first_mpt}\t{first_carry}\t{second_mpt}\t{second_carry}"
                )

    def _owe(self, player: int, kind: str, key: str, amount_mpt: int, at_s: int) -> None:
        self._stage.ledger.owe(player, Grant(kind, key, amount_mpt, "mint", at_s))

    def _pay_commission(self, day: int, at_s: int) -> list[int]:
        called = []
        for player, amount_mpt in sorted(self._commission_mpt.items()):
            if amount_mpt:
                key = f"commission:{player}:{self._stage.calendar.texts[day]}"
                self._owe(player, "commission", key, amount_mpt, at_s)
                called.append(player)
        self._commission_mpt.clear()
        return called

    def _viral_event(self, inviters: Counter[int], day: int) -> None:
        activations = inviters.total()
        tier = min(_VIRAL_TIERS, (activations // _VIRAL_FROM).bit_length())
        if tier:
            sheet, stamp, at_s = self._stage.sheets["viral_events"], self._stage.calendar.stamp, day * DAY_S + 600
            number = sheet.rows + 1
            sheet.add(f"{number}\t{tier}\t{activations}\t{1000 * tier}\t{stamp(at_s)}\t{stamp(at_s + _VIRAL_S)}")
            for inviter, count in sorted(inviters.items()):
                self._stage.sheets["viral_event_participants"].add(f"{number}\t{inviter}\t{count}")
