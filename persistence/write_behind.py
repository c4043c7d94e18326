"""Write-behind: players change in memory, and the database follows within `flush_ms`.

Players are dealt to lanes by id. A lane has at most one transaction in flight, and ends it before it takes the next, so
the flushes of a player cannot overtake each other. While a lane writes, or waits for a database that is away, its
players go on changing; what they change meanwhile is one later write.

What can become of a batch:

    committed         each player's `committed`, or `fenced` where another claim had taken the player
    unavailable       the same batch again, under the same number, after a pause with full jitter
    outcome unknown   the same; the batch's row says whether it had been committed after all
    refused           halved until the bad player is alone: a dead letter, `rejected`; everyone else goes through
"""

import itertools
import logging
import math
import operator
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import trio

from persistence.backlog import PLAYER_BYTES, Backlog
from persistence.backoff import pause_s
from persistence.dirty_set import DirtySet, Flushable
from persistence.errors import DatabaseUnavailable, OutcomeUnknown
from persistence.flush_sink import FlushLane, FlushSink
from persistence.records import FlushWatermark, PlayerWrites

BATCH_PLAYERS = 500  #: asked, written and told without a pause: about 1 ms of the loop in all
DIRTY_PLAYERS_MAX = 200_000  #: beyond it nothing more is accepted while the database is away
DIRTY_MAX_BYTES = 512 * 1024 * 1024  #: nor when so much is held for them
DIRTY_AGE_MAX_S = 60.0  #: nor when the oldest change has waited that long
GATHER_S = 0.010  #: how long one that somebody waits for waits for company

log = logging.getLogger(__name__)
_player_id = operator.attrgetter("player_id")


@dataclass(frozen=True, slots=True)
class WriteBehindStatistics:
    """Write-behind, at one instant; counts are since the start."""

    dirty_players: int  #: waiting or in a transaction that has not ended
    dirty_bytes: int  #: held in memory until they are written (`persistence.backlog`)
    oldest_dirty_age_s: float  #: how long the longest of them has waited, 0 when there is none
    accepting: bool  #: more may be changed: none of the caps is reached
    database_up: bool  #: the last transaction got an answer
    batches: int  #: transactions committed
    rows: int  #: player rows written
    retries: int  #: attempts that ended without an answer
    fenced: int  #: players found to belong to someone else
    rejected: int  #: players whose writes PostgreSQL refused
    buried: int  #: of those, kept in `write_dead_letters`


class _Lane:
    """A part of the players."""

    def __init__(self) -> None:
        self.dirty = DirtySet()
        self.in_flight: list[Flushable] = []
        self.in_flight_since_s = math.inf  #: when the longest waiting of them became dirty
        self.gave_way = False  #: the last batch was of those that somebody waits for alone
        self.bell = trio.Event()  #: something may be due; replaced after each ring
        self.landed = trio.Event()  #: the batch in flight has ended; replaced after each
        self.waiting: dict[Flushable, trio.Event] = {}  #: set when a later batch with it has ended
        self.landing: dict[Flushable, trio.Event] = {}  #: set when the batch in flight has ended

    @property
    def oldest_s(self) -> float:
        return min(self.dirty.oldest_s, self.in_flight_since_s)

    def take_off(self, limit: int, *, only_urgent: bool) -> None:
        self.in_flight, self.in_flight_since_s = self.dirty.take(limit, only_urgent=only_urgent)
        self.gave_way = only_urgent
        if self.waiting:
            self.landing = {player: self.waiting.pop(player) for player in self.in_flight if player in self.waiting}

    def land(self) -> None:
        self.in_flight = []
        self.in_flight_since_s = math.inf
        for event in (*self.landing.values(), self.landed):
            event.set()
        self.landing = {}
        self.landed = trio.Event()


class WriteBehind:
    """Writes dirty players to the database.

    Args:
        sink: where to.
        node_run: this start of the node; names its batches.
        lanes: transactions that may be in flight at once.
        flush_ms: how long a change waits for others to be written with it.
        observe_flush_lag_s: told, per committed batch, how long the longest waiting change in it was only in memory.
        observe_hold_s: told, twice per batch, how long nothing else could run: while players were asked for their
            writes, and while they were told what became of them.
        dirty_players_max: `accepting` ends there.
        dirty_max_bytes: and there.
        dirty_age_max_s: and there.

    Attributes:
        backlog: where those who have something to write enter what they hold beside their rows.
    """

    def __init__(
        self,
        sink: FlushSink,
        *,
        node_run: UUID,
        lanes: int,
        flush_ms: int,
        observe_flush_lag_s: Callable[[float], None],
        observe_hold_s: Callable[[float], None] = lambda _hold_s: None,
        dirty_players_max: int = DIRTY_PLAYERS_MAX,
        dirty_max_bytes: int = DIRTY_MAX_BYTES,
        dirty_age_max_s: float = DIRTY_AGE_MAX_S,
    ) -> None:
        self._sink = sink
        self._node_run = node_run
        self._lanes = tuple(_Lane() for _ in range(lanes))
        self._flush_s = flush_ms / 1000
        self._observe_flush_lag_s = observe_flush_lag_s
        self._observe_hold_s = observe_hold_s
        self.backlog = Backlog()
        self._dirty_players_max = dirty_players_max
        self._dirty_max_bytes = dirty_max_bytes
        self._dirty_age_max_s = dirty_age_max_s
        self._numbers = itertools.count(1)
        self._unsettled: set[int] = set()
        self._last_number = 0
        self._draining = False
        self._database_up = True
        self._batches = self._rows = self._retries = self._fenced = self._rejected = self._buried = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled; to be started in a nursery. What is not drained before that stays unwritten."""
        async with trio.open_nursery() as nursery:
            for number, lane in enumerate(self._lanes):
                nursery.start_soon(self._run_lane, lane, f"flush {number}")
            task_status.started()

    def mark_dirty(self, flushable: Flushable) -> None:
        """There is something to write. Cheap, and does nothing when it is known already."""
        lane = self._lanes[flushable.player_id % len(self._lanes)]
        if lane.dirty.add(flushable) == 1:
            lane.bell.set()

    def hurry(self, flushable: Flushable) -> None:
        """There is something to write, and somebody waits for it: it leaves within `GATHER_S`, if its lane is free."""
        lane = self._lanes[flushable.player_id % len(self._lanes)]
        lane.dirty.add(flushable)
        lane.dirty.hurry(flushable)
        lane.bell.set()

    async def flush_now(self, flushable: Flushable) -> None:
        """Write it without waiting for others; return when all it has marked up to now is settled.

        Settled is: `committed`, `fenced` or `rejected` has been called. While the database is away, that takes as long
        as it takes.
        """
        lane = self._lanes[flushable.player_id % len(self._lanes)]
        if flushable in lane.dirty:
            self.hurry(flushable)
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
        """Whether more may be changed in memory: what waits is neither too many players, nor too much, nor too old."""
        return (
            self._dirty_players() < self._dirty_players_max
            and self._dirty_bytes() < self._dirty_max_bytes
            and self._oldest_age_s() <= self._dirty_age_max_s
        )

    def watermark(self) -> FlushWatermark:
        """How far the flushes have come."""
        settled = min(self._unsettled) - 1 if self._unsettled else self._last_number
        return FlushWatermark(settled, self._oldest_age_s())

    def statistics(self) -> WriteBehindStatistics:
        """The present state."""
        return WriteBehindStatistics(
            dirty_players=self._dirty_players(),
            dirty_bytes=self._dirty_bytes(),
            oldest_dirty_age_s=self._oldest_age_s(),
            accepting=self.accepting,
            database_up=self._database_up,
            batches=self._batches,
            rows=self._rows,
            retries=self._retries,
            fenced=self._fenced,
            rejected=self._rejected,
            buried=self._buried,
        )

    def _dirty_players(self) -> int:
        return sum([len(lane.dirty) + len(lane.in_flight) for lane in self._lanes])

    def _dirty_bytes(self) -> int:
        return self._dirty_players() * PLAYER_BYTES + self.backlog.beside_bytes

    def _oldest_age_s(self) -> float:
        return max(0.0, trio.current_time() - min([lane.oldest_s for lane in self._lanes]))

    async def _run_lane(self, lane: _Lane, purpose: str) -> None:
        async with self._sink.lane(purpose) as written_by:
            while True:
                everybody = await self._until_due(lane)
                began_s = time.perf_counter()
                lane.take_off(BATCH_PLAYERS, only_urgent=not everybody)
                taken_bytes = self.backlog.taken_bytes
                players, batch = _take_writes(lane.in_flight)
                in_flight_bytes = self.backlog.taken_bytes - taken_bytes
                if batch:
                    self._observe_hold_s(time.perf_counter() - began_s)
                    await self._write(written_by, players, batch)
                    del players, batch  # before the next one is made, which then gets their memory
                    self._observe_flush_lag_s(trio.current_time() - lane.in_flight_since_s)
                else:
                    await trio.lowlevel.checkpoint()
                self.backlog.beside_bytes -= in_flight_bytes
                lane.land()

    async def _until_due(self, lane: _Lane) -> bool:
        """Wait until something is due; whether that is everybody, or only those that somebody waits for.

        Where both are, a crowd of the others would keep those waiting for a large batch: they go first, alone, but
        never twice in a row.
        """
        while True:
            # That a batch would be full is no reason: the later a player is written, the more of its taps are one row.
            due_s = lane.dirty.oldest_s + self._flush_s
            hurried_due_s = lane.dirty.hurried_s + GATHER_S
            now_s = trio.current_time()
            if due_s <= now_s or (self._draining and lane.dirty):
                return lane.gave_way or not lane.dirty.has_urgent
            if hurried_due_s <= now_s:
                return False
            lane.bell = trio.Event()
            with trio.move_on_at(min(due_s, hurried_due_s)):
                await lane.bell.wait()

    async def _write(self, lane: FlushLane, players: Sequence[Flushable], batch: Sequence[PlayerWrites]) -> None:
        """Write a batch to its end: committed, or refused player by player."""
        self._last_number = number = next(self._numbers)
        self._unsettled.add(number)
        try:
            ours = await self._commit(lane, number, batch)
        except Exception as error:  # noqa: BLE001 - refused by PostgreSQL, or so malformed that it broke the flush
            await self._reject(lane, players, batch, number, error)
            return
        began_s = time.perf_counter()
        self._unsettled.discard(number)
        self._batches += 1
        self._rows += len(ours)
        self._fenced += len(batch) - len(ours)
        for position, (player, writes) in enumerate(zip(players, batch, strict=True)):
            try:
                if position in ours:
                    player.committed(writes)
                else:
                    player.fenced()
            except Exception:
                log.exception("player %d broke when told of its flush", writes.player_id)
        self._observe_hold_s(time.perf_counter() - began_s)

    async def _commit(self, lane: FlushLane, number: int, writes: Sequence[PlayerWrites]) -> frozenset[int]:
        """Try until there is an answer; return the positions of those written."""
        perhaps: frozenset[int] = frozenset()  # what is written, should a COMMIT without an answer have happened
        for attempt in itertools.count():
            try:
                ours = await lane.write(self._node_run, number, writes, again=attempt > 0)
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
            await trio.sleep(pause_s(attempt))
        raise AssertionError("unreachable")

    async def _reject(
        self,
        lane: FlushLane,
        players: Sequence[Flushable],
        batch: Sequence[PlayerWrites],
        number: int,
        error: Exception,
    ) -> None:
        """Nothing of the batch was committed: find the one to blame, and write the others."""
        if len(batch) > 1:
            half = len(batch) // 2
            await self._write(lane, players[:half], batch[:half])
            await self._write(lane, players[half:], batch[half:])
            self._unsettled.discard(number)  # not before: its changes wait in memory until the halves have them
            return
        [player], [writes] = players, batch
        self._rejected += 1
        log.error("the writes of player %d are refused: %s", writes.player_id, error, exc_info=error)
        await self._bury(lane, number, writes, error)
        self._unsettled.discard(number)
        try:
            player.rejected(writes, error)
        except Exception:
            log.exception("player %d broke when told of its refused writes", writes.player_id)

    async def _bury(self, lane: FlushLane, number: int, writes: PlayerWrites, error: Exception) -> None:
        """Keep what was refused, however long it takes; only a bug of ours leaves it in the log alone."""
        for attempt in itertools.count():
            try:
                await lane.bury(self._node_run, number, writes, error)
            except DatabaseUnavailable:
                await trio.sleep(pause_s(attempt))
            except Exception:
                log.exception("the refused writes of player %d cannot be kept: %r", writes.player_id, writes)
                return
            else:
                self._buried += 1
                return


def _take_writes(flushables: Iterable[Flushable]) -> tuple[list[Flushable], list[PlayerWrites]]:
    """Those with something to write, by player id, and what; one that breaks is left out and its actor's matter."""
    players: list[Flushable] = []
    batch: list[PlayerWrites] = []
    for flushable in sorted(flushables, key=_player_id):
        try:
            writes = flushable.take_writes()
        except Exception:
            log.exception("player %d broke when asked for its writes", flushable.player_id)
        else:
            if writes is not None:
                players.append(flushable)
                batch.append(writes)
    return players, batch
