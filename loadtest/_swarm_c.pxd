"""The swarm's state."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from hotpath._websocket_c cimport message
from loadtest._connections_c cimport Connections, connection
from loadtest._histogram_c cimport Histogram


cdef struct load_kind:
    uint32_t window  # closed loop: requests without an answer per connection; 0 = not a closed loop
    double interval_ns  # open loop: between two requests; 0 = not an open loop
    double think_ns
    uint64_t action_threshold  # a random 32-bit number below it makes the next request an action
    uint64_t taps
    bint listens  # every message is a delivery, nothing is an answer
    int stamp_at  # where a delivery carries its time; -1 = nowhere


cdef struct tally:
    uint64_t sent
    uint64_t unsent  # due, but too many of its connection were without an answer
    uint64_t answered
    uint64_t taps_answered  # frames
    uint64_t taps_accepted
    uint64_t results
    uint64_t errors
    uint64_t deliveries
    uint64_t delivered_bytes
    uint64_t unmatched
    uint64_t lost  # without an answer when their connection ended
    uint64_t unreadable


cdef class Swarm(Connections):
    cdef readonly Histogram latency
    cdef readonly Histogram send_lag
    cdef uint64_t* _asked_ns  # per connection a ring by seq: when each request without an answer was due; 0 = none
    cdef uint32_t _ring
    cdef load_kind _load
    cdef tally _counts
    cdef uint64_t[256] _error_codes
    cdef bint _counting
    cdef uint64_t _counted_from_ns
    cdef uint64_t _counted_to_ns
    cdef uint64_t _outstanding
    cdef uint64_t _schedule_from_ns
    cdef uint64_t _scheduled  # requests of the open loop so far
    cdef int* _thinkers  # the timing wheel: the first connection of each slot, -1 = none
    cdef uint64_t _wheel_step  # the next slot to look at, counted since the clock began

    cdef Py_ssize_t answered(self, connection* c, uint32_t seq, uint64_t now_ns, uint8_t* out) noexcept nogil
    cdef Py_ssize_t ask(self, connection* c, uint64_t due_ns, uint8_t* out) noexcept nogil
    cdef void ask_now(self, connection* c, uint64_t due_ns) noexcept nogil
    cdef uint64_t follow_schedule(self, uint64_t now_ns) noexcept nogil
    cdef void think(self, connection* c, uint64_t now_ns) noexcept nogil
    cdef void turn_wheel(self, uint64_t now_ns) noexcept nogil
    cdef uint64_t* asked(self, connection* c, uint32_t seq) noexcept nogil
    cdef void deliver(self, message* found) noexcept nogil
