"""`Accounts` over what is in memory."""

from gameserver.clock import Clock
from gameserver.identity.accounts import Accounts, AccountStore
from gameserver.identity.barred import Barred
from gameserver.identity.telegram import TelegramVerifier
from gameserver.identity.tokens import TokenIssuer
from gameserver.rate_limits.limiter import RateLimits
from tests.fakes.memory_refusals import rate_limits
from tests.fakes.noted_events import NotedEvents, security_log


def front_desk(
    store: AccountStore,
    issuer: TokenIssuer,
    clock: Clock,
    *,
    telegram: TelegramVerifier | None = None,
    dev: bool = False,
    barred: Barred | None = None,
    noted: NotedEvents | None = None,
    limits: RateLimits | None = None,
) -> Accounts:
    """Accounts that know no bot, bar nobody and have the limits of dev, unless told."""
    return Accounts(
        store,
        issuer,
        clock,
        telegram=telegram or TelegramVerifier(),
        dev=dev,
        barred=barred or Barred(clock, token_ms=1),
        security_log=security_log(clock, noted),
        limits=limits or rate_limits(clock),
    )
