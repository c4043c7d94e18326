"""A player's own channel: lossless events with an epoch and growing offsets, kept a while for recovery.

The epoch is the player's owner epoch, so it changes with every activation. A client that comes back with the same epoch
and an offset the ring still covers gets exactly what it missed; any other takes the snapshot that WELCOME is (wire
protocol, "Channels and recovery").
"""

from collections import deque

from gameserver.wire.messages import Event

CHANNEL = "player"  #: the name of everyone's own channel
RING_EVENTS = 256
RING_MS = 60_000


class Feed:
    """The ring of one player's channel.

    Args:
        epoch: identifies this life of the channel.
    """

    __slots__ = ("_ring", "epoch", "offset")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.offset = 0
        self._ring: deque[tuple[int, Event]] | None = None  # most players rarely have an event

    def append(self, name: str, data: object, now_ms: int) -> Event:
        """Number an event and keep it for recovery."""
        self.offset += 1
        event = Event(channel=CHANNEL, offset=self.offset, name=name, data=data)
        if self._ring is None:
            self._ring = deque(maxlen=RING_EVENTS)
        self._ring.append((now_ms, event))
        self._forget(now_ms)
        return event

    def since(self, epoch: int, offset: int, now_ms: int) -> list[Event] | None:
        """The events after `offset`, or None where not every one of them is still here."""
        self._forget(now_ms)
        if epoch != self.epoch or not 0 <= offset <= self.offset:
            return None
        missed = self.offset - offset
        kept = self._ring or ()
        if missed > len(kept):
            return None
        return [event for _, event in kept if event.offset > offset]

    def _forget(self, now_ms: int) -> None:
        while self._ring and self._ring[0][0] < now_ms - RING_MS:
            self._ring.popleft()
