"""The connections, for the swarm that is built on them."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from hotpath._websocket_c cimport message, receiver, rules
from loadtest._histogram_c cimport Histogram
from loadtest._linux cimport sockaddr_in

cdef enum:
    ABSENT, CONNECTING, UPGRADING, GREETING, OPEN  # a connection's states

cdef enum:
    UNTIL_TIME, UNTIL_CONNECTED, UNTIL_ANSWERED  # what `run_towards` waits for


cdef struct connection:
    int descriptor
    int state
    uint32_t watched  # events epoll looks for
    bint has_failed
    bint is_slow
    receiver frames
    uint8_t* unsent
    Py_ssize_t unsent_bytes
    Py_ssize_t unsent_room
    uint64_t began_ns
    # Of the swarm:
    uint32_t seq  # the last one sent
    uint32_t oldest  # the oldest without an answer, for servers that answer in order and say no seq
    uint32_t outstanding
    uint64_t due_ns  # when its thinking ends
    int next_thinker
    bint is_thinking


cdef class Connections:
    cdef connection* connections
    cdef int size
    cdef int* order  # a random one, in which they are dropped, slowed down and asked
    cdef bint plain
    cdef readonly Histogram welcome
    cdef int timer
    cdef uint64_t last_welcome_ns
    cdef uint64_t[600] http_status
    cdef uint64_t[200] system_errors
    cdef uint64_t[5000] close_codes

    cdef sockaddr_in _address
    cdef uint32_t _sources
    cdef bytes _upgrade
    cdef const uint8_t* _upgrade_at
    cdef Py_ssize_t _upgrade_bytes
    cdef list _hellos
    cdef int _epoll
    cdef rules _rules
    cdef uint8_t* _inbound
    cdef uint8_t* _outbound
    cdef uint64_t _random
    cdef int _next  # the next connection to bring up
    cdef int _pending  # connections that are being brought up
    cdef int _pending_limit
    cdef double _interval_ns
    cdef double _due_ns
    cdef int _open

    # What the swarm adds: it is told, and may write into `out`, whose filled size it returns.
    cdef int before_wait(self, uint64_t now_ns) noexcept nogil  # returns how many ms the wait may take at most
    cdef Py_ssize_t heard(self, connection* c, message* found, uint64_t now_ns, uint8_t* out) noexcept nogil
    cdef void gone(self, connection* c) noexcept nogil
    cdef bint all_answered(self) noexcept nogil

    cdef run_towards(self, int goal, double seconds)
    cdef bint reached(self, int goal) noexcept nogil
    cdef void drive(self, uint64_t until_ns, int goal) noexcept nogil
    cdef void begin(self, connection* c, uint64_t now_ns) noexcept nogil
    cdef void readable(self, connection* c) noexcept nogil
    cdef void upgraded(self, connection* c) noexcept nogil
    cdef void greet(self, connection* c) noexcept nogil
    cdef void writable(self, connection* c) noexcept nogil
    cdef void opened(self, connection* c, uint64_t now_ns) noexcept nogil
    cdef void put(self, connection* c, const uint8_t* data, Py_ssize_t size) noexcept nogil
    cdef void watch(self, connection* c, uint32_t events) noexcept nogil
    cdef void end(self, connection* c, int close_code) noexcept nogil
    cdef void failed(self, connection* c, int error) noexcept nogil
    cdef uint32_t draw(self) noexcept nogil
