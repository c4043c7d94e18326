"""One player's day: taps by the game's own rules, whatever else the visitor does, and what is written down of it."""

from hotpath.rules import (
    boost_bp,
    combo_weight,
    generation_bonus_bp,
    income,
    level_rewards_mpt,
    multiplier_bp,
    soft_capped_mpt,
    streak_bp,
)
from persistence.seed.players.calendar import DAY_S, LATEST_S
from persistence.seed.players.communities import Communities
from persistence.seed.players.competitions import Competitions
from persistence.seed.players.contacts import Contacts
from persistence.seed.players.extras import Extras
from persistence.seed.players.invitations import ACTIVE_XP, Invitations
from persistence.seed.players.stage import Stage
from persistence.seed.players.story import Story

MOST_TAPS = 12_000  #: on a day
_TAPS_PER_S = 8
_UNPOSTED = 0.05  #: of the last day's visitors still have their last income to post
_FOUNDER = "founder"


class Play:
    """What a visit is made of.

    Args:
        stage: the game.
        invitations: who is paid for whom.
        communities: who belongs where.
        competitions: who competes.
    """

    def __init__(
        self, stage: Stage, invitations: Invitations, communities: Communities, competitions: Competitions
    ) -> None:
        self._stage = stage
        self._invitations = invitations
        self._communities = communities
        self._competitions = competitions
        self._story = Story(stage)
        self._extras = Extras(stage)
        self._contacts = Contacts(stage, communities)
        self._stats = stage.sheets["player_daily_stats"]

    def collect(self, player: int, day: int) -> None:
        """A player comes only for what has been granted."""
        self._visit(player, day, None, posting=False)

    def visit(self, player: int, day: int, emission_bp: int, next_day: int | None) -> None:
        """A player comes once this day, and then on `next_day`, if that is known."""
        # a running game posts income every minute; one entry a week says the same
        if next_day is None or next_day >= self._stage.calendar.days:
            last = day == self._stage.calendar.days - 1
            posting = not last or self._stage.rng.random() >= _UNPOSTED
        else:
            posting = self._stage.calendar.monday(next_day) != self._stage.calendar.monday(day)
        self._visit(player, day, emission_bp, posting=posting)

    def _visit(self, player: int, day: int, emission_bp: int | None, *, posting: bool) -> None:
        stage, progress, ledger = self._stage, self._stage.progress, self._stage.ledger
        rng = stage.rng
        first = stage.people.joined_on(player) == day
        began_s = stage.people.joined_s[player] + 5 if first else day * DAY_S + 900 + rng.randrange(LATEST_S - 900)
        ledger.earned_mpt = ledger.spent_mpt = 0
        level, xp = stage.level(player), progress.xp[player]
        ledger.apply_grants(player, began_s)
        if first and stage.people.generation[player] == 1 and _FOUNDER in stage.content.badges:
            stage.badge(player, stage.content.badges[_FOUNDER], began_s)
        now_s, taps, combo = began_s + 5, 0, 0
        if emission_bp is not None:
            entered = self._competitions.visit(player, began_s)
            taps, combo = self._taps(player)
            now_s += 1 + taps // _TAPS_PER_S
            self._tap(player, day, taps, combo, emission_bp, now_s, posting=posting)
            if entered:
                self._competitions.score(player, taps, began_s, now_s)
            now_s = self._extras.visit(player, day, now_s)
            now_s = self._story.visit(player, day, now_s)
        self._communities.visit(player, taps, now_s)
        reached = stage.level(player)
        for passed in range(level, reached):
            key = f"level:{player}:{passed + 1}"
            ledger.post(player, "level_reward", key, level_rewards_mpt(passed, passed + 1), now_s)
        if xp < ACTIVE_XP <= progress.xp[player]:
            self._invitations.levelled(player, day)
        progress.last_seen_s[player] = now_s
        self._stats.add(
            f"{player}\t{stage.calendar.texts[day]}\t{taps}\t{ledger.earned_mpt}\t{ledger.spent_mpt}"
            f"\t{progress.xp[player] - xp}\t{combo}\t1\t{now_s - began_s}\t{stage.calendar.stamp(now_s)}"
        )
        self._contacts.visit(player, day, began_s, now_s, taps, combo, ledger.earned_mpt)

    def close(self) -> None:
        """Write what stays of readers, talkers and friends."""
        self._story.close()
        self._contacts.close()

    def _taps(self, player: int) -> tuple[int, int]:
        """How many taps, and the longest run of them."""
        rng = self._stage.rng
        taps = max(1, min(MOST_TAPS, int(self._stage.people.pace[player] * rng.lognormvariate(0, 0.7))))
        return taps, max(1, int(taps * (0.2 + 0.7 * rng.random())))

    def _tap(self, player: int, day: int, taps: int, combo: int, emission_bp: int, at_s: int, *, posting: bool) -> None:
        stage, progress, ledger = self._stage, self._stage.progress, self._stage.ledger
        runs, rest = divmod(taps, combo)
        weight = runs * combo_weight(0, combo) + combo_weight(0, rest)
        streak = progress.streak_days[player] if progress.habit_day[player] >= day - 1 else 0
        multiplier = multiplier_bp(
            generation_bonus_bp(stage.people.generation[player]), boost_bp(streak_bp(streak), 0, 0, 0), emission_bp
        )
        raw_mpt, progress.carry[player] = income(progress.tap_level[player], weight, multiplier, progress.carry[player])
        credited_mpt = soft_capped_mpt(0, raw_mpt)
        progress.raw_mpt[player] = raw_mpt
        progress.xp[player] += taps
        progress.taps[player] += taps
        progress.last_tap_s[player] = at_s
        if credited_mpt:
            ledger.earn(player, credited_mpt)
            self._invitations.earned(player, credited_mpt)
        if posting:
            ledger.post_income(player, f"tap_income:{player}:{stage.calendar.texts[day]}", at_s)
