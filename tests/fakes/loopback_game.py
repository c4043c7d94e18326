"""The game behind a real loopback socket, with everything of ours but the database: actors, sessions, transport."""

import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

import psutil
import trio

from gameserver.actors.player import PlayerActor
from gameserver.actors.player_loader import PlayerLoader
from gameserver.actors.registry import Registry
from gameserver.clock import Clock, ManualClock
from gameserver.edge.admission import Admission
from gameserver.edge.counters import Counters
from gameserver.edge.heartbeat import Heartbeat
from gameserver.edge.listener import Listener, open_port
from gameserver.edge.login import LoginDoor
from gameserver.edge.returns import DEFAULT_PER_S, Returns
from gameserver.edge.surroundings import Surroundings
from gameserver.identity.accounts import Accounts
from gameserver.identity.barred import Barred
from gameserver.identity.last_seen import LastSeen
from gameserver.identity.telegram import TelegramVerifier
from gameserver.identity.tokens import TOKEN_LIFE_S, TokenIssuer
from gameserver.rate_limits.table import TABLE, Limit
from gameserver.settings import TransportKind
from persistence.account_store import AccountRow, LoginProof
from persistence.records import LoadedPlayer
from persistence.registration import Newcomer
from persistence.session_store import NewSession
from tests.fakes.front_desk import front_desk
from tests.fakes.memory_accounts import MemoryAccounts
from tests.fakes.memory_refusals import rate_limits
from tests.fakes.memory_sessions import MemorySessions
from tests.fakes.player_database import PlayerDatabase
from tests.fakes.telegram import BOT_TOKEN

TRANSPORT = TransportKind.AUTO  #: how sockets are served
KEY = "a key for tests, of 32 bytes or more"


@dataclass
class LoopbackGame:
    """One node on one port."""

    clock: ManualClock
    database: PlayerDatabase
    players: Registry[UUID, PlayerActor]
    accounts: Accounts
    barred: Barred
    issuer: TokenIssuer
    listener: Listener
    admission: Admission
    counters: Counters
    port: int

    def token(self, public_id: UUID | None = None, *, ttl_s: int | None = None) -> str:
        """An access token for a player, a new one where none is named."""
        if public_id is None:
            public_id = self.database.add().public_id
        return self.issuer.issue(public_id, UUID(int=1), self.clock.now_ms() // 1_000, ttl_s=ttl_s)


class _RegisteringAccounts(MemoryAccounts):
    """Logins register the player in the game's database too, as the real store does in one transaction."""

    def __init__(self, database: PlayerDatabase) -> None:
        super().__init__()
        self._database = database

    async def login_by_telegram(self, user: Newcomer, session: NewSession, proof: LoginProof) -> AccountRow:
        row = await super().login_by_telegram(user, session, proof)
        if row.public_id not in self._database.rows:
            self._database.add(row.public_id)
        return row


def build_registry(database: PlayerDatabase, clock: Clock) -> Registry[UUID, PlayerActor]:
    """The registry of players as the composition root makes it, over `database`."""

    def build(loaded: LoadedPlayer) -> PlayerActor:
        return PlayerActor(loaded, habitat)

    players: Registry[UUID, PlayerActor] = Registry(
        load=PlayerLoader(database.claim, build).load,
        flush=database.give_up,
        clock=clock,
        may_passivate=lambda: not database.away,
        observe_turn_s=database.turns_s.append,
    )
    habitat = database.habitat(clock, players.discard)
    return players


@contextlib.asynccontextmanager
async def loopback_game(
    *,
    origins: Collection[str] = (),
    tls: ssl.SSLContext | None = None,
    admission: Admission | None = None,
    table: Iterable[Limit] | None = None,
) -> AsyncIterator[LoopbackGame]:
    """Serve while the block runs; fails if a session, a task or a descriptor is left after it.

    The game's clock stands still until a test moves it; Trio's runs. Limits are as in dev, where `table` is given
    those, for loopback too.
    """
    descriptors = _descriptors()
    clock, database = ManualClock(), PlayerDatabase()
    issuer = TokenIssuer({"test": KEY})
    telegram = TelegramVerifier(bot_tokens=(BOT_TOKEN,))
    barred = Barred(clock, token_ms=1_000 * TOKEN_LIFE_S)
    limits = rate_limits(clock, table=TABLE if table is None else table, exempt_loopback=table is None)
    accounts = front_desk(
        *(_RegisteringAccounts(database), issuer, clock),
        telegram=telegram,
        dev=True,
        barred=barred,
        limits=limits,
    )
    players = build_registry(database, clock)
    sessions = MemorySessions()
    heartbeat = Heartbeat(clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(players.run)
        nursery.start_soon(heartbeat.run)
        counters = Counters()
        door = LoginDoor(accounts, players, nursery, LastSeen(sessions, clock), limits)
        admission = admission or Admission(10_000, 0, 0, exempt_loopback=True, now_s=trio.current_time)
        listener = Listener(
            Surroundings(
                *(clock, door, heartbeat, heartbeat.notices, counters),
                Returns(clock, players.loads, DEFAULT_PER_S),
                limits,
            ),
            admission,
            allowed_origins=origins,
            tls=tls,
            transport=TRANSPORT,
        )
        sockets = await open_port("127.0.0.1", 0, "GAME_PORT")
        port: int = sockets[0].socket.getsockname()[1]
        await nursery.start(listener.run, sockets)
        yield LoopbackGame(clock, database, players, accounts, barred, issuer, listener, admission, counters, port)
        with trio.fail_after(10):
            await listener.drain()
            await players.passivate_all()
        statistics = listener.statistics()
        assert (statistics.opening, statistics.live, statistics.draining) == (0, 0, 0)
        nursery.cancel_scope.cancel()
    with trio.fail_after(5):  # a peer's end is closed by its own task
        while _descriptors() > descriptors:
            await trio.lowlevel.checkpoint()


def _descriptors() -> int:
    # Trio's own thread pool and epoll are there before the first look.
    return psutil.Process(os.getpid()).num_fds()
