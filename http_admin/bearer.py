"""Who asks, and from where: the access token of `Authorization: Bearer`, for all that belongs to somebody."""

from collections.abc import Callable
from typing import Annotated, TypeAlias

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gameserver.errors import Unauthenticated
from gameserver.identity.accounts import Accounts
from gameserver.identity.tokens import AccessClaims
from gameserver.identity.visitor import Visitor

_bearer = HTTPBearer(auto_error=False, description="the access token")
_Credentials: TypeAlias = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def visitor(request: Request) -> Visitor:
    """A FastAPI dependency: what is known of who asks, but for the device."""
    address = request.client.host if request.client is not None else ""
    return Visitor.of(client=request.headers.get("user-agent", ""), address=address)


def bearer_claims(accounts: Accounts) -> Callable[[_Credentials, Visitor], AccessClaims]:
    """A FastAPI dependency that gives what the token says.

    Args:
        accounts: verifies it.

    The dependency raises `Unauthenticated` where there is no token or it does not verify.
    """

    def claims(credentials: _Credentials, asking: Annotated[Visitor, Depends(visitor)]) -> AccessClaims:
        if credentials is None:
            raise Unauthenticated("send the access token as Authorization: Bearer")
        return accounts.verify(credentials.credentials, asking)

    return claims
