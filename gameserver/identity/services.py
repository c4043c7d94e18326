"""Everything of who is there that a node runs, put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

import trio

from gameserver.clock import Clock
from gameserver.identity.account_services import AccountServices, account_services
from gameserver.identity.accounts import Accounts
from gameserver.identity.barred import Barred
from gameserver.identity.last_seen import LastSeen
from gameserver.identity.security_log import AddressHash, SecurityLog
from gameserver.identity.sessions import Sessions
from gameserver.identity.telegram import TelegramVerifier
from gameserver.identity.tokens import TOKEN_LIFE_S, TokenIssuer
from gameserver.rate_limits.limiter import RateLimits
from gameserver.settings import Settings
from persistence.account_store import AccountStore
from persistence.postgres import Database
from persistence.security_log_store import SecurityLogStore
from persistence.session_store import SessionStore


@dataclass(frozen=True, slots=True)
class Identity:
    """Logins and what belongs to them."""

    accounts: Accounts
    barred: Barred
    sessions: Sessions
    last_seen: LastSeen
    security_log: SecurityLog
    own_account: AccountServices

    async def run(self) -> None:
        """Write what is gathered, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.last_seen.run)
            nursery.start_soon(self.security_log.run)


def identity_services(
    settings: Settings,
    database: Database,
    keys: Mapping[str, str],
    clock: Clock,
    limits: RateLimits,
    *,
    renamed: Callable[[UUID, str], None],
) -> Identity:
    """The services over one database.

    Args:
        settings: how Telegram logins are checked, and whether names alone may log in.
        database: where accounts are.
        keys: that sign and check access tokens, by kid; the first also names addresses in logs.
        clock: the present.
        limits: how often may be tried what.
        renamed: told the new name of a player (public id) who may be in this node's memory.

    Raises:
        OperatorError: there is no key, or a short one.
    """
    issuer, address_hash = TokenIssuer(keys), AddressHash(next(iter(keys.values())).encode())
    session_store = SessionStore(database)
    barred = Barred(clock, token_ms=1_000 * TOKEN_LIFE_S)
    security_log = SecurityLog(SecurityLogStore(database), clock, address_hash)
    accounts = Accounts(
        AccountStore(database),
        issuer,
        clock,
        telegram=TelegramVerifier.of(settings),
        dev=settings.is_dev,
        barred=barred,
        security_log=security_log,
        limits=limits,
    )
    return Identity(
        accounts=accounts,
        barred=barred,
        sessions=Sessions(session_store, clock, address_hash),
        last_seen=LastSeen(session_store, clock),
        security_log=security_log,
        own_account=account_services(database, accounts, clock, address_hash, renamed=renamed),
    )
