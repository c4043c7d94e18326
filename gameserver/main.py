"""The composition root: what is built from what, in which order it starts, and how it stops.

Start: ports first (a taken port should not start a database), then database, schema, the node's lease, the services,
HTTP, and last the game socket. Stop, within one deadline: not ready → no new sockets → sessions told to come back →
every actor written and given up → services, HTTP, database. Each layer is a nursery inside the one it depends on.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast
from uuid import UUID

import trio
from hypercorn.typing import ASGIFramework

from gameserver.actors.habitat import Habitat
from gameserver.actors.player import PlayerActor
from gameserver.actors.player_loader import PlayerLoader
from gameserver.actors.registry import Registry
from gameserver.actors.schedule import keep_calendar, keep_emission
from gameserver.actors.tally import tap_statistics
from gameserver.addresses import Addresses, port_of, reachable
from gameserver.clock import Clock, SystemClock
from gameserver.edge.admission import Admission
from gameserver.edge.counters import Counters
from gameserver.edge.heartbeat import Heartbeat
from gameserver.edge.listener import Listener, open_port
from gameserver.edge.login import LoginDoor
from gameserver.edge.returns import DEFAULT_PER_S, Returns
from gameserver.edge.surroundings import Surroundings
from gameserver.edge.tls import tls_context
from gameserver.edge.upgrade import PATH
from gameserver.errors import OperatorError, first_of
from gameserver.file_limit import RESERVE_FILES, advice, raise_file_limit, sockets_that_fit
from gameserver.garbage import Garbage
from gameserver.identity.services import identity_services
from gameserver.listening import deliver_grants, follow_barred
from gameserver.logs import get_logger
from gameserver.metrics import Metrics
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.refusal_log import RefusalLog
from gameserver.schema import located
from gameserver.seeding import prepare_database
from gameserver.settings import FlushTarget, Settings, signing_keys
from gameserver.stop_request import StopRequest, cancel_when
from hotpath.player_state import World
from hotpath.tap_path import Tally
from http_admin.app import Services, create_app
from http_admin.server import HttpServer
from persistence import economy_store, player_store, schedule_store
from persistence.embedded import Embedded
from persistence.errors import PersistenceError, SetupFailed
from persistence.flush_sink import NullSink, PostgresSink
from persistence.node_lease import NodeLease
from persistence.postgres import Database, open_loop
from persistence.rate_limit_store import RateLimitStore
from persistence.records import LoadedPlayer, OwnedElsewhere
from persistence.schedule_store import Fired, Job
from persistence.write_behind import WriteBehind

LOOPBACK = "127.0.0.1"
LANES = 4  #: flush transactions that may be in flight at once
DATABASE_CHECK_S = 1.0  #: between two looks whether the embedded PostgreSQL still runs
HTTP_GRACE_S = 2.0  #: for requests that are being answered when the server stops

log = get_logger(__name__)


def run_server(settings: Settings, announce: Callable[[Addresses], None]) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: everything that can be set.
        announce: called once the server is ready.

    Returns:
        The exit status: 0 if everything was written.

    Raises:
        OperatorError: a person has to change something before it can start.
        PersistenceError: the same, about the database.
    """
    try:
        return trio.run(functools.partial(_run, settings, announce))
    except* (OperatorError, PersistenceError) as group:
        raise first_of(group) from None


async def _run(settings: Settings, announce: Callable[[Addresses], None]) -> int:
    keys = signing_keys(settings)
    files = raise_file_limit(settings.max_sockets + RESERVE_FILES)
    for problem in filter(None, [*settings.problems(), *settings.cautions(), advice(files, settings.max_sockets)]):
        log.warning(problem)
    settings = settings.model_copy(update={"max_sockets": sockets_that_fit(files, settings.max_sockets)})
    sockets = await open_port(settings.host, settings.port, "GAME_PORT")
    http_sockets = await open_port(settings.http_host, settings.http_port, "GAME_HTTP_PORT")
    with located(settings) as place:
        async with open_loop(), Database.open(place.dsn) as database, trio.open_nursery() as nursery:
            if place.embedded is not None:
                nursery.start_soon(keep_running, place.embedded)
            await prepare_database(database, settings)
            node = Node(settings, database, keys, sockets, http_sockets)
            status = await node.run(lambda: announce(node.addresses(place.data)))
            nursery.cancel_scope.cancel()
            return status


async def keep_running(embedded: Embedded) -> None:
    """Start the embedded PostgreSQL again whenever it ends by itself; what waits to be written is written then."""
    while True:
        await trio.sleep(DATABASE_CHECK_S)
        if embedded.ended:
            log.error("the embedded PostgreSQL has ended; starting it again", see=str(embedded.log_path))
            try:
                await trio.to_thread.run_sync(embedded.wait_for_rest)
                embedded.relaunch()
                await trio.to_thread.run_sync(embedded.wait_ready)
            except SetupFailed as error:
                log.error("the embedded PostgreSQL cannot be started", reason=str(error))  # noqa: TRY400 - a sentence


class Node:
    """One running server.

    Args:
        settings: everything that can be set.
        database: open, with the right schema.
        keys: that sign and check access tokens, by kid.
        sockets: bound for the game; owned and closed here.
        http_sockets: bound for HTTP; owned and closed here.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        keys: Mapping[str, str],
        sockets: Sequence[trio.SocketListener],
        http_sockets: Sequence[trio.SocketListener],
    ) -> None:
        self._settings = settings
        self._database = database
        self._sockets = sockets
        self._http_sockets = http_sockets
        self._port, self._http_port = port_of(sockets), port_of(http_sockets)
        self._clock: Clock = SystemClock()
        self._metrics = Metrics()
        self._world = World()
        self._garbage = Garbage(self._metrics.gc_pauses.observe)
        self._tally = Tally()
        self._admission = Admission.of(settings, time.monotonic)
        self._refusal_log = RefusalLog(RateLimitStore(database), self._clock)
        self._limits = RateLimits.of(settings, self._clock, self._refusal_log)
        self._not_ready = "the server is starting"
        self._name = settings.node_name(self._port)
        self._lease = NodeLease(
            database,
            name=self._name,
            url=settings.node_url or self.socket_url(LOOPBACK),
            watermark=lambda: self._write_behind.watermark(),  # noqa: PLW0108 - it is built below, with the lease's run
            on_lapse=self._give_up_claimed,
        )
        self._write_behind = WriteBehind(
            NullSink() if settings.flush_sink is FlushTarget.NULL else PostgresSink(database),
            node_run=self._lease.node_run,
            lanes=LANES,
            flush_ms=settings.flush_ms,
            observe_flush_lag_s=self._metrics.flush_lag_seconds.observe,
            observe_hold_s=self._metrics.flush_hold_seconds.observe,
            dirty_max_bytes=settings.dirty_max_bytes,
        )
        self._players: Registry[UUID, PlayerActor] = Registry(
            load=PlayerLoader(self._claim, self._build).load,
            flush=self._give_up,
            clock=self._clock,
            may_passivate=lambda: not self._write_behind.degraded,
            accepts_writes=lambda: self._write_behind.accepting,
            observe_turn_s=self._metrics.turn_seconds.observe,
        )
        self._returns = Returns(self._clock, self._players.loads, settings.handshakes_per_s or DEFAULT_PER_S)
        self._habitat = Habitat(
            world=self._world,
            tally=self._tally,
            clock=self._clock,
            writer=self._write_behind,
            directory=player_store.PlayerDirectory(database),
            dropped=self._players.discard,
        )
        self._identity = identity_services(settings, database, keys, self._clock, self._limits, renamed=self._renamed)

    def socket_url(self, asked_host: str) -> str:
        """Where players' sockets go.

        Args:
            asked_host: the name the asking browser knows this machine by; used where the socket is open on every
                address and no public address is set, so that a phone in the same network can play.
        """
        scheme = "ws" if self._settings.tls_cert is None else "wss"
        host = reachable(self._settings.host, asked_host)
        return self._settings.socket_url or f"{scheme}://{host}:{self._port}{PATH}"

    def addresses(self, data: str) -> Addresses:
        """Where everything is.

        Args:
            data: where people find the database.
        """
        here = f"http://{reachable(self._settings.http_host, LOOPBACK)}:{self._http_port}"
        page = (self._settings.public_url or here).rstrip("/")
        return Addresses(page=f"{page}/", docs=f"{page}/docs", socket=self.socket_url(LOOPBACK), data=data)

    async def run(self, ready: Callable[[], None]) -> int:
        """Serve until SIGINT or SIGTERM, or until the node's lease is lost.

        Args:
            ready: called once players can come.

        Returns:
            The exit status: 0 if everything was written.
        """
        stop = StopRequest()
        closing = trio.Event()
        written = True
        async with trio.open_nursery() as outermost:
            await outermost.start(stop.listen)
            http = await outermost.start(self._serve_http, closing)
            async with trio.open_nursery() as services:
                listener = await self._start(stop, services, outermost)
                if listener is not None:
                    self._not_ready = ""
                    ready()
                    await stop.asked.wait()
                    self._not_ready = "the server is stopping"
                    log.info("stopping", reason=stop.reason)
                    written = await self._drain(listener, stop, outermost)
                services.cancel_scope.cancel()
            closing.set()
            with trio.move_on_after(2 * HTTP_GRACE_S):
                await http.wait()
            outermost.cancel_scope.cancel()
        return 0 if written and not self._lease.lost.is_set() else 1

    async def _start(self, stop: StopRequest, services: trio.Nursery, outermost: trio.Nursery) -> Listener | None:
        """Start what players need, the game socket last; None if the node was asked to stop before it was ready."""
        heartbeat = Heartbeat(self._clock)
        door = LoginDoor(
            *(self._identity.accounts, self._players, services, self._identity.last_seen, self._limits),
            serving=lambda: self._lease.serving,
        )
        shared = Surroundings(self._clock, door, heartbeat, heartbeat.notices, Counters(), self._returns, self._limits)
        listener = Listener(
            shared,
            self._admission,
            allowed_origins=self._settings.socket_origins,
            tls=tls_context(self._settings),
            transport=self._settings.transport,
        )
        self._expose(listener)
        with trio.CancelScope() as starting:
            outermost.start_soon(cancel_when, stop.asked, starting)
            await services.start(self._lease.run)
            await services.start(self._write_behind.run)
            await services.start(self._players.run)
            await self._run_due(self._clock.now_ms(), jobs=(schedule_store.PARTITIONS,))
            await services.start(self._keep_emission)
            barred = self._identity.barred
            judge = functools.partial(listener.judge, barred.refusal)
            await services.start(follow_barred, self._database, barred, judge)
            services.start_soon(self._identity.run)
            services.start_soon(self._refusal_log.run)
            services.start_soon(functools.partial(keep_calendar, self._run_due, clock=self._clock))
            services.start_soon(functools.partial(deliver_grants, self._database, self._players, node=self._name))
            services.start_soon(self._stop_when_lease_is_lost, stop)
            services.start_soon(heartbeat.run)
            await services.start(self._garbage.run)  # last but one: what the start leaves behind stays
            await services.start(listener.run, self._sockets)
            return listener
        return None

    async def _stop_when_lease_is_lost(self, stop: StopRequest) -> None:
        await self._lease.lost.wait()
        stop.ask("another process serves under this node's name")

    async def _drain(self, listener: Listener, stop: StopRequest, outermost: trio.Nursery) -> bool:
        """Send everybody away and write everything, within the deadline; False if something is left unwritten."""
        written = False
        with trio.move_on_after(self._settings.drain_s) as draining:
            outermost.start_soon(cancel_when, stop.urgent, draining)
            await listener.drain()
            await self._players.passivate_all()
            written = await self._write_behind.drain(trio.current_effective_deadline())
        if not written:
            left = self._write_behind.statistics().dirty_players
            log.error("stopped before everything was written; clients will send it again", players=left)
        return written

    async def _claim(self, public_ids: Sequence[UUID]) -> Sequence[LoadedPlayer | OwnedElsewhere]:
        return await player_store.claim_and_load(self._database, public_ids, node=self._name)

    def _build(self, loaded: LoadedPlayer) -> PlayerActor:
        return PlayerActor(loaded, self._habitat)

    async def _give_up_claimed(self) -> None:
        """Drop the players whom other nodes claimed while this one's lease had run out."""
        held = self._players.actors()
        epochs = await player_store.owner_epochs(self._database, [player.player_id for player in held])
        for player in held:
            if epochs.get(player.player_id) != player.owner_epoch:
                player.fenced()

    async def _give_up(self, player: PlayerActor) -> None:
        player.releasing = True
        self._write_behind.mark_dirty(player)
        await self._write_behind.flush_now(player)

    def _renamed(self, player: UUID, display_name: str) -> None:
        """A player is called this from now on; other nodes know it when they load the player again."""
        actor = self._players.active(player)
        if actor is not None:
            actor.display_name = display_name

    async def _keep_emission(self, task_status: trio.TaskStatus[None]) -> None:
        async def fix_hour(hour: int, emission_bp: Callable[[int], int]) -> int:
            return (await economy_store.fix_hour(self._database, hour, emission_bp=emission_bp)).emission_bp

        scale_pt = self._settings.emission_scale_pt
        await keep_emission(self._world, fix_hour, scale_pt=scale_pt, clock=self._clock, task_status=task_status)

    async def _run_due(self, now_ms: int, *, jobs: Sequence[Job] = schedule_store.JOBS) -> Sequence[Fired]:
        return await schedule_store.run_due(self._database, now_ms, launch=self._settings.launch_date, jobs=jobs)

    async def _serve_http(self, closing: trio.Event, *, task_status: trio.TaskStatus[trio.Event]) -> None:
        """Answer HTTP until `closing`; what it reports as started is set when the last answer is out."""
        closed = trio.Event()
        task_status.started(closed)
        services = Services(
            accounts=self._identity.accounts,
            sessions=self._identity.sessions,
            account=self._identity.own_account,
            limits=self._limits,
            metrics=self._metrics,
            socket_url=self.socket_url,
            is_dev=self._settings.is_dev,
            public_url=self._settings.public_url,
            origins=self._settings.origins,
            ready=lambda: self._not_ready,
            degraded=lambda: self._write_behind.degraded or not self._write_behind.accepting,
        )
        server = HttpServer(cast("ASGIFramework", create_app(services)), grace_s=HTTP_GRACE_S)
        self._metrics.add("http", server.statistics)
        await server.run(self._http_sockets, closing.wait)
        closed.set()

    def _expose(self, listener: Listener) -> None:
        self._metrics.add("taps", lambda: tap_statistics(self._tally))
        self._metrics.add("suspicion", lambda: self._habitat.suspicions)
        self._metrics.add("players", self._players.statistics)
        self._metrics.add("sessions", listener.statistics)
        self._metrics.add("returns", self._returns.statistics)
        if listener.transport_statistics() is not None:
            self._metrics.add("gateway", listener.transport_statistics)
        self._metrics.add("admission", self._admission.statistics)
        self._limits.expose(self._metrics)
        self._metrics.add("write_behind", self._write_behind.statistics)
        self._metrics.add("security_log", self._identity.security_log.statistics)
        self._metrics.add("garbage", self._garbage.statistics)
        self._metrics.add("database", self._database.statistics)
