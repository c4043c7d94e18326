"""TAP and TAPPED as MessagePack bytes, as it runs; `_tap_codec_py.py` is the specification.

All reading goes through `read_uint`, which compares with the end before every access.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t

MAX_SEQ = 2**32 - 2
MAX_WIRE_INT = 2**53 - 1


cdef Py_ssize_t read_uint(const uint8_t* data, Py_ssize_t size, Py_ssize_t at, uint64_t* value) noexcept nogil:
    """Read one non-negative integer of any width at `at`; returns where the next begins, or -1."""
    cdef uint8_t head
    cdef Py_ssize_t width
    cdef uint64_t number = 0
    if at >= size:
        return -1
    head = data[at]
    at += 1
    if head <= 0x7F:
        value[0] = head
        return at
    if 0xCC <= head <= 0xCF:
        width = 1 << (head - 0xCC)
    elif 0xD0 <= head <= 0xD3:
        width = 1 << (head - 0xD0)
        if at < size and data[at] & 0x80:
            return -1  # negative
    else:
        return -1
    if size - at < width:
        return -1
    for i in range(at, at + width):
        number = number << 8 | data[i]
    value[0] = number
    return at + width


cdef Py_ssize_t read_array(const uint8_t* data, Py_ssize_t size, int length) noexcept nogil:
    """Read the header of an array of `length` < 16 elements, in any form; returns where they begin, or -1."""
    cdef Py_ssize_t width
    if size < 1:
        return -1
    if data[0] == 0x90 | length:
        return 1
    if data[0] == 0xDC:
        width = 2
    elif data[0] == 0xDD:
        width = 4
    else:
        return -1
    if size < 1 + width or data[width] != length:
        return -1
    for i in range(1, width):
        if data[i]:
            return -1
    return 1 + width


cdef bint read_fields(
    const uint8_t* data, Py_ssize_t size, uint64_t op, uint64_t* fields, int count
) noexcept nogil:
    """Read an array of `op` and `count` non-negative integers that fills the bytes exactly."""
    cdef uint64_t found_op = 0
    cdef Py_ssize_t at = read_array(data, size, count + 1)
    if at > 0:
        at = read_uint(data, size, at, &found_op)
    if at < 0 or found_op != op:
        return False
    for i in range(count):
        at = read_uint(data, size, at, &fields[i])
        if at < 0:
            return False
    return at == size


cdef Py_ssize_t write_uint(uint8_t* out, Py_ssize_t at, uint64_t value) noexcept nogil:
    """Write one integer at `at` in its smallest form, at most 9 bytes; returns where the next begins."""
    cdef int i, width
    if value < 0x80:
        out[at] = <uint8_t> value
        return at + 1
    if value <= 0xFF:
        out[at], width = 0xCC, 1
    elif value <= 0xFFFF:
        out[at], width = 0xCD, 2
    elif value <= 0xFFFFFFFFULL:
        out[at], width = 0xCE, 4
    else:
        out[at], width = 0xCF, 8
    for i in range(width):
        out[at + width - i] = <uint8_t> (value >> (8 * i) & 0xFF)
    return at + 1 + width


cdef bint parse_tap(const uint8_t* data, Py_ssize_t size, tap_frame* tap) noexcept nogil:
    cdef uint64_t[3] fields
    if not read_fields(data, size, TAP_OP, fields, 3):
        return False
    tap.seq, tap.count, tap.dt_ms = fields[0], fields[1], fields[2]
    return (
        1 <= tap.seq <= 0xFFFFFFFEULL
        and 1 <= tap.count <= <uint64_t> MAX_TAPS_PER_FRAME
        and tap.dt_ms <= <uint64_t> MAX_DT_MS
    )


cdef bint parse_tapped(const uint8_t* data, Py_ssize_t size, tapped_frame* tapped) noexcept nogil:
    cdef uint64_t[8] fields
    if not read_fields(data, size, TAPPED_OP, fields, 8):
        return False
    for i in range(8):
        if fields[i] >> 53:
            return False
    tapped.seq, tapped.accepted, tapped.tokens, tapped.xp = fields[0], fields[1], fields[2], fields[3]
    tapped.level, tapped.energy, tapped.combo, tapped.durable_seq = fields[4], fields[5], fields[6], fields[7]
    return True


cdef Py_ssize_t write_tap(uint8_t* out, const tap_frame* tap) noexcept nogil:
    cdef Py_ssize_t at = 2
    out[0] = 0x94
    out[1] = TAP_OP
    at = write_uint(out, at, tap.seq)
    at = write_uint(out, at, tap.count)
    return write_uint(out, at, tap.dt_ms)


cdef Py_ssize_t write_tapped(uint8_t* out, const tapped_frame* tapped) noexcept nogil:
    cdef Py_ssize_t at = 2
    out[0] = 0x99
    out[1] = TAPPED_OP
    at = write_uint(out, at, tapped.seq)
    at = write_uint(out, at, tapped.accepted)
    at = write_uint(out, at, tapped.tokens)
    at = write_uint(out, at, tapped.xp)
    at = write_uint(out, at, tapped.level)
    at = write_uint(out, at, tapped.energy)
    at = write_uint(out, at, tapped.combo)
    return write_uint(out, at, tapped.durable_seq)


def decode_tap(payload):
    """Read exactly `[2, seq, count, dt_ms]`: (seq, count, dt_ms), or None for anything else."""
    cdef Py_buffer view
    cdef tap_frame tap
    cdef bint valid
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    valid = parse_tap(<const uint8_t*> view.buf, view.len, &tap)
    PyBuffer_Release(&view)
    return (tap.seq, tap.count, tap.dt_ms) if valid else None


def decode_tapped(payload):
    """Read exactly `[65, seq, …, durable_seq]`: the eight numbers after the op, or None for anything else."""
    cdef Py_buffer view
    cdef tapped_frame tapped
    cdef bint valid
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    valid = parse_tapped(<const uint8_t*> view.buf, view.len, &tapped)
    PyBuffer_Release(&view)
    if not valid:
        return None
    return (
        tapped.seq, tapped.accepted, tapped.tokens, tapped.xp,
        tapped.level, tapped.energy, tapped.combo, tapped.durable_seq,
    )


def encode_tap(uint64_t seq, uint64_t count, uint64_t dt_ms):
    """Write `[2, seq, count, dt_ms]` in the smallest encoding."""
    cdef uint8_t[TAP_MAX_BYTES] out
    cdef tap_frame tap = tap_frame(seq, count, dt_ms)
    cdef Py_ssize_t size = write_tap(out, &tap)
    return PyBytes_FromStringAndSize(<const char*> out, size)


def encode_tapped(
    uint64_t seq, uint64_t accepted, uint64_t tokens, uint64_t xp,
    uint64_t level, uint64_t energy, uint64_t combo, uint64_t durable_seq,
):
    """Write `[65, seq, accepted, tokens, xp, level, energy, combo, durable_seq]` in the smallest encoding."""
    cdef uint8_t[TAPPED_MAX_BYTES] out
    cdef tapped_frame tapped = tapped_frame(seq, accepted, tokens, xp, level, energy, combo, durable_seq)
    cdef Py_ssize_t size = write_tapped(out, &tapped)
    return PyBytes_FromStringAndSize(<const char*> out, size)
