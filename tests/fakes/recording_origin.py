"""A session as actors know it, that writes down what it is told."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from gameserver.actors.messages import Welcomed
from gameserver.errors import WireError
from gameserver.wire.messages import ErrorFrame, Event, Result
from gameserver.wire.ops import CloseCode
from hotpath.tap_codec import decode_tapped


@dataclass(eq=False)
class RecordingOrigin:
    """Keeps every call in `told`, in order, and the last of each kind where it is easy to see."""

    lineage: bytes = bytes(16)
    closed: bool = False
    blocked: tuple[int, WireError] | None = None
    welcomed: Welcomed | None = None
    told: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    goodbyes: list[tuple[CloseCode, str]] = field(default_factory=list)
    turned_away_by: WireError | None = None
    broken: bool = False  #: answering a tap raises
    attached: bool = False

    def welcome(self, welcomed: Welcomed) -> None:
        self.welcomed = welcomed
        self.closed = True  # as a session: no second attachment
        self.attached = True

    def detached(self) -> None:
        self.attached = False

    def unblock(self) -> None:
        self.blocked = None

    def tapped(self, frame: bytes, durable_seq: int) -> None:
        if self.broken:
            raise RuntimeError("a session's bug")
        fields = decode_tapped(frame)
        assert fields is not None
        assert fields[-1] == durable_seq
        self.told.append(("tapped", *fields))

    def reply(self, message: Result | ErrorFrame) -> None:
        if isinstance(message, Result):
            result = message.result
            if not isinstance(result, msgspec.Raw):
                result = msgspec.Raw(msgspec.msgpack.encode(result))
            self.told.append(("result", message.seq, msgspec.msgpack.decode(result), message.durable_seq))
        else:
            self.told.append(("error", message.seq, message.name, message.retry_after_ms))

    def publish(self, event: Event) -> None:
        self.events.append(event)
        self.told.append(("event", event.offset, event.name))

    def refuse(self, seq: int, error: WireError) -> None:
        if error.retry_after_ms and (self.blocked is None or seq < self.blocked[0]):
            self.blocked = seq, error
        self.told.append(("error", seq, error.name, error.retry_after_ms))

    def durable(self, durable_seq: int) -> None:
        self.told.append(("durable", durable_seq))

    def turned_away(self, error: WireError) -> None:
        self.turned_away_by = error

    def goodbye(self, code: CloseCode, reason: str) -> None:
        self.goodbyes.append((code, reason))

    def take(self) -> list[tuple[Any, ...]]:
        """What it was told since the last time."""
        told, self.told = self.told, []
        return told
