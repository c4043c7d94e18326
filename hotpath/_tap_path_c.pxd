"""From a TAP to its TAPPED, for transports written in C. Meaning: `_tap_path_py.py`."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from hotpath._player_state_c cimport Cursor, PlayerState, World
from hotpath._tap_signals_c cimport TapSignals


cpdef enum:
    QUIET_MS = 1_500
    NOTICE_TICK_MS = 100
    NOTICE_SLOTS = 32


cdef class Tally:
    cdef readonly int64_t accepted_total
    cdef readonly int64_t refused_total
    cdef readonly int64_t repeated_frames_total
    cdef public int64_t levels_total


cdef class Gate:
    cdef public bint open
    cdef Gate _outer

    cdef bint passable(self) noexcept


cdef class TapLine:
    cdef readonly PlayerState state
    cdef readonly Cursor cursor
    cdef World _world
    cdef Tally _tally
    cdef TapSignals _signals

    # Writes at most TAPPED_MAX_BYTES; returns how many.
    cdef Py_ssize_t write_answer(self, uint64_t seq, uint64_t count, int64_t now_ms, uint8_t* out) noexcept


cdef class Notices:
    cdef list _slots
    cdef int64_t _tick

    cdef int add(self, Seat seat, int64_t due_ms) except -1


cdef class Seat:
    cdef public int64_t heard_ms
    cdef public int64_t operated_ms
    cdef public bint pinged
    cdef readonly uint32_t told_seq
    cdef public object blocked
    cdef TapLine _line
    cdef Gate _gate
    cdef object _actor
    cdef object _session
    cdef object _raised  # the actor whose level a tap raised, until that is announced
    cdef Notices _notices
    cdef bint _noticed
    cdef uint32_t _durable_seq

    cdef int notice(self, int64_t uptime_ms) except -1
    # Begin to load what a tap touches, `depth` pointers from here; the depths before must have been loaded.
    cdef void look_ahead(self, int depth) noexcept
    # As `tap` of Python, into `out`, at most TAPPED_MAX_BYTES; 0 where that gives None.
    cdef Py_ssize_t write_frame(self, uint64_t seq, uint64_t count, int64_t now_ms, uint8_t* out) except -1
    # What is to be announced behind the frame that `write_frame` gave, if anything.
    cdef int announce(self, int64_t now_ms) except -1
    cdef int64_t _level
