"""What all sessions of a node share, and what they are to it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gameserver.actors.actor import Cell
from gameserver.actors.player import PlayerActor
from gameserver.clock import Clock
from gameserver.edge.counters import Counters
from gameserver.edge.returns import Returns
from gameserver.errors import WireError
from gameserver.rate_limits.limiter import RateLimits
from gameserver.wire.messages import Hello
from hotpath.tap_path import Notices


class Greeted(Protocol):
    """A session, as the door sees it."""

    address: str  #: of its peer, "" = unknown

    def join(self, cell: Cell[PlayerActor], hello: Hello, login: UUID, tokens: tuple[str, str] | None) -> None:
        """The credential is good: attach to the player."""
        ...

    def turned_away(self, error: WireError) -> None:
        """There will be no attachment."""
        ...


class Door(Protocol):
    """Who lets a HELLO in: checks the credential, then calls `join` or `turned_away` of the session."""

    def greet(self, session: Greeted, hello: Hello) -> None:
        """Start the check; may finish later."""
        ...


class Watched(Protocol):
    """What has deadlines: a session, or a socket that is being closed. Times are the monotonic clock's."""

    due_ms: int  #: the earliest arranged tick, 0 = none; kept by the watch
    far_due_ms: int  #: a later one that stands, 0 = none; kept by the watch

    def tick(self, uptime_ms: int) -> int:
        """A deadline may have passed; returns when to look again, 0 = never."""
        ...

    def crashed(self, error: Exception) -> None:
        """Its tick raised."""
        ...


class Watch(Protocol):
    """Who calls `tick` when a deadline comes."""

    def watch(self, watched: Watched, due_ms: int) -> None:
        """Tick `watched` at `due_ms`, or earlier."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions of a node share."""

    clock: Clock
    door: Door
    watch: Watch
    notices: Notices
    counters: Counters
    returns: Returns
    limits: RateLimits
