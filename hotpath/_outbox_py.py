"""The bounded queue of frames to one socket: the specification of `_outbox_c.pyx`.

Replies and lossless events are bounded by frames and bytes. A reader that stays over the bound for the grace is closed
with 4008, and one that reaches twice the bound at once: memory never grows with a slow reader (wire protocol, "Close
codes"). Of conflated events, only the latest with each key waits, so they need no bound.
"""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Protocol


class MonotonicClock(Protocol):
    """What the grace is measured with."""

    def uptime_ms(self) -> int:
        """Milliseconds since some moment, never 0."""
        ...


class Outbox:
    """Frames waiting for one socket; without bounds until `bound` sets some.

    Args:
        wake: called whenever there is something to do for whoever writes to the socket; must not raise.
    """

    __slots__ = (
        "_clock",
        "_frames",
        "_grace_ms",
        "_latest",
        "_max_bytes",
        "_max_frames",
        "_over_since_ms",
        "_wake",
        "closing",
        "ping_due",
        "queued_bytes",
    )

    def __init__(self, wake: Callable[[], None] | None = None) -> None:
        self._wake = wake
        self._clock: MonotonicClock | None = None
        self._max_frames = self._max_bytes = self._grace_ms = 0
        self._over_since_ms = 0
        self._frames: deque[bytes | str] = deque()
        self._latest: dict[Hashable, bytes] = {}
        self.queued_bytes = 0  #: payload waiting, conflated frames not included
        self.closing: tuple[int, str] | None = None  #: close frame (code, reason) to send after the last frame
        self.ping_due = False  #: a WebSocket ping is to be sent

    def bound(self, clock: MonotonicClock, max_frames: int, max_bytes: int, grace_ms: int) -> None:
        """Set the bounds.

        Args:
            clock: for the grace.
            max_frames: frames that may wait …
            max_bytes: … and their payload; conflated frames count in neither.
            grace_ms: how long a reader may stay over them.
        """
        self._clock, self._max_frames, self._max_bytes, self._grace_ms = clock, max_frames, max_bytes, grace_ms

    def __len__(self) -> int:
        return len(self._frames) + len(self._latest)

    @property
    def grace_until_ms(self) -> int:
        """How long a reader that is over the bound may stay so; 0 while it is within."""
        return self._over_since_ms and self._over_since_ms + self._grace_ms

    @property
    def full(self) -> bool:
        """Whether no grace is left."""
        return self._max_frames > 0 and (
            len(self._frames) > 2 * self._max_frames or self.queued_bytes > 2 * self._max_bytes
        )

    def push(self, frame: bytes | str) -> None:
        """Queue a frame (str: a text frame); dropped when the end is already queued."""
        if self.closing is not None:
            return
        self._frames.append(frame)
        self.queued_bytes += len(frame)
        if self._clock is not None and not self._over_since_ms and self._is_over():
            self._over_since_ms = self._clock.uptime_ms()
        self._changed()

    def conflate(self, key: Hashable, frame: bytes) -> None:
        """Queue a frame of which only the latest with `key` matters; it comes after every other frame."""
        if self.closing is None:
            self._latest[key] = frame
            self._changed()

    def pop(self) -> bytes | str | None:
        """The next frame to write, or None."""
        if not self._frames:
            return self._latest.pop(next(iter(self._latest))) if self._latest else None
        frame = self._frames.popleft()
        self.queued_bytes -= len(frame)
        if self._over_since_ms and not self._is_over():
            self._over_since_ms = 0
        return frame

    def ping(self) -> None:
        """Ask for a WebSocket ping."""
        self.ping_due = True
        self._changed()

    def discard(self) -> None:
        """Forget what is queued: the reader does not read."""
        self._frames.clear()
        self._latest.clear()
        self.queued_bytes = 0
        self._over_since_ms = 0

    def end(self, code: int, reason: str, last: bytes | None) -> None:
        """Nothing follows any more but `last` and the close frame with `code` and `reason`."""
        if last is not None:
            self.push(last)
        self._latest.clear()
        self.closing = code, reason
        self._changed()

    def _changed(self) -> None:
        if self._wake is not None:
            self._wake()

    def _is_over(self) -> bool:
        return len(self._frames) > self._max_frames or self.queued_bytes > self._max_bytes
