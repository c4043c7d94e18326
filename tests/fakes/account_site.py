"""The HTTP side over ASGI on a real database: what players do with their accounts, as clients see it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from gameserver.clock import ManualClock
from gameserver.identity.account_services import AccountServices, account_services
from gameserver.identity.barred import Barred
from gameserver.identity.security_log import AddressHash
from gameserver.identity.sessions import Sessions
from gameserver.identity.telegram import TelegramVerifier
from gameserver.identity.tokens import TOKEN_LIFE_S, TokenIssuer
from gameserver.metrics import Metrics
from http_admin.app import Services, create_app
from persistence.account_store import AccountStore
from persistence.postgres import Database
from persistence.session_store import SessionStore
from tests.fakes.front_desk import front_desk
from tests.fakes.loopback_game import KEY
from tests.fakes.memory_refusals import rate_limits
from tests.fakes.telegram import BOT_TOKEN, init_data

FAST = 4  #: the least that bcrypt takes


@dataclass(frozen=True)
class Someone:
    """A player who is logged in."""

    player: UUID
    headers: dict[str, str]
    refresh: str


class AccountSite:
    """One node's HTTP side.

    Args:
        database: open, with the present schema.
        address: where its requests come from.
    """

    def __init__(self, database: Database, *, clock: ManualClock | None = None, address: str = "203.0.113.5") -> None:
        self.clock = clock or ManualClock()
        self.database = database
        self.renamed: dict[UUID, str] = {}
        self.barred = Barred(self.clock, token_ms=1_000 * TOKEN_LIFE_S)
        self.address = address
        self.limits = rate_limits(self.clock)
        issuer = TokenIssuer({"test": KEY})
        self.address_hash = AddressHash(b"a secret of tests")
        self.accounts = front_desk(
            AccountStore(database),
            issuer,
            self.clock,
            telegram=TelegramVerifier(bot_tokens=(BOT_TOKEN,)),
            dev=True,
            barred=self.barred,
            limits=self.limits,
        )
        self.services: AccountServices = account_services(
            *(database, self.accounts, self.clock, self.address_hash),
            renamed=self.renamed.__setitem__,
            bcrypt_cost=FAST,
        )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(
            Services(
                accounts=self.accounts,
                sessions=Sessions(SessionStore(self.database), self.clock, self.address_hash),
                account=self.services,
                limits=self.limits,
                metrics=Metrics(),
                socket_url=lambda host: f"ws://{host}/ws",
                is_dev=True,
                public_url="",
                origins=(),
                ready=lambda: "",
                degraded=lambda: False,
            )
        )
        transport = httpx.ASGITransport(app, client=(self.address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://game.example") as client:
            yield client

    def init_data(self, telegram_id: int, **user: Any) -> str:
        return init_data(self.clock.now_ms() // 1_000, id=telegram_id, **user)

    async def by_telegram(self, telegram_id: int, name: str = "Ada") -> Someone:
        login = await self.accounts.login_telegram(self.init_data(telegram_id, first_name=name))
        return Someone(login.public_id, {"authorization": f"Bearer {login.access}"}, login.refresh)

    async def by_name(self, name: str) -> Someone:
        login = await self.accounts.login_dev(name)
        return Someone(login.public_id, {"authorization": f"Bearer {login.access}"}, login.refresh)
