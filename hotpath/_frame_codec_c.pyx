"""Frames of RFC 6455 on raw bytes: headers, masks, whole unfragmented frames.

What may follow what is `_websocket_c`.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef int read_header(
    bint from_client, const uint8_t* data, Py_ssize_t size, frame_header* header
) noexcept nogil:
    """Read a frame header: how many bytes it has, 0 if there are too few, -1 for a violation (`header.fault`)."""
    cdef int at = 2
    cdef int length7
    if size < 1:
        return 0
    header.fin = data[0] >> 7
    header.opcode = data[0] & 15
    if data[0] & 0x70:
        header.fault = b"a reserved bit is set"
        return -1
    if 3 <= header.opcode <= 7 or header.opcode >= 11:
        header.fault = b"a reserved opcode"
        return -1
    if header.opcode >= CLOSE and not header.fin:
        header.fault = b"a fragmented control frame"
        return -1
    if size < 2:
        return 0
    if (data[1] >> 7) != from_client:
        header.fault = b"frames from a client must be masked" if from_client else b"a masked frame from a server"
        return -1
    length7 = data[1] & 127
    if header.opcode >= CLOSE and length7 > CONTROL_MAX_BYTES:
        header.fault = b"a control frame of more than 125 bytes"
        return -1
    header.length = length7
    if length7 == 126:
        if size < 4:
            return 0
        header.length = <uint64_t> data[2] << 8 | data[3]
        at = 4
        if header.length < 126:
            header.fault = b"a length that is not in its shortest form"
            return -1
    elif length7 == 127:
        if size < 10:
            return 0
        header.length = 0
        for at in range(2, 10):
            header.length = header.length << 8 | data[at]
        at = 10
        if header.length >> 63 or header.length < 65536:
            header.fault = b"a length that is not in its shortest form or has its highest bit set"
            return -1
    header.key = NULL
    if from_client:
        if size < at + 4:
            return 0
        header.key = data + at
        at += 4
    return at


cdef void unmask(uint8_t* data, Py_ssize_t size, const uint8_t* key, int key_at) noexcept nogil:
    """XOR `data` with the key, beginning at byte `key_at` of the key; memcpy keeps wide access legal at any address."""
    cdef uint8_t[8] turned
    cdef uint64_t wide, word
    cdef Py_ssize_t at = 0
    cdef int i
    for i in range(8):
        turned[i] = key[(key_at + i) & 3]
    memcpy(&wide, turned, 8)
    while at + 8 <= size:
        memcpy(&word, data + at, 8)
        word ^= wide
        memcpy(data + at, &word, 8)
        at += 8
    while at < size:
        data[at] ^= turned[at & 7]
        at += 1


cdef Py_ssize_t write_length(uint8_t* out, int mask_bit, Py_ssize_t size) noexcept nogil:
    """The second byte and what follows of it; returns where the header goes on."""
    cdef int i
    if size < 126:
        out[1] = <uint8_t> (mask_bit | size)
        return 2
    if size < 65536:
        out[1] = <uint8_t> (mask_bit | 126)
        out[2], out[3] = <uint8_t> (size >> 8), <uint8_t> (size & 0xFF)
        return 4
    out[1] = <uint8_t> (mask_bit | 127)
    for i in range(8):
        out[9 - i] = <uint8_t> (size >> (8 * i) & 0xFF)
    return 10


cdef Py_ssize_t write_header(uint8_t* out, int opcode, Py_ssize_t payload_bytes) noexcept nogil:
    out[0] = <uint8_t> (0x80 | opcode)
    return write_length(out, 0, payload_bytes)


cdef Py_ssize_t write_masked(
    uint8_t* out, int opcode, const uint8_t* payload, Py_ssize_t size, uint32_t key
) noexcept nogil:
    cdef Py_ssize_t at
    out[0] = <uint8_t> (0x80 | opcode)
    at = write_length(out, 0x80, size)
    memcpy(out + at, &key, 4)
    memcpy(out + at + 4, payload, size)
    unmask(out + at + 4, size, out + at, 0)
    return at + 4 + size


cdef Py_ssize_t write_close(uint8_t* out, int code, const uint8_t* reason, Py_ssize_t size) noexcept nogil:
    if code == NO_CODE:
        return 0
    out[0], out[1] = <uint8_t> (code >> 8), <uint8_t> (code & 0xFF)
    if size > CONTROL_MAX_BYTES - 2:
        size = CONTROL_MAX_BYTES - 2
        while size and reason[size] & 0xC0 == 0x80:
            size -= 1
    memcpy(out + 2, reason, size)
    return 2 + size


def encode(int opcode, bytes payload not None):
    """A server's unfragmented frame."""
    cdef uint8_t[SERVER_HEADER_MAX_BYTES] header
    cdef Py_ssize_t size = write_header(header, opcode, len(payload))
    return PyBytes_FromStringAndSize(<char*> header, size) + payload


def encode_close(int code, str reason not None):
    """A server's close frame; NO_CODE sends none, a reason of more than 123 bytes is cut."""
    cdef uint8_t[CONTROL_MAX_BYTES] payload
    cdef bytes text = reason.encode()
    cdef Py_ssize_t size = write_close(payload, code, <const uint8_t*> PyBytes_AS_STRING(text), len(text))
    return encode(CLOSE, PyBytes_FromStringAndSize(<char*> payload, size))


def encode_masked(int opcode, bytes payload not None, uint32_t key):
    """A client's unfragmented frame, masked with the four bytes of `key` as they lie in memory."""
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, CLIENT_HEADER_MAX_BYTES + len(payload))
    cdef const uint8_t* start = <const uint8_t*> PyBytes_AS_STRING(payload)
    cdef Py_ssize_t size = write_masked(<uint8_t*> PyBytes_AS_STRING(frame), opcode, start, len(payload), key)
    return frame[:size]
