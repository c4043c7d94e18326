"""A sink for write-behind alone: each attempt to write a batch gets the next scripted outcome."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import trio

from persistence.records import PlayerWrites

Outcome = Exception | frozenset[int] | None


class ScriptedSink:
    """Remembers the batches it was given.

    Args:
        outcomes: raised or returned one by one; after the last, everything commits.
    """

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = deque(outcomes)
        self.batches: list[tuple[int, list[int]]] = []  #: number and player ids of each attempt
        self.again: list[bool] = []  #: whether each attempt was said not to be the first
        self.purposes: list[str] = []
        self.buried: list[tuple[int, int, Exception]] = []  #: number, player id and why
        self.graves_fail: deque[Exception] = deque()  #: raised one by one before something is buried
        self.gate = trio.Event()  #: transactions wait for it
        self.gate.set()
        self.arrived = trio.Event()  #: a transaction has begun
        self.running = 0
        self.running_max = 0

    @asynccontextmanager
    async def lane(self, purpose: str) -> AsyncIterator["ScriptedSink"]:
        self.purposes.append(purpose)
        yield self

    async def write(
        self, node_run: UUID, batch: int, writes: Sequence[PlayerWrites], *, again: bool
    ) -> frozenset[int] | None:
        del node_run
        self.batches.append((batch, [write.player_id for write in writes]))
        self.again.append(again)
        self.running += 1
        self.running_max = max(self.running_max, self.running)
        self.arrived.set()
        try:
            await self.gate.wait()
            await trio.lowlevel.checkpoint()
        finally:
            self.running -= 1
        everyone = frozenset(range(len(writes)))
        outcome = self.outcomes.popleft() if self.outcomes else everyone
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def bury(self, node_run: UUID, batch: int, writes: PlayerWrites, error: Exception) -> None:
        del node_run
        await trio.lowlevel.checkpoint()
        if self.graves_fail:
            raise self.graves_fail.popleft()
        self.buried.append((batch, writes.player_id, error))
