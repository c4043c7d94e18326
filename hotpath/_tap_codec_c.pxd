"""TAP and TAPPED on raw bytes, for C code that answers taps without a Python object. Meaning: `_tap_codec_py.py`.

No function reads before `data` or at or after `data + size`, and none keeps a pointer.
"""

from libc.stdint cimport uint8_t, uint64_t

cpdef enum:
    TAP_OP = 2
    TAPPED_OP = 65
    MAX_TAPS_PER_FRAME = 100
    MAX_DT_MS = 600_000
    TAP_MAX_BYTES = 29
    TAPPED_MAX_BYTES = 74


cdef struct tap_frame:
    uint64_t seq
    uint64_t count
    uint64_t dt_ms


cdef struct tapped_frame:
    uint64_t seq
    uint64_t accepted
    uint64_t tokens
    uint64_t xp
    uint64_t level
    uint64_t energy
    uint64_t combo
    uint64_t durable_seq


# True and `tap` filled in if the bytes are exactly one valid TAP; else False, and `tap` holds nothing of use.
cdef bint parse_tap(const uint8_t* data, Py_ssize_t size, tap_frame* tap) noexcept nogil
# The same for a TAPPED.
cdef bint parse_tapped(const uint8_t* data, Py_ssize_t size, tapped_frame* tapped) noexcept nogil
# Writes at most TAP_MAX_BYTES; returns how many.
cdef Py_ssize_t write_tap(uint8_t* out, const tap_frame* tap) noexcept nogil
# Writes at most TAPPED_MAX_BYTES; returns how many.
cdef Py_ssize_t write_tapped(uint8_t* out, const tapped_frame* tapped) noexcept nogil
