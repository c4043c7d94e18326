"""Rate limit in constant memory, readable: the specification of `hotpath.rate_limit`.

A sliding-window *counter*: time is cut into windows, and the count of the window before is weighted by how much of it
the last `window_ms` still cover. Alternatives: a log of time stamps is exact but grows with the limit; a fixed window
lets through twice the limit around each border; a token bucket limits a rate rather than a count in a window. This one
admits at most `limit` in each of its own windows and fewer than twice that in any other stretch of the same length.

With c in this window, p in the one before and e ms of this window gone, one more is admitted while

    (c + 1)·window + p·(window − e) <= limit·window          all in integers
"""

from typing import Final

MAX_LIMIT: Final = 1_000_000
MAX_WINDOW_MS: Final = 86_400_000  #: a day


class SlidingWindow:
    """Admits about `limit` events in any `window_ms`.

    Domain in which the twins are equal: int arguments, 0 ≤ now_ms < 2⁶². Products stay below 10¹⁴.

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

    def acquire(self, now_ms: int) -> int:
        """Ask to admit one event.

        A clock that goes back locks nobody out: if it falls behind the present window, that window starts anew at
        `now_ms`, so a wait is never longer than two windows.

        Args:
            now_ms: the present.

        Returns:
            0 if it is admitted; otherwise the number of ms ≥ 1 after which it would be, at the earliest, if nothing
            else is admitted until then. A refused event does not count.
        """
        window_ms = self._window_ms
        if now_ms < self._start_ms:
            self._start_ms = now_ms
        windows_gone = (now_ms - self._start_ms) // window_ms
        if windows_gone:
            self._previous = self._count if windows_gone == 1 else 0
            self._count = 0
            self._start_ms += windows_gone * window_ms

        elapsed_ms = now_ms - self._start_ms
        room = self._limit - self._count - 1  # beside this event, in this window
        if room >= 0:
            free_ms = _free_from_ms(self._previous, room, window_ms)
            if free_ms <= elapsed_ms:
                self._count += 1
                return 0
            if free_ms < window_ms:
                return free_ms - elapsed_ms
        # Only in the next window, where what this one counts is the one before.
        return window_ms - elapsed_ms + _free_from_ms(self._count, self._limit - 1, window_ms)


def _free_from_ms(previous: int, room: int, window_ms: int) -> int:
    # The least e >= 0 with previous·(window − e) <= room·window.
    return window_ms - room * window_ms // previous if previous > room else 0


def _checked(name: str, value: object, high: int) -> int:
    if type(value) is not int or not 1 <= value <= high:
        raise ValueError(f"{name} must be an integer from 1 to {high}, not {value!r}")
    return value
