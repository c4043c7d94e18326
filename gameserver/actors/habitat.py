"""What all players of a node share."""

from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from gameserver.actors.tally import SuspicionTally
from gameserver.clock import Clock
from hotpath.player_state import World
from hotpath.tap_path import Tally
from persistence.backlog import Backlog


class Writer(Protocol):
    """Write-behind, as a player sees it; the actors are players, which stand above this module."""

    @property
    def degraded(self) -> bool:
        """Whether the database is away, as far as the last transaction knows."""
        ...

    @property
    def backlog(self) -> Backlog:
        """Where players enter what they hold beside their rows."""
        ...

    def mark_dirty(self, actor: Any, /) -> None:
        """There is something to write; cheap and idempotent."""
        ...

    def hurry(self, actor: Any, /) -> None:
        """There is, and somebody waits for it."""
        ...


class Directory(Protocol):
    """What a player's operations look up in the database; each raises `DatabaseUnavailable`."""

    async def find_player(self, public_id: UUID) -> int | None:
        """The id of a player, None where there is none."""
        ...

    async def stored_answer(self, player_id: int, lineage: bytes, seq: int) -> bytes | None:
        """The stored frame that answered a hard operation, None where there is none."""
        ...


class Dropped(Protocol):
    """Told when a state in memory must not be used any more."""

    def __call__(self, key: UUID, reason: str, actor: Any, /, *, quarantine: bool = False) -> None:
        """Drop the actor of this public id, if it is still this one; `quarantine`: keep the next one from writing."""


@dataclass(frozen=True, slots=True)
class Habitat:
    """What all players of a node share."""

    world: World  #: what they share in a tap
    tally: Tally  #: counts what they do
    clock: Clock  #: the present, for flushes; turns are told theirs
    writer: Writer
    directory: Directory
    dropped: Dropped
    suspicions: SuspicionTally = field(default_factory=SuspicionTally)  #: counts who is over the threshold
