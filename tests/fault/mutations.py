"""Promises that a launched server can be made to break, one at a time: each has to be caught by the checker."""

import itertools
import random
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

import trio

from gameserver.edge.session import Session
from gameserver.errors import WireError
from hotpath.player_writes import cursor_texts
from persistence import flush_transaction
from persistence.errors import DatabaseUnavailable
from persistence.flush_sink import PostgresLane
from persistence.postgres import Connection
from persistence.records import LedgerPosting, PlayerWrites

_SAME_EPOCH = "AND p.owner_epoch = w.owner_epoch"
_RETRY_S = 0.05


def without_fence() -> None:
    """A flush writes players whoever owns them."""
    changed = 0
    for name, text in list(vars(flush_transaction).items()):
        if isinstance(text, str) and _SAME_EPOCH in text:
            setattr(flush_transaction, name, text.replace(_SAME_EPOCH, ""))
            changed += 1
    assert changed >= 3, "the fence is written otherwise now"


def with_cursors_apart() -> None:
    """Cursors are committed by a transaction of their own, a moment before the effect."""
    write, nothing = PostgresLane.write, cursor_texts([])

    async def write_cursors(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
        await connection.execute(flush_transaction._CURSORS, *cursor_texts(writes))

    async def write_apart(
        self: PostgresLane, node_run: UUID, batch: int, writes: Sequence[PlayerWrites], *, again: bool
    ) -> frozenset[int] | None:
        while True:
            try:
                await self._connection.run(write_cursors, writes)
            except DatabaseUnavailable:
                await trio.sleep(_RETRY_S)
            else:
                break
        await trio.sleep(random.uniform(0, 0.2))
        return await write(self, node_run, batch, writes, again=again)

    vars(flush_transaction)["cursor_texts"] = lambda _writes: nothing
    PostgresLane.write = write_apart  # type: ignore[method-assign]


def without_batch_row() -> None:
    """A batch of unknown outcome is written again as if it were a new one."""
    write, numbers = PostgresLane.write, itertools.count(10**9)

    async def write_anew(
        self: PostgresLane, node_run: UUID, batch: int, writes: Sequence[PlayerWrites], *, again: bool
    ) -> frozenset[int] | None:
        return await write(self, node_run, next(numbers) if again else batch, writes, again=again)

    PostgresLane.write = write_anew  # type: ignore[method-assign]


def without_going_back() -> None:
    """A retryable error does not stop what comes after it."""

    def refuse(self: Session, seq: int, error: WireError) -> None:
        self._error(seq, error)

    Session.refuse = refuse  # type: ignore[method-assign]


def without_idempotency_keys() -> None:
    """Ledger keys are drawn anew each time, so that the database cannot know a posting again."""
    create = LedgerPosting.__init__

    def create_with_any_key(self: LedgerPosting, key: str, *others: object, **named: object) -> None:
        create(self, f"{key}:{uuid4().hex[:8]}", *others, **named)  # type: ignore[arg-type]

    LedgerPosting.__init__ = create_with_any_key  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[], None]] = {
    "fence": without_fence,
    "cursor": with_cursors_apart,
    "batch-row": without_batch_row,
    "go-back-n": without_going_back,
    "idempotency-key": without_idempotency_keys,
}
