"""Reading what a server sends beside TAPPED: just enough to match an answer with its question and to count."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr, memcmp

cdef enum:
    UNREADABLE = -1


cdef inline Py_ssize_t read_whole(const uint8_t* data, Py_ssize_t size, Py_ssize_t at, uint64_t* value) noexcept nogil:
    """A non-negative MessagePack integer at `at`; returns where the next element begins, or UNREADABLE."""
    cdef Py_ssize_t width, i
    if not 0 <= at < size:
        return UNREADABLE
    if data[at] < 0x80:
        value[0] = data[at]
        return at + 1
    if not 0xCC <= data[at] <= 0xCF:
        return UNREADABLE
    width = <Py_ssize_t> 1 << (data[at] - 0xCC)
    if size - at <= width:
        return UNREADABLE
    value[0] = 0
    for i in range(1, width + 1):
        value[0] = value[0] << 8 | data[at + i]
    return at + 1 + width


cdef inline int op_of(const uint8_t* data, Py_ssize_t size) noexcept nogil:
    """The op of a frame `[op, …]`; UNREADABLE if it is none."""
    if size < 2 or data[0] & 0xF0 != 0x90 or data[1] >= 0x80:
        return UNREADABLE
    return data[1]


cdef inline bint find_number(
    const uint8_t* data, Py_ssize_t size, const char* key, Py_ssize_t key_bytes, uint64_t* value
) noexcept nogil:
    """The number behind a string, given as its MessagePack bytes, wherever it first stands."""
    cdef const uint8_t* at = data
    cdef const uint8_t* end = data + size
    while end - at >= key_bytes:
        at = <const uint8_t*> memchr(at, key[0], end - at - key_bytes + 1)
        if at == NULL:
            return False
        if memcmp(at, key, key_bytes) == 0:
            return read_whole(data, size, at - data + key_bytes, value) > 0
        at += 1
    return False
