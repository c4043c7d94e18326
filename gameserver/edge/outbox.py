"""The bounded queue of frames to one socket.

Replies and lossless events are bounded by frames and bytes. A reader that stays over the bound for `OUTBOX_GRACE_S` is
closed with 4008, and one that reaches twice the bound at once: memory never grows with a slow reader (wire protocol,
"Close codes").
"""

from collections import deque
from collections.abc import Callable

from gameserver.clock import Clock
from gameserver.wire.ops import OUTBOX_GRACE_S, OUTBOX_MAX_BYTES, OUTBOX_MAX_FRAMES


class Outbox:
    """Frames waiting for one socket.

    Args:
        clock: the present.
        wake: called whenever there is something to do for whoever writes to the socket; must not raise.
    """

    __slots__ = ("_bytes", "_clock", "_frames", "_over_since_ms", "_wake", "closing", "ping_due")

    def __init__(self, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._over_since_ms = 0
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._wake = wake
        self.closing: tuple[int, str] | None = None  #: close frame (code, reason) to send after the last frame
        self.ping_due = False  #: a WebSocket ping is to be sent

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def queued_bytes(self) -> int:
        """Payload bytes waiting."""
        return self._bytes

    @property
    def grace_until_ms(self) -> int:
        """How long a reader that is over the bound may stay so; 0 while it is within."""
        return self._over_since_ms and self._over_since_ms + OUTBOX_GRACE_S * 1_000

    @property
    def full(self) -> bool:
        """Whether no grace is left."""
        return len(self._frames) > 2 * OUTBOX_MAX_FRAMES or self._bytes > 2 * OUTBOX_MAX_BYTES

    def push(self, frame: bytes) -> None:
        """Queue a frame; dropped when the end is already queued."""
        if self.closing is not None:
            return
        self._frames.append(frame)
        self._bytes += len(frame)
        if not self._over_since_ms and self._is_over():
            self._over_since_ms = self._clock.now_ms()
        self._wake()

    def pop(self) -> bytes | None:
        """The next frame to write, or None."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._bytes -= len(frame)
        if self._over_since_ms and not self._is_over():
            self._over_since_ms = 0
        return frame

    def ping(self) -> None:
        """Ask for a WebSocket ping."""
        self.ping_due = True
        self._wake()

    def discard(self) -> None:
        """Forget what is queued: the reader does not read."""
        self._frames.clear()
        self._bytes = 0
        self._over_since_ms = 0

    def end(self, code: int, reason: str, last: bytes | None) -> None:
        """Nothing follows any more but `last` and the close frame with `code` and `reason`."""
        if last is not None:
            self.push(last)
        self.closing = code, reason
        self._wake()

    def _is_over(self) -> bool:
        return len(self._frames) > OUTBOX_MAX_FRAMES or self._bytes > OUTBOX_MAX_BYTES
