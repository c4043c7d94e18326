"""Rate limit in constant memory, as it runs; `_rate_limit_py.py` is the specification."""

cimport cython
from libc.stdint cimport int64_t


@cython.cdivision(True)  # no operand is negative, no divisor 0
cdef int64_t free_from_ms(int64_t previous, int64_t room, int64_t window_ms) noexcept nogil:
    """The least e >= 0 with previous·(window − e) <= room·window."""
    return window_ms - room * window_ms // previous if previous > room else 0


cdef int64_t checked(str name, object value, object high) except -1:
    if type(value) is not int or not 1 <= value <= high:
        raise ValueError(f"{name} must be an integer from 1 to {high}, not {value!r}")
    return value


@cython.final
cdef class SlidingWindow:
    """Admits about `limit` events in any `window_ms`."""

    def __init__(self, limit, window_ms):
        self.limit = checked("limit", limit, MAX_LIMIT)
        self.window_ms = checked("window_ms", window_ms, MAX_WINDOW_MS)
        self.start_ms = self.count = self.previous = 0

    @cython.cdivision(True)  # `now_ms` is not before `start_ms` by then, and no window is 0
    cpdef int64_t acquire(self, int64_t now_ms) noexcept nogil:
        """Ask to admit one event: 0 if it is, otherwise the earliest wait in ms after which it would be."""
        cdef int64_t windows_gone, elapsed_ms, room, free_ms
        if now_ms < self.start_ms:
            self.start_ms = now_ms
        windows_gone = (now_ms - self.start_ms) // self.window_ms
        if windows_gone:
            self.previous = self.count if windows_gone == 1 else 0
            self.count = 0
            self.start_ms += windows_gone * self.window_ms

        elapsed_ms = now_ms - self.start_ms
        room = self.limit - self.count - 1
        if room >= 0:
            free_ms = free_from_ms(self.previous, room, self.window_ms)
            if free_ms <= elapsed_ms:
                self.count += 1
                return 0
            if free_ms < self.window_ms:
                return free_ms - elapsed_ms
        return self.window_ms - elapsed_ms + free_from_ms(self.count, self.limit - 1, self.window_ms)
