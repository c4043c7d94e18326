"""All sockets of a node in one epoll instance; what it promises stands in `gateway.py`."""

from libc.stdint cimport int64_t, uint32_t

from hotpath._connection_c cimport Exchange, epoll_event

cpdef enum:
    READY_AT_ONCE = 256  # sockets that one poll reports
    DELIVERIES_AT_ONCE = 256  # of publications, in a round
    WRITES_AT_ONCE = 256  # sockets for which others left something, in a round


cdef class Gateway(Exchange):
    cdef object _clock
    cdef object _publications
    cdef epoll_event[256] _events
    cdef int _ready
    cdef int _at
    cdef int64_t _window_began_us
    cdef int64_t _arrived  # sockets that became ready in the present window
    cdef int64_t _apart_us  # mean time between two in the last one
    cdef readonly int64_t polls_total

    cdef int _poll(self, int64_t wait_us) except -1
    cdef int64_t _pause_us(self, int64_t wait_us) noexcept

    cdef int _watch(self, int fd, Py_ssize_t received_bytes) except -1
    cdef bint _has_work(self) noexcept
    cdef int _work(self, int64_t until_us) except -1
    cdef int _handle_event(self, int fd, uint32_t events) except -1
    cdef int _deliver_some(self) except -1
    cdef void _look_ahead(self) noexcept
