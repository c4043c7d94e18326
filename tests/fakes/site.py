"""The HTTP side over ASGI, without a port, on what is in memory."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from starlette.types import ASGIApp

from gameserver.clock import ManualClock
from gameserver.identity.account_services import account_services
from gameserver.identity.barred import Barred
from gameserver.identity.security_log import AddressHash
from gameserver.identity.sessions import Sessions
from gameserver.identity.telegram import TelegramVerifier
from gameserver.identity.tokens import TOKEN_LIFE_S, TokenIssuer
from gameserver.metrics import Metrics
from gameserver.rate_limits.table import TABLE, Limit
from http_admin.app import Services, create_app
from persistence.account_store import AccountRow
from persistence.session_store import NewSession
from tests.fakes.away_database import AwayDatabase
from tests.fakes.front_desk import front_desk
from tests.fakes.loopback_game import KEY
from tests.fakes.memory_accounts import MemoryAccounts
from tests.fakes.memory_refusals import rate_limits
from tests.fakes.memory_sessions import MemorySessions
from tests.fakes.noted_events import NotedEvents
from tests.fakes.telegram import BOT_TOKEN, init_data


class Store(MemoryAccounts):
    """Accounts in memory; away, or broken, when told to be."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: Exception | None = None

    def _login(self, key: str, name: str, session: NewSession) -> AccountRow:
        if self.failure is not None:
            raise self.failure
        return super()._login(key, name, session)

    async def end_session(self, session_id: UUID) -> None:
        if self.failure is not None:
            raise self.failure
        await super().end_session(session_id)


@dataclass
class Site:
    """The application and what is behind it."""

    dev: bool = True
    clock: ManualClock = field(default_factory=ManualClock)
    store: Store = field(default_factory=Store)
    metrics: Metrics = field(default_factory=Metrics)
    public_url: str = ""
    origins: tuple[str, ...] = ()
    not_ready: str = ""
    degraded: bool = False
    sessions: MemorySessions = field(default_factory=MemorySessions)
    noted: NotedEvents = field(default_factory=NotedEvents)
    database: AwayDatabase = field(default_factory=AwayDatabase)
    table: Iterable[Limit] = TABLE  #: how often may be asked; for loopback too
    issuer: TokenIssuer = field(default_factory=lambda: TokenIssuer({"test": KEY}))

    def __post_init__(self) -> None:
        self.barred = Barred(self.clock, token_ms=1_000 * TOKEN_LIFE_S)
        self.limits = rate_limits(self.clock, table=self.table, exempt_loopback=False)

    def app(self) -> ASGIApp:
        accounts = front_desk(
            self.store,
            self.issuer,
            self.clock,
            telegram=TelegramVerifier(bot_tokens=(BOT_TOKEN,)),
            dev=self.dev,
            barred=self.barred,
            noted=self.noted,
            limits=self.limits,
        )
        return create_app(
            Services(
                accounts=accounts,
                sessions=Sessions(self.sessions, self.clock, AddressHash(b"a secret of tests")),
                account=account_services(
                    *(self.database, accounts, self.clock, AddressHash(b"a secret of tests")),
                    renamed=lambda _player, _name: None,
                    bcrypt_cost=4,
                ),
                limits=self.limits,
                metrics=self.metrics,
                socket_url=lambda host: f"wss://{host}/ws",
                is_dev=self.dev,
                public_url=self.public_url,
                origins=self.origins,
                ready=lambda: self.not_ready,
                degraded=lambda: self.degraded,
            )
        )

    @asynccontextmanager
    async def client(self, *, raises: bool = True, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.app(), raise_app_exceptions=raises, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://game.example") as client:
            yield client

    def init_data(self, **user: Any) -> str:
        return init_data(self.clock.now_ms() // 1_000, **user)


def assert_problem(response: httpx.Response, status: int) -> str:
    """A problem as RFC 9457 has it; returns its sentence."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    detail: str = body["detail"]
    assert detail
    return detail
