"""Competitions: one a week that is over and paid out, and one that is running when the history ends."""

from dataclasses import dataclass, field

from hotpath.rules import BP
from persistence.seed.players.calendar import DAY_S
from persistence.seed.players.ledger import Grant
from persistence.seed.players.population import uuid_text
from persistence.seed.players.sheets import NULL
from persistence.seed.players.stage import Stage

FEE_MPT = 200_000
BONUS_MPT = 5_000_000
_BONUS_FROM = 10  #: entrants
_PRIZE_BP = 9_000  #: of the fees
_WEIGHTS = (5_000, 3_000, 2_000)
_ENTER = 0.25  #: of those who come that day and can pay
_WEEK = 7
_RUNNING_DAYS = 7  #: how long the last one goes on after the history's end


@dataclass(frozen=True, slots=True)
class _Entry:
    player: int
    score: int
    entered_s: int
    reached_s: int


@dataclass(slots=True)
class _Competition:
    number: int
    day: int
    public_id: str
    days: int
    entries: list[_Entry] = field(default_factory=list)


class Competitions:
    """Who entered, who won.

    Args:
        stage: the game.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._today: _Competition | None = None
        self._past: list[_Competition] = []

    def morning(self, day: int) -> list[int]:
        """Settle what was over at midnight and begin what begins; returns whom that brings back."""
        called = self._settle(self._today, day * DAY_S + 120) if self._today else []
        self._today = None
        last = self._stage.calendar.days - 1
        if day == last or (day % _WEEK == _WEEK - 2 and day < last - 1):
            days = 1 + (_RUNNING_DAYS if day == last else 0)
            number = len(self._past) + 1
            self._today = _Competition(number, day, uuid_text(self._stage.rng), days)
            self._past.append(self._today)
        return called

    def visit(self, player: int, at_s: int) -> bool:
        """Whether a visitor enters today's, and has paid for it."""
        ledger = self._stage.ledger
        if self._today is None or ledger.spendable_mpt(player) < 2 * FEE_MPT or self._stage.rng.random() > _ENTER:
            return False
        key = f"competition_entry:{self._today.number}:{player}"
        ledger.post(player, "competition_entry", key, -FEE_MPT, at_s, "escrow")
        return True

    def score(self, player: int, taps: int, entered_s: int, reached_s: int) -> None:
        """What an entrant has tapped since."""
        assert self._today is not None
        self._today.entries.append(_Entry(player, taps, entered_s, reached_s))

    def close(self) -> None:
        """Write competitions, all of them as running; `states` says how they go on."""
        stamp = self._stage.calendar.stamp
        for one in self._past:
            starts_s = one.day * DAY_S
            made_at = stamp(max(0, starts_s - DAY_S))
            self._stage.sheets["competitions"].add(
                f"{one.number}\t{one.public_id}\tRound {one.number}\trunning\t{FEE_MPT}\t{BONUS_MPT}\t1\t{made_at}"
                f"\t{stamp(starts_s)}\t{stamp(starts_s + one.days * DAY_S)}\t{made_at}\t{made_at}"
            )
        if self._today is not None:
            for entry in self._today.entries:
                self._row(self._today, entry, NULL, 0, 0)

    @property
    def states(self) -> list[tuple[int, int, int]]:
        """Those that are over: number, frozen and settled at which second."""
        return [
            (one.number, (one.day + one.days) * DAY_S + 60, (one.day + one.days) * DAY_S + 120)
            for one in self._past
            if one is not self._today
        ]

    def _settle(self, over: _Competition, at_s: int) -> list[int]:
        ledger = self._stage.ledger
        ranked = sorted(over.entries, key=lambda entry: (-entry.score, entry.reached_s, entry.player))
        if len(ranked) == 1:
            self._row(over, ranked[0], "1", 0, FEE_MPT)
            key = f"competition_refund:{over.number}:{ranked[0].player}"
            ledger.owe(ranked[0].player, Grant("competition_refund", key, FEE_MPT, "escrow", at_s))
            return [ranked[0].player]
        fees_mpt = len(ranked) * FEE_MPT
        from_fees_mpt = fees_mpt * _PRIZE_BP // BP
        left_mpt = from_fees_mpt
        prizes = shares(from_fees_mpt + (BONUS_MPT if len(ranked) >= _BONUS_FROM else 0), _WEIGHTS[: len(ranked)])
        for place, entry in enumerate(ranked, start=1):
            prize_mpt = prizes[place - 1] if place <= len(prizes) else 0
            self._row(over, entry, str(place), prize_mpt, 0)
            # the fees pay the first places first, the bonus the rest
            parts = {"competition_prize": (min(prize_mpt, left_mpt), "escrow")}
            left_mpt -= parts["competition_prize"][0]
            parts["competition_bonus"] = (prize_mpt - parts["competition_prize"][0], "mint")
            for kind, (amount_mpt, source) in parts.items():
                if amount_mpt:
                    key = f"{kind}:{over.number}:{entry.player}"
                    ledger.owe(entry.player, Grant(kind, key, amount_mpt, source, at_s))
        if ranked:
            self._stage.progress.wins[ranked[0].player] += 1
            ledger.burn_escrow("competition_burn", f"competition_burn:{over.number}", fees_mpt - from_fees_mpt, at_s)
        return [entry.player for entry in ranked[: len(prizes)]]

    def _row(self, one: _Competition, entry: _Entry, place: str, prize_mpt: int, refund_mpt: int) -> None:
        stamp = self._stage.calendar.stamp
        self._stage.sheets["player_competitions"].add(
            f"{one.number}\t{entry.player}\t{FEE_MPT}\t{entry.score}\t{stamp(entry.entered_s)}\t{stamp(entry.reached_s)}"
            f"\t{place}\t{prize_mpt}\t{refund_mpt}"
        )


def shares(total: int, weights: tuple[int, ...]) -> list[int]:
    """A total in parts by weight, by largest remainder; the parts sum to it."""
    whole = sum(weights)
    if not whole:
        return []
    parts = [divmod(total * weight, whole) for weight in weights]
    order = sorted(range(len(parts)), key=lambda place: (-parts[place][1], place))
    extra = set(order[: total - sum(part for part, _ in parts)])
    return [part + (place in extra) for place, (part, _) in enumerate(parts)]
