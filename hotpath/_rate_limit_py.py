"""Rate limit in constant memory, readable: the specification of `hotpath.rate_limit`.

A sliding-window *counter*: time is cut into windows, and the count of the window before is weighted by how much of it
the last `window_ms` still cover. Alternatives: a log of time stamps is exact but grows with the limit; a fixed window
lets through twice the limit around each border; a token bucket limits a rate rather than a count in a window. This one
admits at most `limit` in each of its own windows and at most twice that in any other stretch of the same length.

With c in this window, p in the one before and e whole ms of this window gone, the last `window` ms, the present one
included, still cover window − e − 1 ms of the one before. One more is admitted while

    c + ⌊p·(window − e − 1) / window⌋ < limit                in integers

What is left of the window before is rounded down, so that one is always admitted where a window begins: nobody waits
longer than a window.
"""

from typing import Final

MAX_LIMIT: Final = 1_000_000
MAX_WINDOW_MS: Final = 86_400_000  #: a day


class SlidingWindow:
    """Admits about `limit` events in any `window_ms`.

    Domain in which the twins are equal: int arguments, 0 ≤ now_ms < 2⁶². Products stay below 10¹⁴.

    A clock that goes back locks nobody out: if it falls behind the present window, that window starts anew at the
    present.

    Args:
        limit: events in a window, 1 … 1 000 000.
        window_ms: length of the window, 1 … 86 400 000.

    Raises:
        ValueError: an argument is no int or out of range; the sentence names it.
    """

    __slots__ = ("_count", "_limit", "_previous", "_start_ms", "_window_ms")

    def __init__(self, limit: int, window_ms: int) -> None:
        self._limit = _checked("limit", limit, MAX_LIMIT)
        self._window_ms = _checked("window_ms", window_ms, MAX_WINDOW_MS)
        self._start_ms = 0
        self._count = 0
        self._previous = 0

    def wait_ms(self, now_ms: int) -> int:
        """Look whether one event would be admitted; counts nothing.

        Args:
            now_ms: the present.

        Returns:
            0 if it would be; otherwise the number of ms ≥ 1 after which it would be, at the earliest, if nothing is
            admitted until then. It would be at any time after that too. Never more than `window_ms`.
        """
        window_ms = self._window_ms
        elapsed_ms = self._turn_to(now_ms)
        room = self._limit - self._count
        if not room:
            return window_ms - elapsed_ms  # the next window begins with room for one
        if self._previous < room:
            return 0
        # The least e >= 0 with ⌊previous·(window − e − 1) / window⌋ < room.
        free_ms = window_ms - 1 - (room * window_ms - 1) // self._previous
        return max(free_ms - elapsed_ms, 0)

    def acquire(self, now_ms: int) -> int:
        """Ask to admit one event.

        Args:
            now_ms: the present.

        Returns:
            As `wait_ms`; where that is 0 the event is admitted and counts. A refused one does not count.
        """
        wait_ms = self.wait_ms(now_ms)
        if not wait_ms:
            self._count += 1
        return wait_ms

    def idle(self, now_ms: int) -> bool:
        """Whether nothing counts any more: a new one would do as well."""
        self._turn_to(now_ms)
        return not self._count and not self._previous

    def _turn_to(self, now_ms: int) -> int:
        """Begin the window of `now_ms` where that is another one; returns how much of it has gone."""
        if now_ms < self._start_ms:
            self._start_ms = now_ms
        windows_gone = (now_ms - self._start_ms) // self._window_ms
        if windows_gone:
            self._previous = self._count if windows_gone == 1 else 0
            self._count = 0
            self._start_ms += windows_gone * self._window_ms
        return now_ms - self._start_ms


def _checked(name: str, value: object, high: int) -> int:
    if type(value) is not int or not 1 <= value <= high:
        raise ValueError(f"{name} must be an integer from 1 to {high}, not {value!r}")
    return value
