"""One socket of a gateway, and what all its sockets share; what they promise stands in `gateway.py`."""

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t

from hotpath._outbox_c cimport Outbox
from hotpath._tap_path_c cimport Seat
from hotpath._websocket_c cimport message, receiver, rules

cdef extern from "sys/epoll.h" nogil:
    ctypedef union epoll_data_t:
        int fd
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    int EPOLL_CTL_ADD, EPOLL_CTL_MOD
    uint32_t EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP

cpdef enum:
    IN_BYTES = 16_384  # received from one socket in a round
    OUT_BYTES = 196_608  # sent to one socket in a round; the answers to IN_BYTES of taps fit
    MESSAGES_AT_ONCE = 64  # of one socket in a round, taps not counted


cdef class Exchange:
    cdef int epoll
    cdef int bell  # eventfd: wakes whoever waits for the epoll descriptor
    cdef bint rung
    cdef bint serving
    cdef PyObject** table  # connections by descriptor, strong references
    cdef int capacity
    cdef rules terms
    cdef uint8_t* input
    cdef uint8_t* output
    cdef Py_ssize_t output_bytes
    cdef Connection current  # its input is being handled; what it says gathers in `output` and is sent at the end
    cdef list to_write  # connections for which others left something
    cdef list to_resume  # connections with `unhandled` input
    cdef object watch
    cdef object closed
    cdef object failed
    cdef int64_t now_ms
    cdef int64_t uptime_ms
    cdef readonly bint ran_python
    cdef readonly int connections
    cdef readonly int64_t tap_frames_total
    cdef readonly int64_t taps_claimed_total
    cdef readonly int64_t received_bytes_total
    cdef readonly int64_t sent_bytes_total
    cdef readonly int64_t deliveries_total

    cdef int ring(self) except -1


cdef class Connection(Outbox):
    cdef readonly object session
    cdef readonly object peer
    cdef public int64_t due_ms
    cdef public int64_t far_due_ms
    cdef Exchange exchange
    cdef Seat seat
    cdef receiver receiver
    cdef bytes unsent  # framed, partly sent; what waits in the outbox comes behind it
    cdef Py_ssize_t unsent_at
    cdef bytes unhandled  # received, but more than one round's share
    cdef bytes pong_due
    cdef bytes last_frame  # the close frame with which we answer the peer's end
    cdef Py_ssize_t discarded_bytes
    cdef int fd
    cdef int phase
    cdef uint32_t interest  # what epoll is asked for
    cdef bint queued  # stands in the list of what is to be written
    cdef bint session_gone
    cdef bint aborted

    cdef int attend(self, uint32_t events) except -1
    cdef int receive_once(self) except -1
    cdef int take_in(self, uint8_t* data, Py_ssize_t size) except -1
    cdef int take_message(self, message* found) except -1
    cdef bint answer_tap(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef int pong(self, const uint8_t* data, Py_ssize_t size) except -1
    cdef int end_input(self, bytes last_frame) except -1
    cdef int append(self, int opcode, const uint8_t* data, Py_ssize_t size) except -1
    cdef int fill(self) except -1
    cdef bytes closing_words(self)
    cdef int flush(self) except -1
    cdef int await_events(self, uint32_t interest) except -1
    cdef int linger(self) except -1
    cdef int drop(self) except -1
    cdef int close_descriptor(self) except -1
    cdef int forget(self) except -1
    cdef int tell_gone(self) except -1
    cdef int deliver(self, bytes frame, bytes payload, key) except -1


cdef bytes framed(frame)
