"""Signals of who taps, as they are counted; `_tap_signals_py.py` is the specification, with domain and ranges."""

cimport cython
from libc.stdint cimport int64_t

from hotpath cimport _rules_c as rules
from hotpath._player_state_c cimport PlayerState
from hotpath._rules_c cimport C_MAX_TIME_MS

cpdef enum:
    CLIENT_BATCH_TAPS = 50
    FRAME_TAPS = 100
    MIN_GAP_MS = 50
    MAX_GAP_MS = 3_000
    GAPS_KEPT = 512
    BATCHES_KEPT = 1_024
    REFILLS_KEPT = 64
    REFILL_PAUSE_MS = 60_000
    QUICK_REFILL_MS = 3_000
    REST_MS = 14_400_000
    HOUR_MS = 3_600_000
    HOURS_KEPT = 48

cdef int64_t HOURS_MASK = (<int64_t> 1 << HOURS_KEPT) - 1

COUNTER_RANGES = {
    "batches": (0, BATCHES_KEPT),
    "capped": (0, BATCHES_KEPT),
    "claimed": (0, BATCHES_KEPT * FRAME_TAPS),
    "refused": (0, BATCHES_KEPT * FRAME_TAPS),
    "gaps": (0, GAPS_KEPT),
    "gaps_sum": (0, GAPS_KEPT * MAX_GAP_MS),
    "gaps_squares": (0, <int64_t> GAPS_KEPT * MAX_GAP_MS * MAX_GAP_MS),
    "paces": (0, GAPS_KEPT),
    "paces_sum": (0, <int64_t> GAPS_KEPT * MAX_GAP_MS * 1_000),
    "paces_squares": (0, <int64_t> GAPS_KEPT * MAX_GAP_MS * 1_000 * MAX_GAP_MS * 1_000),
    "refills": (0, REFILLS_KEPT),
    "quick_refills": (0, REFILLS_KEPT),
    "hours": (0, HOURS_MASK),
    "last_gap_ms": (0, MAX_GAP_MS),
    "last_pace_us": (0, MAX_GAP_MS * 1_000),
    "last_taps": (0, FRAME_TAPS),
    "last_batch_ms": (0, C_MAX_TIME_MS),
    "awake_since_ms": (0, C_MAX_TIME_MS),
    "hour_ends_ms": (0, C_MAX_TIME_MS + HOUR_MS),
}
COUNTER_NAMES = tuple(COUNTER_RANGES)


cdef int64_t checked(str name, dict counters) except -1:
    low, high = COUNTER_RANGES[name]
    value = counters.get(name, low)
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return value


@cython.final
cdef class TapSignals:
    """The counters of one player, over all devices."""

    def __init__(self, **counters):
        unknown = counters.keys() - COUNTER_RANGES.keys()
        if unknown:
            raise TypeError(f"there is no counter {min(unknown)}")
        self.batches = checked("batches", counters)
        self.capped = checked("capped", counters)
        self.claimed = checked("claimed", counters)
        self.refused = checked("refused", counters)
        self.gaps = checked("gaps", counters)
        self.gaps_sum = checked("gaps_sum", counters)
        self.gaps_squares = checked("gaps_squares", counters)
        self.paces = checked("paces", counters)
        self.paces_sum = checked("paces_sum", counters)
        self.paces_squares = checked("paces_squares", counters)
        self.refills = checked("refills", counters)
        self.quick_refills = checked("quick_refills", counters)
        self.hours = checked("hours", counters)
        self.last_gap_ms = checked("last_gap_ms", counters)
        self.last_pace_us = checked("last_pace_us", counters)
        self.last_taps = checked("last_taps", counters)
        self.last_batch_ms = checked("last_batch_ms", counters)
        self.awake_since_ms = checked("awake_since_ms", counters)
        self.hour_ends_ms = checked("hour_ends_ms", counters)

    def counters(self):
        """All of them, in the order of `COUNTER_NAMES`."""
        return (
            self.batches, self.capped, self.claimed, self.refused, self.gaps, self.gaps_sum, self.gaps_squares,
            self.paces, self.paces_sum, self.paces_squares, self.refills, self.quick_refills, self.hours,
            self.last_gap_ms, self.last_pace_us, self.last_taps, self.last_batch_ms, self.awake_since_ms,
            self.hour_ends_ms,
        )

    def note(self, int64_t claimed, int64_t now_ms, PlayerState state not None):
        """A batch has come; to be called before it changes `state`."""
        self.batch(claimed, now_ms, state)

    @cython.cdivision(True)  # no operand is negative, no divisor 0
    cdef void batch(self, int64_t claimed, int64_t now_ms, PlayerState state) noexcept nogil:
        cdef int64_t gap_ms = now_ms - self.last_batch_ms
        if self.last_taps and MIN_GAP_MS <= gap_ms <= MAX_GAP_MS:
            self.note_gap(gap_ms, gap_ms * 1_000 // self.last_taps)
        elif gap_ms >= REFILL_PAUSE_MS:
            self.note_pause(gap_ms, now_ms, state)
        if now_ms >= self.hour_ends_ms:
            self.begin_hour(now_ms)
        if self.batches == BATCHES_KEPT:
            self.batches >>= 1
            self.capped >>= 1
            self.claimed >>= 1
            self.refused >>= 1
        self.batches += 1
        self.capped += claimed == CLIENT_BATCH_TAPS or claimed == FRAME_TAPS
        self.claimed += claimed
        self.last_taps = claimed
        self.last_batch_ms = max(self.last_batch_ms, now_ms)

    cpdef void refuse(self, int64_t refused) noexcept nogil:
        """So many taps of the batch just noted were in excess of bucket or energy."""
        self.refused += refused

    cdef void note_gap(self, int64_t gap_ms, int64_t pace_us) noexcept nogil:
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

    cdef void note_pause(self, int64_t pause_ms, int64_t now_ms, PlayerState state) noexcept nogil:
        cdef int64_t missing_ue, full_for_ms
        if pause_ms >= REST_MS:
            self.awake_since_ms = now_ms
        missing_ue = rules.energy_cap(state.energy_cap_level) * rules.UE_PER_ENERGY - state.energy_ue
        full_for_ms = now_ms - state.energy_at_ms - -(-missing_ue // rules.energy_regen_mps(state.energy_regen_level))
        if missing_ue > 0 and 0 <= full_for_ms <= pause_ms - REFILL_PAUSE_MS:
            if self.refills == REFILLS_KEPT:
                self.refills >>= 1
                self.quick_refills >>= 1
            self.refills += 1
            self.quick_refills += full_for_ms < QUICK_REFILL_MS

    cdef void begin_hour(self, int64_t now_ms) noexcept nogil:
        cdef int64_t passed = (now_ms - self.hour_ends_ms) // HOUR_MS + 1
        self.hours = (self.hours & HOURS_MASK >> passed) << passed | 1 if passed < HOURS_KEPT else 1
        self.hour_ends_ms = (now_ms // HOUR_MS + 1) * HOUR_MS
