"""Frames of RFC 6455 on raw bytes, for C code that owns the sockets: no I/O, no clock, no Python object.

No function reads before `data` or at or after `data + size`.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cpdef enum:
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

cpdef enum:
    CONTROL_MAX_BYTES = 125
    SERVER_HEADER_MAX_BYTES = 10
    CLIENT_HEADER_MAX_BYTES = 14
    NO_CODE = 1005


cdef struct frame_header:
    bint fin
    int opcode
    uint64_t length
    const uint8_t* key  # points into what was read; NULL = not masked
    const char* fault  # what the peer did wrong, for its developer


# Read a frame header: how many bytes it has, 0 if there are too few, -1 for a violation (1002) that is `header.fault`.
cdef int read_header(bint from_client, const uint8_t* data, Py_ssize_t size, frame_header* header) noexcept nogil
# XOR `data` with the key, beginning at byte `key_at` of the key.
cdef void unmask(uint8_t* data, Py_ssize_t size, const uint8_t* key, int key_at) noexcept nogil
# The header of a server's unfragmented frame, at most SERVER_HEADER_MAX_BYTES; returns how many bytes.
cdef Py_ssize_t write_header(uint8_t* out, int opcode, Py_ssize_t payload_bytes) noexcept nogil
# A client's whole unfragmented frame, at most CLIENT_HEADER_MAX_BYTES + size; returns how many bytes.
cdef Py_ssize_t write_masked(
    uint8_t* out, int opcode, const uint8_t* payload, Py_ssize_t size, uint32_t key
) noexcept nogil
# The payload of a close frame, at most CONTROL_MAX_BYTES: a longer reason is cut between characters; NO_CODE is none.
cdef Py_ssize_t write_close(uint8_t* out, int code, const uint8_t* reason, Py_ssize_t size) noexcept nogil
