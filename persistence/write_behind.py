"""Write-behind: players change in memory, and the database follows within `flush_ms`.

Players are dealt to lanes by id. A lane has one connection and at most one transaction in flight, and ends one before
it takes the next, so the flushes of a player cannot overtake each other. While a lane writes, or waits for a database
that is away, its players go on changing; what they change meanwhile is one later write.

What can become of a batch:

    committed         each player's `committed`, or `fenced` where another claim had taken the player
    unavailable       the same batch again, under the same number, after a pause with full jitter
    outcome unknown   the same; the batch's row says whether it had been committed after all
    refused           halved until the bad player is alone: `rejected`; everyone else goes through
"""

import itertools
import logging
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import trio

from persistence.dirty_set import DirtySet, Flushable
from persistence.errors import DatabaseUnavailable, OutcomeUnknown
from persistence.flush_transaction import write_batch
from persistence.postgres import Database, DedicatedConnection
from persistence.records import FlushWatermark, PlayerWrites

BATCH_PLAYERS = 500  #: one statement for 10 000 rows would hold the loop for 20 ms
PLAYERS_AT_ONCE = 100  #: asked for their writes, or told of their fate, before others get a turn
DIRTY_PLAYERS_MAX = 200_000  #: beyond it nothing more is accepted while the database is away
DIRTY_AGE_MAX_S = 60.0  #: nor when the oldest change has waited that long
BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WriteBehindStatistics:
    """Write-behind, at one instant; counts are since the start."""

    dirty_players: int  #: waiting or in a transaction that has not ended
    oldest_dirty_age_s: float  #: how long the longest of them has waited, 0 when there is none
    database_up: bool  #: the last transaction got an answer
    batches: int  #: transactions committed
    rows: int  #: player rows written
    retries: int  #: attempts that ended without an answer
    fenced: int  #: players found to belong to someone else
    rejected: int  #: players whose writes PostgreSQL refused


class _Lane:
    """The players of one connection."""

    def __init__(self) -> None:
        self.dirty = DirtySet()
        self.in_flight: dict[Flushable, float] = {}
        self.in_flight_since_s = math.inf  #: when the longest waiting of them became dirty
        self.bell = trio.Event()  #: something may be due; replaced after each ring
        self.landed = trio.Event()  #: the batch in flight has ended; replaced after each
        self.waiting: dict[Flushable, trio.Event] = {}  #: set when a later batch with it has ended
        self.landing: dict[Flushable, trio.Event] = {}  #: set when the batch in flight has ended

    @property
    def oldest_s(self) -> float:
        return min(self.dirty.oldest_s, self.in_flight_since_s)

    def take_off(self, limit: int) -> None:
        self.in_flight = self.dirty.take(limit)
        self.in_flight_since_s = min(self.in_flight.values(), default=math.inf)
        self.landing = {
            flushable: event for flushable in self.in_flight if (event := self.waiting.pop(flushable, None)) is not None
        }

    def land(self) -> None:
        self.in_flight = {}
        self.in_flight_since_s = math.inf
        for event in (*self.landing.values(), self.landed):
            event.set()
        self.landing = {}
        self.landed = trio.Event()


class WriteBehind:
    """Writes dirty players to the database.

    Args:
        database: where; each lane opens a connection of its own.
        node_run: this start of the node; names its batches.
        lanes: transactions that may be in flight at once.
        flush_ms: how long a change waits for others to be written with it.
        observe_flush_lag_s: told, per committed batch, how long the longest waiting change in it was only in memory.
        dirty_players_max: `accepting` ends there.
        dirty_age_max_s: and there.
    """

    def __init__(
        self,
        database: Database,
        *,
        node_run: UUID,
        lanes: int,
        flush_ms: int,
        observe_flush_lag_s: Callable[[float], None],
        dirty_players_max: int = DIRTY_PLAYERS_MAX,
        dirty_age_max_s: float = DIRTY_AGE_MAX_S,
    ) -> None:
        self._database = database
        self._node_run = node_run
        self._lanes = tuple(_Lane() for _ in range(lanes))
        self._flush_s = flush_ms / 1000
        self._observe_flush_lag_s = observe_flush_lag_s
        self._dirty_players_max = dirty_players_max
        self._dirty_age_max_s = dirty_age_max_s
        self._numbers = itertools.count(1)
        self._unsettled: set[int] = set()
        self._last_number = 0
        self._draining = False
        self._database_up = True
        self._batches = self._rows = self._retries = self._fenced = self._rejected = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; to be started in a nursery. What is not drained before that stays unwritten."""
        async with trio.open_nursery() as nursery:
            for number, lane in enumerate(self._lanes):
                nursery.start_soon(self._run_lane, lane, f"flush {number}")
            task_status.started()

    def mark_dirty(self, flushable: Flushable) -> None:
        """There is something to write. Cheap, and does nothing when it is known already."""
        lane = self._lanes[flushable.player_id % len(self._lanes)]
        if flushable not in lane.dirty:
            lane.dirty.add(flushable, trio.current_time())
            if len(lane.dirty) in (1, BATCH_PLAYERS):
                lane.bell.set()

    async def flush_now(self, flushable: Flushable) -> None:
        """Write it without waiting for others; return when all it has marked up to now is settled.

        Settled is: `committed`, `fenced` or `rejected` has been called. While the database is away, that takes as long
        as it takes.
        """
        lane = self._lanes[flushable.player_id % len(self._lanes)]
        if flushable in lane.dirty:
            lane.dirty.hurry(flushable)
            lane.bell.set()
            await lane.waiting.setdefault(flushable, trio.Event()).wait()
        elif flushable in lane.in_flight:
            await lane.landing.setdefault(flushable, trio.Event()).wait()
        else:
            await trio.lowlevel.checkpoint()

    async def drain(self, deadline: float) -> bool:
        """Write everything without waiting for more.

        Args:
            deadline: Trio's clock; when to give up.

        Returns:
            Whether nothing is left unwritten.
        """
        self._draining = True
        with trio.move_on_at(deadline):
            for lane in self._lanes:
                while lane.dirty or lane.in_flight:
                    lane.bell.set()
                    await lane.landed.wait()
        self._draining = False
        return not any(lane.dirty or lane.in_flight for lane in self._lanes)

    @property
    def degraded(self) -> bool:
        """Whether the database is away, as far as the last transaction knows."""
        return not self._database_up

    @property
    def accepting(self) -> bool:
        """Whether more may be changed in memory: neither too many nor too old changes wait to be written."""
        return self._dirty_players() < self._dirty_players_max and self._oldest_age_s() <= self._dirty_age_max_s

    def watermark(self) -> FlushWatermark:
        """How far the flushes have come."""
        settled = min(self._unsettled) - 1 if self._unsettled else self._last_number
        return FlushWatermark(settled, self._oldest_age_s())

    def statistics(self) -> WriteBehindStatistics:
        """The present state."""
        return WriteBehindStatistics(
            dirty_players=self._dirty_players(),
            oldest_dirty_age_s=self._oldest_age_s(),
            database_up=self._database_up,
            batches=self._batches,
            rows=self._rows,
            retries=self._retries,
            fenced=self._fenced,
            rejected=self._rejected,
        )

    def _dirty_players(self) -> int:
        return sum([len(lane.dirty) + len(lane.in_flight) for lane in self._lanes])

    def _oldest_age_s(self) -> float:
        return max(0.0, trio.current_time() - min([lane.oldest_s for lane in self._lanes]))

    async def _run_lane(self, lane: _Lane, purpose: str) -> None:
        async with self._database.dedicated(purpose) as connection:
            while True:
                await self._until_due(lane)
                lane.take_off(BATCH_PLAYERS)
                batch = await _take_writes(lane.in_flight)
                if batch:
                    await self._write(connection, batch)
                    self._observe_flush_lag_s(trio.current_time() - lane.in_flight_since_s)
                lane.land()

    async def _until_due(self, lane: _Lane) -> None:
        while True:
            due_s = lane.dirty.oldest_s + self._flush_s
            full = len(lane.dirty) >= BATCH_PLAYERS or lane.dirty.has_urgent or (self._draining and lane.dirty)
            if full or due_s <= trio.current_time():
                return
            lane.bell = trio.Event()
            with trio.move_on_at(due_s):
                await lane.bell.wait()

    async def _write(self, connection: DedicatedConnection, batch: Sequence[tuple[Flushable, PlayerWrites]]) -> None:
        """Write a batch to its end: committed, or refused player by player."""
        self._last_number = number = next(self._numbers)
        self._unsettled.add(number)
        try:
            ours = await self._commit(connection, number, [writes for _, writes in batch])
        except Exception as error:  # noqa: BLE001 - refused by PostgreSQL, or so malformed that it broke the flush
            await self._reject(connection, batch, number, error)
            return
        self._unsettled.discard(number)
        self._batches += 1
        self._rows += len(ours)
        self._fenced += len(batch) - len(ours)
        for position, (flushable, writes) in enumerate(batch):
            if position % PLAYERS_AT_ONCE == PLAYERS_AT_ONCE - 1:
                await trio.lowlevel.checkpoint()
            try:
                if position in ours:
                    flushable.committed(writes)
                else:
                    flushable.fenced()
            except Exception:
                log.exception("player %d broke when told of its flush", writes.player_id)

    async def _commit(
        self, connection: DedicatedConnection, number: int, writes: Sequence[PlayerWrites]
    ) -> frozenset[int]:
        """Try until there is an answer; return the positions of those written."""
        perhaps: frozenset[int] = frozenset()  # what is written, should a COMMIT without an answer have happened
        for attempt in itertools.count():
            try:
                ours = await connection.transaction(write_batch, self._node_run, number, writes)
            except DatabaseUnavailable as error:
                if isinstance(error, OutcomeUnknown) and isinstance(error.result, frozenset):
                    perhaps = error.result
                if self._database_up:
                    log.warning("the database is away; changes are kept and written when it returns: %s", error)
                self._database_up = False
                self._retries += 1
            except Exception:
                self._database_up = True
                raise
            else:
                if not self._database_up:
                    log.warning("the database is back")
                self._database_up = True
                return perhaps if ours is None else ours
            ceiling_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(attempt, 10))
            await trio.sleep(random.uniform(0, ceiling_s))  # noqa: S311 - jitter, not a secret
        raise AssertionError("unreachable")

    async def _reject(
        self,
        connection: DedicatedConnection,
        batch: Sequence[tuple[Flushable, PlayerWrites]],
        number: int,
        error: Exception,
    ) -> None:
        """Nothing of the batch was committed: find the one to blame, and write the others."""
        self._unsettled.discard(number)
        if len(batch) > 1:
            half = len(batch) // 2
            await self._write(connection, batch[:half])
            await self._write(connection, batch[half:])
            return
        [(flushable, writes)] = batch
        self._rejected += 1
        log.error("the writes of player %d are refused: %s", writes.player_id, error, exc_info=error)
        try:
            flushable.rejected(writes, error)
        except Exception:
            log.exception("player %d broke when told of its refused writes", writes.player_id)


async def _take_writes(flushables: Iterable[Flushable]) -> list[tuple[Flushable, PlayerWrites]]:
    """What they have to write; one that breaks is left out and stays its actor's matter."""
    batch = []
    for position, flushable in enumerate(flushables, start=1):
        if position % PLAYERS_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        try:
            writes = flushable.take_writes()
        except Exception:
            log.exception("player %d broke when asked for its writes", flushable.player_id)
        else:
            if writes is not None:
                batch.append((flushable, writes))
    return batch
