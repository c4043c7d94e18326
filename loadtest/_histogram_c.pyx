# cython: overflowcheck=False
"""Log-linear histogram of times: constant memory and cost, any range, an error below 1 %.

Values below 2^SUB_BITS ns have a bucket each; above, every power of two is divided into 2^SUB_BITS buckets. A quantile
is the middle of the bucket in which it lies, never more than the highest value, which is kept exactly.
"""

cimport cython
from libc.stdint cimport uint64_t
from libc.string cimport memset

cdef extern from *:
    """
    static inline int highest_bit(uint64_t value) { return 63 - __builtin_clzll(value); }
    """
    int highest_bit(uint64_t value) noexcept nogil


cdef int bucket_of(uint64_t value_ns) noexcept nogil:
    cdef int shift
    if value_ns < <uint64_t> (1 << SUB_BITS):
        return <int> value_ns
    shift = highest_bit(value_ns) - SUB_BITS
    if shift >= LONGEST_BITS - SUB_BITS:
        return BUCKETS - 1
    return ((shift + 1) << SUB_BITS) + <int> ((value_ns >> shift) & <uint64_t> ((1 << SUB_BITS) - 1))


cdef uint64_t middle_of(int bucket) noexcept nogil:
    cdef int shift
    if bucket < 1 << SUB_BITS:
        return <uint64_t> bucket
    shift = (bucket >> SUB_BITS) - 1
    return ((<uint64_t> ((1 << SUB_BITS) + (bucket & ((1 << SUB_BITS) - 1)))) << shift) + ((<uint64_t> 1 << shift) >> 1)


@cython.final
cdef class Histogram:
    """Times in nanoseconds."""

    cdef void put(self, uint64_t value_ns) noexcept nogil:
        self.buckets[bucket_of(value_ns)] += 1
        self.count += 1
        self.sum_ns += value_ns
        if value_ns > self.highest_ns:
            self.highest_ns = value_ns

    def add(self, uint64_t value_ns):
        """Count one value."""
        self.put(value_ns)

    def clear(self):
        """Forget all values."""
        memset(self.buckets, 0, sizeof(self.buckets))
        self.count = self.highest_ns = self.sum_ns = 0

    def quantile_ns(self, double share):
        """The value that `share` of all values do not exceed; 0 without values.

        Raises:
            ValueError: `share` is not in 0 … 1.
        """
        cdef uint64_t wanted, seen = 0
        cdef int bucket
        if not 0.0 <= share <= 1.0:
            raise ValueError("a quantile is between 0 and 1")
        if not self.count:
            return 0
        wanted = <uint64_t> (share * <double> self.count)
        if <double> wanted < share * <double> self.count or wanted == 0:
            wanted += 1
        for bucket in range(BUCKETS - 1):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return min(middle_of(bucket), self.highest_ns)
        return self.highest_ns

    def mean_ns(self):
        """The mean; 0.0 without values."""
        return <double> self.sum_ns / <double> self.count if self.count else 0.0
