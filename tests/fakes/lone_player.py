"""One player's actor without a registry: turns are run by hand, a turn that raises is handled as a cell does."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import trio

from gameserver.actors.actor import Message
from gameserver.actors.messages import Attach, Detach, Grant, Handler, Operate, Spoil, Taps
from gameserver.actors.player import PlayerActor
from gameserver.clock import ManualClock
from gameserver.edge.dispatch import HANDLERS, LOOKUPS
from gameserver.errors import InvalidArgument
from gameserver.wire.catalogue import ACTIONS, Durability, NoArgs
from gameserver.wire.messages import Position
from persistence.records import GrantRow
from tests.fakes.player_database import PlayerDatabase, PlayerRow
from tests.fakes.recording_origin import RecordingOrigin


class LonePlayer:
    """A player in memory, its database and its clock."""

    def __init__(self, database: PlayerDatabase | None = None, row: PlayerRow | None = None, **columns: int) -> None:
        self.clock = ManualClock()
        self.database = database or PlayerDatabase()
        self.row = row or self.database.add(generation=1, **columns)
        self.dropped: list[tuple[UUID, str, PlayerActor]] = []
        self.quarantines = 0
        self.raised: list[Exception] = []
        self.actor = self.load()

    def load(self) -> PlayerActor:
        """Claim the player and make its actor."""
        habitat = self.database.habitat(self.clock, self._drop)
        self.actor = PlayerActor(self.database.load(self.row), habitat)
        return self.actor

    def _drop(self, public_id: UUID, reason: str, actor: PlayerActor, *, quarantine: bool = False) -> None:
        self.dropped.append((public_id, reason, actor))
        self.quarantines += quarantine

    def tell(self, message: Message | None) -> None:
        """One turn; what is left of one that raised comes next, and what comes back from an errand."""
        while message is not None:
            try:
                errand = self.actor.handle(message, self.clock.now_ms())
                if errand is not None:
                    message = trio.run(errand)
                    continue
            except Exception as error:  # noqa: BLE001 - as a cell does
                self.raised.append(error)
                message = self.actor.failed(message)
            else:
                return

    def attach(self, lineage: int | bytes = 1, channels: Mapping[str, Position] | None = None) -> RecordingOrigin:
        """A new socket."""
        name = lineage if isinstance(lineage, bytes) else lineage.to_bytes(16, "big")
        origin = RecordingOrigin(name)
        self.tell(Attach(origin, channels or {}))
        return origin

    def detach(self, origin: RecordingOrigin) -> None:
        """The socket is gone."""
        self.tell(Detach(origin))

    def tap(self, origin: RecordingOrigin, seq: int, count: int = 1) -> None:
        """One TAP."""
        self.tell(Taps([(origin, seq, count)]))

    def act(
        self, origin: RecordingOrigin, seq: int, action: str | Handler = "noop", *, writes: bool = True, **args: Any
    ) -> None:
        """One ACTION: one of the catalogue's, or a rule of the test's own."""
        self.tell(self.operation(origin, seq, action, writes=writes, **args))

    def operation(
        self, origin: RecordingOrigin, seq: int, action: str | Handler = "noop", *, writes: bool = True, **args: Any
    ) -> Operate:
        """One ACTION, as a session delivers it."""
        if not isinstance(action, str):
            return Operate(origin, seq, "test.rule", NoArgs(), action, writes)
        spec = ACTIONS[action]
        hard = spec.durability is Durability.HARD
        decoded = msgspec.convert(args, spec.args)
        return Operate(origin, seq, action, decoded, HANDLERS[action], writes, hard, LOOKUPS.get(action))

    def grant(self, row: GrantRow) -> None:
        """Notice of something that is owed."""
        self.tell(Grant(row))

    def spoil(self, origin: RecordingOrigin, seq: int) -> None:
        """An operation that is wrong beyond its seq."""
        self.tell(Spoil(origin, seq, InvalidArgument("wrong", seq=seq)))

    @property
    def numbers(self) -> tuple[Any, ...]:
        """Everything a failed turn must leave as it was."""
        return self.actor.state.columns()
