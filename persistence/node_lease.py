"""This node's name: nobody else serves under it, and nobody else claims the players it owns while the lease lives.

Two things belong to a name. An advisory lock, held by one connection as long as the process lives: a restarted node
that gets it knows that its former self is gone, and may take back what was its own at once. And a row in `nodes` with
`lease_until`: what other nodes look at before they claim a player.

The lease is renewed every `RENEW_S` and good for `LEASE_S`. The holder counts from *before* it asked, by its own
monotonic clock, so it stops believing in the lease before anyone else does. One that has run out comes back with the
next renewal; but others may have claimed what the node holds meanwhile. So it takes nobody in until it has looked who
is still its own (`on_lapse`). While the database is away nobody can claim either, as far as anyone can tell who cannot
reach it: then it goes on, and whoever was claimed after all is fenced by epoch.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import trio

from persistence.backoff import pause_s
from persistence.errors import DatabaseUnavailable, NodeNameTaken
from persistence.postgres import Connection, Database, DedicatedConnection
from persistence.records import FlushWatermark

LEASE_S = 10.0
RENEW_S = 3.0
RETRY_S = 0.5  #: between attempts while the name is taken, or the lock's dead holder still has it
AWAY_MAX_S = 1.0  #: at most, between attempts while the database is away
NAME_S = 15.0  #: the connection of a killed process may take that long to die

log = logging.getLogger(__name__)

_KEY = "hashtextextended('ppj_node:' || $1, 0)"
_TRY_LOCK = f"SELECT pg_try_advisory_lock({_KEY})"
_APPEAR = """
    INSERT INTO nodes (name, run, url, lease_until)
    VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
    ON CONFLICT (name) DO UPDATE SET run = excluded.run, url = excluded.url, lease_until = excluded.lease_until,
        started_at = now(), flushed_until = NULL, settled_batch = 0
"""
_RENEW = """
    UPDATE nodes SET lease_until = clock_timestamp() + make_interval(secs => $3),
        flushed_until = now() - make_interval(secs => $4), settled_batch = greatest(settled_batch, $5)
    WHERE name = $1 AND run = $2
"""
_END = "UPDATE nodes SET lease_until = clock_timestamp() WHERE name = $1 AND run = $2"


class NodeLease:
    """The lease of one node.

    Args:
        database: where.
        name: the node's name, 1 … 255 characters.
        url: its own socket address, "" if it publishes none.
        watermark: how far this node's flushes have come; published with each renewal.
        on_lapse: called when a lease that had run out is renewed, before it counts as live again: to give up whoever
            was claimed by others meanwhile. May raise `DatabaseUnavailable`; then it is tried again.

    Attributes:
        node_run: this start of the process.
        lost: set when another process serves under the name; this one must stop.
    """

    def __init__(
        self,
        database: Database,
        *,
        name: str,
        url: str,
        watermark: Callable[[], FlushWatermark] = lambda: FlushWatermark(settled_batch=0, lag_s=0.0),
        on_lapse: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
    ) -> None:
        self.node_run: UUID = uuid4()
        self.lost = trio.Event()
        self._database = database
        self._name = name
        self._url = url
        self._watermark = watermark
        self._on_lapse = on_lapse
        self._unreachable = False
        self._live_until = -math.inf
        self._lock_holder = 0

    @property
    def live(self) -> bool:
        """Whether no other node can have claimed what this one owns."""
        return trio.current_time() < self._live_until

    @property
    def serving(self) -> bool:
        """Whether who comes may be given what this node holds in memory."""
        return self.live or self._unreachable

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take the name, keep the lease until cancelled or lost, then give it back; to be started in a nursery.

        Raises:
            NodeNameTaken: another process has had the name for `NAME_S` seconds.
            DatabaseUnavailable: before the name was taken; afterwards it keeps trying.
        """
        async with self._database.dedicated("lease") as connection:
            await self._appear(connection)
            task_status.started()
            try:
                await self._keep(connection)
            finally:
                self._live_until = -math.inf
                with trio.CancelScope(shield=True, deadline=trio.current_time() + RETRY_S):
                    await self._end(connection)

    async def _appear(self, connection: DedicatedConnection) -> None:
        deadline = trio.current_time() + NAME_S
        while True:
            asked_at = trio.current_time()
            if await connection.transaction(self._take_name):
                self._live_until = asked_at + LEASE_S
                return
            if trio.current_time() > deadline:
                raise NodeNameTaken(
                    f"Another server runs as node {self._name}; stop it, or give this one another GAME_NODE."
                )
            await trio.sleep(RETRY_S)

    async def _take_name(self, connection: Connection) -> bool:
        if not await self._lock(connection):
            return False
        await connection.execute(_APPEAR, self._name, self.node_run, self._url, LEASE_S)
        return True

    async def _lock(self, connection: Connection) -> bool:
        """Take the lock; the server process that holds it is remembered, for a new one would have to take it again."""
        if await connection.fetchval(_TRY_LOCK, self._name):
            self._lock_holder = await connection.fetchval("SELECT pg_backend_pid()")
            return True
        return False

    async def _keep(self, connection: DedicatedConnection) -> None:
        wait_s = RENEW_S
        unanswered = 0
        while not self.lost.is_set():
            await trio.sleep(wait_s)
            asked_at = trio.current_time()
            try:
                renewed = await connection.transaction(self._renew)
                if renewed and not self.live:
                    await self._on_lapse()
            except DatabaseUnavailable as error:
                log.warning("the lease of node %s could not be renewed: %s", self._name, error)
                self._unreachable = True
                wait_s = pause_s(unanswered, AWAY_MAX_S)
                unanswered += 1
            else:
                self._unreachable = False
                unanswered = 0
                wait_s = RENEW_S if renewed else RETRY_S
                if renewed:
                    self._live_until = asked_at + LEASE_S

    async def _renew(self, connection: Connection) -> bool:
        """Renew; first take the lock again where the connection that held it is gone."""
        reconnected = await connection.fetchval("SELECT pg_backend_pid()") != self._lock_holder
        if reconnected and not await self._lock(connection):
            run = await connection.fetchval("SELECT run FROM nodes WHERE name = $1", self._name)
            if run != self.node_run:
                self._lose()
            return False  # else: the dead connection of our own still holds it
        watermark = self._watermark()
        tag = await connection.execute(
            _RENEW, self._name, self.node_run, LEASE_S, watermark.lag_s, watermark.settled_batch
        )
        if tag == "UPDATE 0":
            self._lose()
            return False
        return True

    def _lose(self) -> None:
        log.error("another process serves as node %s", self._name)
        self._live_until = -math.inf
        self.lost.set()

    async def _end(self, connection: DedicatedConnection) -> None:
        async def end(connection: Connection) -> None:
            await connection.execute(_END, self._name, self.node_run)

        try:
            await connection.transaction(end)
        except DatabaseUnavailable as error:
            log.info("the lease of node %s runs out by itself: %s", self._name, error)
