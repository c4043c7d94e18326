"""Rate limit in constant memory, as it runs; `_rate_limit_py.py` is the specification."""

cimport cython
from libc.stdint cimport int64_t


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

    @cython.cdivision(True)  # no operand is negative, and `previous` is not 0 where it divides
    cpdef int64_t wait_ms(self, int64_t now_ms) noexcept nogil:
        """0 if one event would be admitted, otherwise the earliest wait in ms after which it would be."""
        cdef int64_t elapsed_ms = self.turn_to(now_ms)
        cdef int64_t room = self.limit - self.count
        cdef int64_t free_ms
        if not room:
            return self.window_ms - elapsed_ms
        if self.previous < room:
            return 0
        free_ms = self.window_ms - 1 - (room * self.window_ms - 1) // self.previous
        return free_ms - elapsed_ms if free_ms > elapsed_ms else 0

    cpdef int64_t acquire(self, int64_t now_ms) noexcept nogil:
        """Ask to admit one event: as `wait_ms`, and it counts where that is 0."""
        cdef int64_t wait_ms = self.wait_ms(now_ms)
        if not wait_ms:
            self.count += 1
        return wait_ms

    cpdef bint idle(self, int64_t now_ms) noexcept nogil:
        """Whether nothing counts any more."""
        self.turn_to(now_ms)
        return not self.count and not self.previous

    @cython.cdivision(True)  # `now_ms` is not before `start_ms` by then, and no window is 0
    cdef int64_t turn_to(self, int64_t now_ms) noexcept nogil:
        """Begin the window of `now_ms` where that is another one; returns how much of it has gone."""
        cdef int64_t windows_gone
        if now_ms < self.start_ms:
            self.start_ms = now_ms
        windows_gone = (now_ms - self.start_ms) // self.window_ms
        if windows_gone:
            self.previous = self.count if windows_gone == 1 else 0
            self.count = 0
            self.start_ms += windows_gone * self.window_ms
        return now_ms - self.start_ms
