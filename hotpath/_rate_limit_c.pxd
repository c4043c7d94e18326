"""Rate limit for other C code. Meaning: `_rate_limit_py.py`."""

from libc.stdint cimport int64_t

cpdef enum:
    MAX_LIMIT = 1_000_000
    MAX_WINDOW_MS = 86_400_000


cdef class SlidingWindow:
    cdef int64_t limit
    cdef int64_t window_ms
    cdef int64_t start_ms
    cdef int64_t count
    cdef int64_t previous

    cpdef int64_t wait_ms(self, int64_t now_ms) noexcept nogil
    cpdef int64_t acquire(self, int64_t now_ms) noexcept nogil
    cpdef bint idle(self, int64_t now_ms) noexcept nogil
    cdef int64_t turn_to(self, int64_t now_ms) noexcept nogil
