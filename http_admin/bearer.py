"""Who asks, and from where: the access token of `Authorization: Bearer`, for all that belongs to somebody."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gameserver.errors import Unauthenticated
from gameserver.identity.accounts import Accounts
from gameserver.identity.tokens import AccessClaims
from gameserver.identity.visitor import Visitor
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.table import LimitClass

_bearer = HTTPBearer(
    bearerFormat="JWT", scheme_name="access_token", description="`access` of a login", auto_error=False
)
_Credentials: TypeAlias = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def visitor(request: Request) -> Visitor:
    """A FastAPI dependency: what is known of who asks, but for the device."""
    address = request.client.host if request.client is not None else ""
    return Visitor.of(client=request.headers.get("user-agent", ""), address=address)


_Asking: TypeAlias = Annotated[Visitor, Depends(visitor)]


def counted_visitor(limits: RateLimits, limit_class: LimitClass) -> Callable[[_Asking], Awaitable[Visitor]]:
    """A FastAPI dependency: `visitor`, as often as may be asked for without a token.

    Args:
        limits: counts who asks, by address.
        limit_class: what it counts as.

    The dependency raises `RateLimited`. A route that has it documents 429.
    """

    async def counted(asking: _Asking) -> Visitor:
        limits.demand(limit_class, limits.caller(asking.address))
        return asking

    return counted


def bearer_claims(
    accounts: Accounts, limits: RateLimits, limit_class: LimitClass
) -> Callable[[_Credentials, _Asking], Awaitable[AccessClaims]]:
    """A FastAPI dependency that gives what the token says, as often as that may be asked for.

    Args:
        accounts: verifies it.
        limits: counts who asks, by address and by player.
        limit_class: what it counts as.

    The dependency raises `Unauthenticated` where there is no token or it does not verify, and `RateLimited`. A route
    that has it documents 401, 403 and 429.
    """

    async def claims(credentials: _Credentials, asking: _Asking) -> AccessClaims:
        limits.demand(limit_class, limits.caller(asking.address), take=False)
        if credentials is None:
            raise Unauthenticated("send the access token as Authorization: Bearer")
        verified = accounts.verify(credentials.credentials, asking)
        limits.demand(limit_class, limits.caller(asking.address, verified.player))
        return verified

    return claims
