"""The receiving side of RFC 6455, for C code that owns the sockets: no I/O, no clock, no Python object.

No function reads before `data` or at or after `data + size`. What `receive` hands out is borrowed.
"""

from libc.stdint cimport uint8_t

cpdef enum:
    NOTHING = -1
    VIOLATION = -2


cdef struct rules:
    bint from_client  # what is received comes from a client: it must be masked; from a server it must not be
    Py_ssize_t max_message_bytes


cdef struct message:
    int kind  # TEXT, BINARY, CLOSE, PING, PONG, NOTHING, or VIOLATION
    uint8_t* data  # the payload, unmasked; of a CLOSE the reason
    Py_ssize_t size
    int code  # CLOSE: the peer's, NO_CODE for none; VIOLATION: the one to close with
    const char* reason  # VIOLATION: what the peer did, for its developer


cdef struct assembly  # what has come of a frame or message whose rest has not


# One per connection; all zero is one at rest, and one at rest holds no memory.
cdef struct receiver:
    assembly* unfinished
    bint failed


# Take in bytes: returns how many were used, and `found` says what they completed. Call again while bytes are left:
# one call finds at most one message. The bytes are unmasked in place. `found.data` points into them or into the
# receiver, and is good until the next call. After a VIOLATION all bytes are swallowed.
cdef Py_ssize_t receive(
    receiver* self, const rules* rules, uint8_t* data, Py_ssize_t size, message* found
) noexcept nogil
# Release what a message that has been handed out occupies, if nothing is unfinished.
cdef void rest(receiver* self) noexcept nogil
# Release everything; the receiver is at rest again.
cdef void release(receiver* self) noexcept nogil
