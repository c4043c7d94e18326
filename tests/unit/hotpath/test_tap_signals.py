"""What batches of taps tell of who taps, counted: every rule once, over both twins."""

from types import ModuleType
from typing import Any

import pytest

from tests.unit.hotpath.conftest import NEW_PLAYER, NOON_MS

Signalling = tuple[ModuleType, ModuleType]
HOUR_MS = 3_600_000


def state_of(signalling: Signalling, **fields: int) -> Any:
    return signalling[1].PlayerState(**(NEW_PLAYER | fields))


def counted(signalling: Signalling, *batches: tuple[int, int], **counters: int) -> Any:
    """After these batches, each so many ms behind the one before."""
    signals, state, now_ms = signalling[0].TapSignals(**counters), state_of(signalling), NOON_MS
    for passed_ms, taps in batches:
        now_ms += passed_ms
        signals.note(taps, now_ms, state)
    return signals


def test_a_gap_belongs_to_the_taps_of_the_batch_before(signalling: Signalling) -> None:
    signals = counted(signalling, (0, 10), (1_000, 5), (1_000, 5), (1_000, 5))
    assert (signals.gaps, signals.gaps_sum, signals.gaps_squares) == (2, 2_000, 2_000_000)
    assert (signals.last_gap_ms, signals.last_pace_us, signals.last_taps) == (1_000, 200_000, 5)
    # 100, 200, 200 ms a tap: the second is too far from the first to be of one rhythm
    assert (signals.paces, signals.paces_sum, signals.paces_squares) == (1, 200_000, 200_000**2)


@pytest.mark.parametrize("gap_ms", [0, 49, 3_001, 59_999, -1_000])
def test_what_is_queued_a_pause_or_a_clock_set_back_is_no_gap(signalling: Signalling, gap_ms: int) -> None:
    before = counted(signalling, (0, 5), (1_000, 5), (1_000, 5))
    after = counted(signalling, (0, 5), (1_000, 5), (1_000, 5), (gap_ms, 5))
    assert (after.gaps, after.paces, after.last_gap_ms) == (before.gaps, before.paces, 1_000)
    assert after.batches == before.batches + 1


@pytest.mark.parametrize("gap_ms", [50, 3_000])
def test_the_bounds_are_gaps(signalling: Signalling, gap_ms: int) -> None:
    signals = counted(signalling, (0, 5), (gap_ms, 5), (gap_ms, 5))
    assert (signals.gaps, signals.gaps_sum) == (1, gap_ms)


@pytest.mark.parametrize(("gap_ms", "gaps"), [(800, 1), (799, 0), (1_333, 1), (1_334, 0)])
def test_a_stumble_enters_no_rhythm(signalling: Signalling, gap_ms: int, gaps: int) -> None:
    assert counted(signalling, (0, 5), (1_000, 5), (gap_ms, 5)).gaps == gaps


def test_windows_are_halved_and_keep_mean_and_variance(signalling: Signalling) -> None:
    batches = [(0, 5), *[(1_000 + 10 * (number % 2), 5) for number in range(513)]]
    full, halved = counted(signalling, *batches), counted(signalling, *batches, (1_000, 5))
    assert (full.gaps, full.paces, halved.gaps, halved.paces) == (512, 512, 257, 257)
    for one in (full, halved):
        assert one.gaps_sum / one.gaps == pytest.approx(1_005, abs=0.1)
        assert one.gaps_squares / one.gaps - (one.gaps_sum / one.gaps) ** 2 == pytest.approx(25, abs=0.2)


def test_batches_at_a_cap_and_refused_taps(signalling: Signalling) -> None:
    signals = counted(signalling, (0, 50), (1_000, 100), (1_000, 49), (1_000, 51), (1_000, 99))
    signals.refuse(30)
    assert (signals.batches, signals.capped, signals.claimed, signals.refused) == (5, 2, 349, 30)
    full = counted(signalling, (0, 50), batches=1_024, capped=512, claimed=10_000, refused=1_001)
    assert (full.batches, full.capped, full.claimed, full.refused) == (513, 257, 5_050, 500)


@pytest.mark.parametrize(
    ("after_full_ms", "refills", "quick"),
    [(-1, 0, 0), (0, 1, 1), (2_999, 1, 1), (3_000, 1, 0), (3_600_000, 1, 0)],
)
def test_a_refill_and_how_soon_somebody_is_there(
    signalling: Signalling, after_full_ms: int, refills: int, quick: int
) -> None:
    state = state_of(signalling, energy_ue=900_000_000 - 1, energy_at_ms=NOON_MS)  # full in 100 001 ms, rounded up
    signals = signalling[0].TapSignals(last_batch_ms=NOON_MS, last_taps=5)
    signals.note(5, NOON_MS + 100_001 + after_full_ms, state)
    assert (signals.refills, signals.quick_refills) == (refills, quick)


def test_what_was_full_or_filled_soon_is_no_refill(signalling: Signalling) -> None:
    signals = signalling[0].TapSignals(last_batch_ms=NOON_MS, last_taps=5)
    signals.note(5, NOON_MS + 200_000, state_of(signalling))
    soon = state_of(signalling, energy_ue=941_000_000, energy_at_ms=NOON_MS)
    signals.note(5, NOON_MS + 400_000, soon)
    assert signals.refills == 0


def test_refills_are_halved(signalling: Signalling) -> None:
    state = state_of(signalling, energy_ue=0, energy_at_ms=NOON_MS)
    signals = signalling[0].TapSignals(last_batch_ms=NOON_MS, last_taps=5, refills=64, quick_refills=21)
    signals.note(5, NOON_MS + 1_000_500, state)
    assert (signals.refills, signals.quick_refills) == (33, 11)


def test_rest_is_a_pause_of_four_hours(signalling: Signalling) -> None:
    short = counted(signalling, (0, 5), (4 * HOUR_MS - 1, 5))
    assert short.awake_since_ms == NOON_MS, "the first batch of all comes after a long rest"
    assert counted(signalling, (0, 5), (4 * HOUR_MS, 5)).awake_since_ms == NOON_MS + 4 * HOUR_MS


def test_hours_that_had_a_batch(signalling: Signalling) -> None:
    signals = counted(signalling, (0, 5), (1_000, 5), (HOUR_MS - 1_001, 5), (1, 5), (3 * HOUR_MS, 5))
    assert f"{signals.hours:b}" == "11001"
    assert signals.hour_ends_ms == NOON_MS + 5 * HOUR_MS
    full = {"hours": 2**48 - 1, "hour_ends_ms": NOON_MS}
    assert counted(signalling, (0, 5), **full).hours == 2**48 - 1
    assert counted(signalling, (46 * HOUR_MS, 5), **full).hours == 2**47 + 1
    assert counted(signalling, (47 * HOUR_MS, 5), **full).hours == 1
    assert counted(signalling, (500 * HOUR_MS, 5), **full).hours == 1


def test_counters_can_be_loaded_again(signalling: Signalling) -> None:
    module = signalling[0]
    signals = counted(signalling, *[(1_000, 50)] * 2_000)
    again = module.TapSignals(**dict(zip(module.COUNTER_NAMES, signals.counters(), strict=True)))
    assert again.counters() == signals.counters()


@pytest.mark.parametrize("wrong", [-1, 513, True, 1.0, "1"])
def test_what_is_out_of_range_is_refused(signalling: Signalling, wrong: object) -> None:
    with pytest.raises(ValueError, match="gaps must be an integer from 0 to 512, not"):
        signalling[0].TapSignals(gaps=wrong)


def test_an_unknown_counter_is_refused(signalling: Signalling) -> None:
    with pytest.raises(TypeError, match="there is no counter fingers"):
        signalling[0].TapSignals(fingers=10)
