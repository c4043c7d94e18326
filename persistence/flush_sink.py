"""Where flushes go: PostgreSQL; or nowhere, to measure everything but it.

WriteBehind → FlushSink.lane() → FlushLane.write(), one batch after the other
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from uuid import UUID

import trio

from hotpath.player_writes import any_beside_ledger
from persistence import dead_letters
from persistence.errors import Rejected
from persistence.flush_transaction import write_at_once, write_by_steps
from persistence.postgres import Database, DedicatedConnection
from persistence.records import PlayerWrites


class FlushLane(Protocol):
    """Takes the batches of one lane."""

    async def write(
        self, node_run: UUID, batch: int, writes: Sequence[PlayerWrites], *, again: bool
    ) -> frozenset[int] | None:
        """Write a batch, whole or not at all.

        Args:
            node_run: this start of the node.
            batch: its number in this run; a batch that is tried again keeps it.
            writes: of players of this lane, at least one.
            again: it has been tried before, and had no answer.

        Returns:
            The positions in `writes` of those that were still ours and are written; None when this batch has been
            committed before, and nothing is written now.

        Raises:
            DatabaseUnavailable: nothing is written; try again.
            OutcomeUnknown: perhaps it is written, then its result is what would have been returned; try again.
            Exception: it is refused for good.
        """
        ...

    async def bury(self, node_run: UUID, batch: int, writes: PlayerWrites, error: Exception) -> None:
        """Keep one player's writes that were refused for good.

        Raises:
            DatabaseUnavailable: try again; what is kept is kept once.
        """
        ...


class FlushSink(Protocol):
    """Opens lanes."""

    def lane(self, purpose: str) -> AbstractAsyncContextManager[FlushLane]:
        """A lane, for the time of the block; `purpose` names it for operators."""
        ...


class PostgresSink:
    """Writes to the database.

    Args:
        database: where; each lane opens a connection of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def lane(self, purpose: str) -> AsyncIterator["PostgresLane"]:
        """A connection of its own."""
        async with self._database.dedicated(purpose) as connection:
            yield PostgresLane(connection)


class PostgresLane:
    """One connection; a batch is one transaction."""

    def __init__(self, connection: DedicatedConnection) -> None:
        self._connection = connection

    async def write(
        self, node_run: UUID, batch: int, writes: Sequence[PlayerWrites], *, again: bool
    ) -> frozenset[int] | None:
        """As `FlushLane` says: at once where that is possible, else by steps.

        A batch whose outcome is unknown is never written at once again: what that way would say of a connection that
        is lost must not replace what the earlier attempt has said.
        """
        if not again and not any_beside_ledger(writes):
            try:
                return await self._connection.run(write_at_once, node_run, batch, writes)
            except Rejected:
                pass  # somebody is bad or not ours: by steps it comes out who
        return await self._connection.transaction(write_by_steps, node_run, batch, writes)

    async def bury(self, node_run: UUID, batch: int, writes: PlayerWrites, error: Exception) -> None:
        """Into `write_dead_letters`."""
        await self._connection.transaction(dead_letters.bury, node_run, batch, writes, error)


class NullSink:
    """Forgets everything at once, and says it is written: for measurements alone, nothing outlives the process."""

    @asynccontextmanager
    async def lane(self, purpose: str) -> AsyncIterator["NullSink"]:
        """Itself."""
        del purpose
        yield self

    async def write(
        self, node_run: UUID, batch: int, writes: Sequence[PlayerWrites], *, again: bool
    ) -> frozenset[int] | None:
        """All of them."""
        del node_run, batch, again
        await trio.lowlevel.checkpoint()
        return frozenset(range(len(writes)))

    async def bury(self, node_run: UUID, batch: int, writes: PlayerWrites, error: Exception) -> None:
        """Nothing is ever refused here."""
        raise AssertionError(f"batch {batch} of {node_run} was refused: {writes!r}") from error
