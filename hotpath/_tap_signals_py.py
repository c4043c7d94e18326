"""What a player's batches of taps tell of who taps, readable: the specification of `hotpath.tap_signals`.

Counted on the path of every tap, so it is a few integer operations and one division. What the numbers are worth is
judged elsewhere and seldom (`gameserver.game.suspicion`; game.md "Suspicion").

* **Gaps** between two batches, and **paces**: a gap by the taps of the batch that it follows. A client sends what it
  has gathered a fixed time after the first tap, so the gap from batch to batch is, but for the network, the time that
  the taps of the earlier one took. Both have a window: count, sum and sum of squares are halved when the count reaches
  `GAPS_KEPT`, which is even, so that mean and variance stay. A gap that differs by more than a quarter from the one
  before is a pause or a stumble of the network and enters neither; nor does one out of `MIN_GAP_MS` … `MAX_GAP_MS`.
* **Batches** with how many taps they claimed, how many of those were refused, and how many batches were exactly as
  large as a client or the protocol lets them be; halved when there are `BATCHES_KEPT`.
* **Refills**: pauses in which the energy became full a minute and more after the last batch, and how many of them
  ended within `QUICK_REFILL_MS` of that moment; halved when there are `REFILLS_KEPT`.
* **Rest**: when the last pause of `REST_MS` ended, and a bit for each of the last `HOURS_KEPT` clock hours: whether it
  had a batch.

Domain: the constructor accepts only ints in `COUNTER_RANGES`, `note` leaves every counter there, and the twins are
equal for them, 1 ≤ `claimed` ≤ 100, 0 ≤ `refused` ≤ `claimed` and 0 ≤ `now_ms` ≤ `MAX_TIME_MS`. The largest is the
sum of squared paces: 512 · (3 · 10⁶)² = 4.6 · 10¹⁵.
"""

from typing import Final

from hotpath._player_state_py import PlayerState
from hotpath._rules_py import MAX_TIME_MS, UE_PER_ENERGY, energy_cap, energy_regen_mps

CLIENT_BATCH_TAPS = 50  #: as many our client sends at once (wire protocol, "Batch taps")
FRAME_TAPS = 100  #: as many a TAP may hold
MIN_GAP_MS = 50  #: what comes closer together was queued, and says nothing of a rhythm
MAX_GAP_MS = 3_000  #: a longer one is a pause
GAPS_KEPT = 512
BATCHES_KEPT = 1_024
REFILLS_KEPT = 64
REFILL_PAUSE_MS = 60_000
QUICK_REFILL_MS = 3_000  #: two seconds, and the second for which a client gathers taps
REST_MS = 14_400_000
HOUR_MS = 3_600_000
HOURS_KEPT = 48

#: Lowest and highest value of every counter, in the order of `TapSignals.counters()`.
COUNTER_RANGES: Final[dict[str, tuple[int, int]]] = {
    "batches": (0, BATCHES_KEPT),
    "capped": (0, BATCHES_KEPT),
    "claimed": (0, BATCHES_KEPT * FRAME_TAPS),
    "refused": (0, BATCHES_KEPT * FRAME_TAPS),
    "gaps": (0, GAPS_KEPT),
    "gaps_sum": (0, GAPS_KEPT * MAX_GAP_MS),
    "gaps_squares": (0, GAPS_KEPT * MAX_GAP_MS**2),
    "paces": (0, GAPS_KEPT),
    "paces_sum": (0, GAPS_KEPT * MAX_GAP_MS * 1_000),
    "paces_squares": (0, GAPS_KEPT * (MAX_GAP_MS * 1_000) ** 2),
    "refills": (0, REFILLS_KEPT),
    "quick_refills": (0, REFILLS_KEPT),
    "hours": (0, 2**HOURS_KEPT - 1),
    "last_gap_ms": (0, MAX_GAP_MS),
    "last_pace_us": (0, MAX_GAP_MS * 1_000),
    "last_taps": (0, FRAME_TAPS),
    "last_batch_ms": (0, MAX_TIME_MS),
    "awake_since_ms": (0, MAX_TIME_MS),
    "hour_ends_ms": (0, MAX_TIME_MS + HOUR_MS),
}
COUNTER_NAMES: Final = tuple(COUNTER_RANGES)


class TapSignals:
    """The counters of one player, over all devices; every one of them is readable.

    Times and gaps are in ms, paces in µs a tap; `gaps_squares` in ms², `paces_squares` in µs².

    Args:
        counters: each by its name; 0 where none is given.

    Raises:
        ValueError: a counter is no int or out of its range; the sentence names it.
        TypeError: there is no such counter.
    """

    __slots__ = COUNTER_NAMES

    batches: int
    capped: int
    claimed: int
    refused: int
    gaps: int
    gaps_sum: int
    gaps_squares: int
    paces: int
    paces_sum: int
    paces_squares: int
    refills: int
    quick_refills: int
    hours: int
    last_gap_ms: int
    last_pace_us: int
    last_taps: int
    last_batch_ms: int
    awake_since_ms: int
    hour_ends_ms: int

    def __init__(self, **counters: int) -> None:
        if unknown := counters.keys() - COUNTER_RANGES.keys():
            raise TypeError(f"there is no counter {min(unknown)}")
        for name, (low, high) in COUNTER_RANGES.items():
            value = counters.get(name, low)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name} must be an integer from {low} to {high}, not {value!r}")
            setattr(self, name, value)

    def counters(self) -> tuple[int, ...]:
        """All of them, in the order of `COUNTER_NAMES`."""
        return tuple(getattr(self, name) for name in COUNTER_NAMES)

    def note(self, claimed: int, now_ms: int, state: PlayerState) -> None:
        """A batch has come; to be called before it changes `state`.

        Args:
            claimed: taps in it.
            now_ms: server time; one before an earlier one adds no gap.
            state: the player's: tells when the energy became full.
        """
        gap_ms = now_ms - self.last_batch_ms
        if self.last_taps and MIN_GAP_MS <= gap_ms <= MAX_GAP_MS:
            self._note_gap(gap_ms, gap_ms * 1_000 // self.last_taps)
        elif gap_ms >= REFILL_PAUSE_MS:
            self._note_pause(gap_ms, now_ms, state)
        if now_ms >= self.hour_ends_ms:
            self._begin_hour(now_ms)
        if self.batches == BATCHES_KEPT:
            self.batches >>= 1
            self.capped >>= 1
            self.claimed >>= 1
            self.refused >>= 1
        self.batches += 1
        self.capped += claimed in (CLIENT_BATCH_TAPS, FRAME_TAPS)
        self.claimed += claimed
        self.last_taps = claimed
        self.last_batch_ms = max(self.last_batch_ms, now_ms)

    def refuse(self, refused: int) -> None:
        """So many taps of the batch just noted were in excess of bucket or energy."""
        self.refused += refused

    def _note_gap(self, gap_ms: int, pace_us: int) -> None:
        if -gap_ms <= 4 * (gap_ms - self.last_gap_ms) <= gap_ms:
            if self.gaps == GAPS_KEPT:
                self.gaps >>= 1
                self.gaps_sum >>= 1
                self.gaps_squares >>= 1
            self.gaps += 1
            self.gaps_sum += gap_ms
            self.gaps_squares += gap_ms * gap_ms
        if -pace_us <= 4 * (pace_us - self.last_pace_us) <= pace_us:
            if self.paces == GAPS_KEPT:
                self.paces >>= 1
                self.paces_sum >>= 1
                self.paces_squares >>= 1
            self.paces += 1
            self.paces_sum += pace_us
            self.paces_squares += pace_us * pace_us
        self.last_gap_ms = gap_ms
        self.last_pace_us = pace_us

    def _note_pause(self, pause_ms: int, now_ms: int, state: PlayerState) -> None:
        if pause_ms >= REST_MS:
            self.awake_since_ms = now_ms
        missing_ue = energy_cap(state.energy_cap_level) * UE_PER_ENERGY - state.energy_ue
        full_for_ms = now_ms - state.energy_at_ms - -(-missing_ue // energy_regen_mps(state.energy_regen_level))
        if missing_ue > 0 and 0 <= full_for_ms <= pause_ms - REFILL_PAUSE_MS:
            if self.refills == REFILLS_KEPT:
                self.refills >>= 1
                self.quick_refills >>= 1
            self.refills += 1
            self.quick_refills += full_for_ms < QUICK_REFILL_MS

    def _begin_hour(self, now_ms: int) -> None:
        passed = (now_ms - self.hour_ends_ms) // HOUR_MS + 1
        self.hours = (self.hours << passed) % 2**HOURS_KEPT | 1 if passed < HOURS_KEPT else 1
        self.hour_ends_ms = (now_ms // HOUR_MS + 1) * HOUR_MS
