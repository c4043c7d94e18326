"""Signals of who taps, for other C code. Meaning: `_tap_signals_py.py`."""

from libc.stdint cimport int64_t

from hotpath._player_state_c cimport PlayerState


cdef class TapSignals:
    cdef readonly int64_t batches
    cdef readonly int64_t capped
    cdef readonly int64_t claimed
    cdef readonly int64_t refused
    cdef readonly int64_t gaps
    cdef readonly int64_t gaps_sum
    cdef readonly int64_t gaps_squares
    cdef readonly int64_t paces
    cdef readonly int64_t paces_sum
    cdef readonly int64_t paces_squares
    cdef readonly int64_t refills
    cdef readonly int64_t quick_refills
    cdef readonly int64_t hours
    cdef readonly int64_t last_gap_ms
    cdef readonly int64_t last_pace_us
    cdef readonly int64_t last_taps
    cdef readonly int64_t last_batch_ms
    cdef readonly int64_t awake_since_ms
    cdef readonly int64_t hour_ends_ms

    # The C side of note; the state must not be None.
    cdef void batch(self, int64_t claimed, int64_t now_ms, PlayerState state) noexcept nogil
    cpdef void refuse(self, int64_t refused) noexcept nogil
    cdef void note_gap(self, int64_t gap_ms, int64_t pace_us) noexcept nogil
    cdef void note_pause(self, int64_t pause_ms, int64_t now_ms, PlayerState state) noexcept nogil
    cdef void begin_hour(self, int64_t now_ms) noexcept nogil
