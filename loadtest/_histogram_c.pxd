"""The histogram for other C code."""

cimport cython
from libc.stdint cimport uint64_t

cpdef enum:
    SUB_BITS = 7  # 128 buckets to every power of two: a bucket is less than 1 % wide
    LONGEST_BITS = 42  # beyond 2^42 ns, more than an hour, all values share the last bucket

cdef enum:
    BUCKETS = 4_608  # (42 - 7 + 1) << 7; with the names it would break the build with overflow checks


@cython.final
cdef class Histogram:
    cdef uint64_t[BUCKETS] buckets
    cdef readonly uint64_t count
    cdef readonly uint64_t highest_ns
    cdef uint64_t sum_ns

    cdef void put(self, uint64_t value_ns) noexcept nogil
