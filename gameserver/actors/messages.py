"""What a player's actor is told, and whom it answers.

`Origin` is a session as far as actors know it; the session itself lives in a higher layer.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from gameserver.actors.actor import Message
from gameserver.errors import WireError
from gameserver.wire.messages import ChannelState, ErrorFrame, Event, Position, Result, State
from gameserver.wire.ops import CloseCode
from hotpath.tap_path import TapLine
from persistence.records import GrantRow

if TYPE_CHECKING:
    from hotpath._tap_path_py import TapActor

MERGED_TAPS = 1_024  #: TAP frames that one waiting run holds at most


@dataclass(frozen=True, slots=True)
class Welcomed:
    """What an attachment tells the session."""

    public_id: UUID
    applied_seq: int
    durable_seq: int
    state: State
    channels: dict[str, ChannelState]
    line: TapLine  #: by which taps may be answered without a message …
    actor: "TapActor"  #: … and who is to be told of them


class Origin(Protocol):
    """Where operations come from and answers go. Its methods do not raise: a turn has changed the state by then."""

    @property
    def blocked(self) -> tuple[int, WireError] | None:
        """What the lineage waits for (go back N): `(seq, error)` of the operation that must come again, or None."""
        ...

    def unblock(self) -> None:
        """The operation has come again."""
        ...

    @property
    def lineage(self) -> bytes:
        """The lineage (16 bytes) its operations belong to."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        ...

    def welcome(self, welcomed: Welcomed) -> None:
        """The attachment succeeded."""
        ...

    def detached(self) -> None:
        """The attachment has ended: no tap may be answered by it any more."""
        ...

    def tapped(self, frame: bytes, durable_seq: int) -> None:
        """Send an encoded TAPPED frame that tells `durable_seq`."""
        ...

    def reply(self, message: Result | ErrorFrame) -> None:
        """Answer an operation."""
        ...

    def publish(self, event: Event) -> None:
        """Send a lossless event."""
        ...

    def refuse(self, seq: int, error: WireError) -> None:
        """Answer operation `seq` with `error`; a retryable one blocks the lineage until `seq` comes again."""
        ...

    def durable(self, durable_seq: int) -> None:
        """Every operation up to `durable_seq` is committed; need not be sent at once."""
        ...

    def turned_away(self, error: WireError) -> None:
        """The attachment failed; say goodbye as `error` demands."""
        ...

    def goodbye(self, code: CloseCode, reason: str) -> None:
        """End the connection with `code`."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn of one operation, as its handler sees it."""

    now_ms: int
    lineage: bytes
    seq: int
    found: Any = None  #: what its lookup has brought


#: What an action does within its turn: (the player's actor, args, turn) → result; raises `WireError` to refuse.
Handler = Callable[[Any, Any, Turn], Any]

#: What an action has to know from the database before its turn: (directory, args) → `Turn.found`.
Lookup = Callable[[Any, Any], Awaitable[Any]]


class _Unmerged:
    __slots__ = ()

    def merge(self, later: Message) -> bool:
        """Stands alone."""
        del later
        return False


@dataclass(slots=True, eq=False)
class Attach(_Unmerged):
    """A socket says HELLO for this player."""

    origin: Origin
    channels: Mapping[str, Position]  #: what the client has seen
    control = False
    writes = False

    def refuse(self, error: WireError) -> None:
        """The player cannot be had."""
        self.origin.turned_away(error)


@dataclass(slots=True, eq=False)
class Detach(_Unmerged):
    """The socket is gone."""

    origin: Origin
    control = True
    writes = False

    def refuse(self, error: WireError) -> None:
        """Nobody is left to be told."""


@dataclass(slots=True, eq=False)
class Taps:
    """TAP frames in the order of their arrival; frames that wait behind each other become one message.

    Their taps need not be summed: at one `now` and one multiplier every split pays the same (a tested property), so
    one turn over all of them is the sum, answered one by one.
    """

    frames: list[tuple[Origin, int, int]] = field(default_factory=list)  #: (origin, seq, count)
    control = False
    writes = True

    def merge(self, later: Message) -> bool:
        """Take the later frames in, up to `MERGED_TAPS`."""
        if not isinstance(later, Taps) or len(self.frames) + len(later.frames) > MERGED_TAPS:
            return False
        self.frames.extend(later.frames)
        return True

    def refuse(self, error: WireError) -> None:
        """Each frame is answered."""
        for origin, seq, _ in self.frames:
            origin.refuse(seq, error)


@dataclass(slots=True, eq=False)
class Operate(_Unmerged):
    """An ACTION whose arguments have been decoded."""

    origin: Origin
    seq: int
    name: str
    args: Any
    handler: Handler
    writes: bool = True  #: False for an action that only reads
    hard: bool = False  #: answered only after its commit
    lookup: Lookup | None = None  #: still to be done
    found: Any = None  #: what it has brought
    failure: WireError | None = None  #: what it is answered with, because the lookup failed
    recalled: bool = False  #: a repeat; `found` is its stored answer
    control = False

    def refuse(self, error: WireError) -> None:
        """The operation is answered."""
        self.origin.refuse(self.seq, error)


@dataclass(slots=True, eq=False)
class Spoil(_Unmerged):
    """An operation with a good seq that is wrong elsewhere: a final error, which consumes the seq."""

    origin: Origin
    seq: int
    error: WireError
    control = False
    writes = True

    def refuse(self, error: WireError) -> None:
        """The operation is answered."""
        self.origin.refuse(self.seq, error)


@dataclass(slots=True, eq=False)
class Grant(_Unmerged):
    """Something is owed to the player (a row of `player_grants`)."""

    row: GrantRow
    control = False
    writes = True

    def refuse(self, error: WireError) -> None:
        """The row stays; it is applied with the next notice or activation."""
