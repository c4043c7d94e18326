"""When a player's signals are weighed, told and kept; the database is `PlayerDatabase`."""

from itertools import pairwise

import pytest

from gameserver.actors.journal import POST_EVERY_MS
from gameserver.actors.suspicion import KEEP_EVERY_MS, LOOK_EVERY_MS
from gameserver.game.suspicion import REARM_SCORE
from hotpath.tap_signals import COUNTER_NAMES
from persistence.records import KeptSignals
from tests.fakes.lone_player import LonePlayer
from tests.fakes.recording_origin import RecordingOrigin

GAP_MS = 1_000


class Tapping:
    """Somebody who taps, second by second."""

    def __init__(self) -> None:
        self.player = LonePlayer(energy_cap_level=20, energy_ue=10_500_000_000)
        self.seq = 0
        self.origin: RecordingOrigin = self.player.attach()

    def tap(self, batches: int, taps: int = 5, gap_ms: int = GAP_MS) -> None:
        """So many batches, and a flush behind each."""
        for _ in range(batches):
            self.player.clock.advance(gap_ms)
            self.seq += 1
            self.player.tap(self.origin, self.seq, taps)
            self.player.database.flush()

    async def leave(self) -> None:
        """Detach, and be put away."""
        self.player.detach(self.origin)
        await self.player.database.give_up(self.player.actor)

    def come_back(self) -> None:
        """Be loaded again."""
        self.player.load()
        self.origin = self.player.attach()

    @property
    def kept(self) -> KeptSignals | None:
        return self.player.row.signals

    @property
    def crossings(self) -> int:
        return len(self.player.row.suspicions)


@pytest.fixture
def tapping() -> Tapping:
    return Tapping()


def test_a_machine_is_told_once_with_what_gave_it_away(tapping: Tapping) -> None:
    tapping.tap(400)
    assert tapping.crossings == 1
    [suspicion] = tapping.player.row.suspicions
    assert suspicion.signs == {"rhythm": 7_000, "pace": 7_000}
    assert suspicion.score == 10_000
    assert tapping.kept is not None
    assert (tapping.kept.score, tapping.kept.over_limit) == (10_000, True)
    tally = tapping.player.actor._habitat.suspicions
    assert (tally.crossed_total, tally.limits_total) == (1, 1)


def test_signals_are_weighed_once_a_minute_at_most(tapping: Tapping, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr("gameserver.actors.suspicion.KEEP_EVERY_MS", 0)
    tapping.tap(1)
    actor = tapping.player.actor
    look = type(actor._suspicion).look

    def noted(suspicion: object, now_ms: int, *, leaving: bool) -> object:
        looks.append(now_ms)
        return look(suspicion, now_ms, leaving=leaving)  # type: ignore[arg-type]

    monkeypatch.setattr(type(actor._suspicion), "look", noted)
    tapping.tap(600)
    assert 600 * GAP_MS // POST_EVERY_MS - 2 <= len(looks) <= 600 * GAP_MS // LOOK_EVERY_MS + 1
    assert all(later - earlier >= LOOK_EVERY_MS for earlier, later in pairwise(looks))


async def test_what_is_counted_goes_on_in_the_next_activation(tapping: Tapping) -> None:
    tapping.tap(100)
    assert tapping.player.row.signals is None, "a flush in between keeps nothing"
    counters = tapping.player.actor._suspicion.signals.counters()
    await tapping.leave()
    assert tapping.kept is not None
    assert tapping.kept.counters == counters
    tapping.come_back()
    assert tapping.player.actor._suspicion.signals.counters() == counters
    tapping.tap(300)
    assert tapping.crossings == 1


async def test_who_is_over_is_not_told_again_by_the_next_activation(tapping: Tapping) -> None:
    tapping.tap(400)
    for _ in range(3):
        await tapping.leave()
        tapping.come_back()
        tapping.tap(130)
    assert tapping.crossings == 1
    assert tapping.player.row.shadow_limited


async def test_who_has_fallen_far_below_can_cross_again(tapping: Tapping) -> None:
    tapping.tap(400)
    scores = []
    for number in range(1_600):
        tapping.tap(1, 4 + number % 3, gap_ms=900 + 37 * (number * 7 % 6))
        if number % 400 == 399:
            await tapping.leave()
            assert tapping.kept is not None
            scores.append((tapping.kept.score, tapping.kept.over_limit))
            tapping.come_back()
    assert scores[-1][0] < REARM_SCORE
    assert scores[-1][1] is False
    tapping.player.row.shadow_limited = False  # an operator has lifted it
    tapping.come_back()
    tapping.tap(2_000)
    assert tapping.crossings == 2
    tally = tapping.player.actor._habitat.suspicions
    assert (tally.crossed_total, tally.limits_total) == (1, 1), "of this activation"


def test_who_stays_is_kept_once_an_hour(tapping: Tapping) -> None:
    kept: set[int] = set()
    for _ in range(3 * KEEP_EVERY_MS // 60_000):
        tapping.tap(1, gap_ms=60_000)
        if tapping.kept is not None:
            kept.add(tapping.kept.kept_ms)
    assert 2 <= len(kept) <= 3


async def test_who_only_looks_leaves_nothing(tapping: Tapping) -> None:
    await tapping.leave()
    assert tapping.kept is None
    assert tapping.player.database.commits[-1].effects == ()


async def test_what_came_after_they_were_kept_is_no_pause(tapping: Tapping) -> None:
    """A node that is killed loses up to an hour of the counting, but the last tap is in the player's row."""
    tapping.tap(50)
    await tapping.leave()
    kept = tapping.kept
    assert kept is not None
    awake_since_ms = dict(zip(COUNTER_NAMES, kept.counters, strict=True))["awake_since_ms"]
    tapping.come_back()
    tapping.tap(9, gap_ms=1_800_000)
    tapping.player.row.signals = kept
    tapping.come_back()
    tapping.tap(1)
    assert tapping.player.actor._suspicion.signals.awake_since_ms == awake_since_ms


def test_of_a_player_never_counted_the_last_tap_is_known() -> None:
    player = LonePlayer(last_tap_at_ms=1_700_000_000_000)
    signals = player.actor._suspicion.signals
    assert (signals.last_batch_ms, signals.awake_since_ms, signals.batches) == (1_700_000_000_000,) * 2 + (0,)


def test_taps_that_are_refused_count_as_well() -> None:
    tapping = Tapping()
    tapping.tap(70, taps=100, gap_ms=200)
    signals = tapping.player.actor._suspicion.signals
    assert signals.claimed == 7_000
    assert signals.refused > 5_000
    assert signals.capped == 70
