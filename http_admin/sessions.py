"""A player's own logins and devices over HTTP."""

from dataclasses import asdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from gameserver.identity.accounts import Accounts
from gameserver.identity.sessions import Sessions
from gameserver.identity.tokens import AccessClaims
from gameserver.identity.visitor import Visitor
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.table import LimitClass
from http_admin.bearer import bearer_claims, visitor
from http_admin.problems import documented

_SESSION = "0b9b3a4e-2f0c-4a53-9d0f-0f1d7c2f7a10"


class LoginSession(BaseModel):
    """A login: a device that can play as this player."""

    id: UUID = Field(description="of the login; `session` of WELCOME and of `/auth/verify`", examples=[_SESSION])
    name: str = Field(description="what the player calls it", examples=["my old phone"])
    client: str = Field(description="the client program, as it names itself", examples=["ppj-web/1"])
    device: str = Field(
        description="the device, as the client names it; empty until its first socket", examples=["8c1f…"]
    )
    address: str = Field(description="IP address it was last seen from; empty if unknown", examples=["203.0.113.7"])
    created_at_ms: int = Field(description="Unix milliseconds", examples=[1_764_000_000_000])
    last_seen_at_ms: int = Field(description="Unix milliseconds, to within some seconds", examples=[1_764_000_090_000])
    expires_at_ms: int = Field(
        description="when its refresh token ends, Unix milliseconds", examples=[1_764_604_800_000]
    )
    current: bool = Field(description="whether it is the one that asks", examples=[True])


class SessionList(BaseModel):
    """All live logins, the latest seen first."""

    sessions: list[LoginSession]


class SessionName(BaseModel):
    """A name for a login."""

    model_config = ConfigDict(strict=True)

    name: str = Field(max_length=64, description="empty takes it away", examples=["my old phone"])


class Ended(BaseModel):
    """How many logins were ended."""

    ended: int = Field(description="how many", examples=[2])


class Device(BaseModel):
    """What the player has played on."""

    id: int = Field(description="of the device, among all", examples=[17])
    device: str = Field(description="as the client names it", examples=["8c1f…"])
    client: str = Field(description="the client program, as it names itself", examples=["ppj-web/1"])
    address: str = Field(description="IP address it was last seen from; empty if unknown", examples=["203.0.113.7"])
    first_seen_at_ms: int = Field(description="Unix milliseconds", examples=[1_764_000_000_000])
    last_seen_at_ms: int = Field(description="Unix milliseconds, to within some seconds", examples=[1_764_000_090_000])
    sessions: int = Field(description="live logins on it", examples=[1])


class DeviceList(BaseModel):
    """All devices, the latest seen first."""

    devices: list[Device]


def session_routes(accounts: Accounts, limits: RateLimits, sessions: Sessions) -> APIRouter:
    """The routes under `/account/sessions` and `/account/devices`.

    Args:
        accounts: verifies access tokens.
        limits: how often they may be shown.
        sessions: does the work.
    """
    routes = APIRouter(prefix="/account", tags=["logins"])
    Reading = Annotated[AccessClaims, Depends(bearer_claims(accounts, limits, LimitClass.ACCOUNT_READ))]  # noqa: N806 - a type
    Writing = Annotated[AccessClaims, Depends(bearer_claims(accounts, limits, LimitClass.ACCOUNT_WRITE))]  # noqa: N806 - a type
    Asking = Annotated[Visitor, Depends(visitor)]  # noqa: N806 - a type
    DeviceId = Annotated[int, Path(ge=1, le=2**63 - 1)]  # noqa: N806 - a type

    @routes.get("/sessions", responses=documented(401, 403, 429, 503))
    async def list_sessions(claims: Reading) -> SessionList:
        """All live logins of the player who asks, the latest seen first."""
        rows = await sessions.of(claims.player)
        return SessionList(sessions=[LoginSession(**asdict(row), current=row.id == claims.session) for row in rows])

    @routes.patch(
        "/sessions/{session}",
        status_code=204,
        response_class=Response,
        responses=documented(401, 403, 404, 413, 422, 429, 503),
    )
    async def rename_session(session: UUID, body: SessionName, claims: Writing) -> None:
        """Give a login a name."""
        await sessions.rename(claims.player, session, body.name)

    @routes.delete(
        "/sessions/{session}",
        status_code=204,
        response_class=Response,
        responses=documented(401, 403, 404, 422, 429, 503),
    )
    async def end_session(session: UUID, claims: Writing, asking: Asking) -> None:
        """End a login: its tokens are worth nothing any more and its sockets are closed, on whichever node."""
        await sessions.end(claims.player, session, asking)

    @routes.post("/sessions/end-others", responses=documented(401, 403, 429, 503))
    async def end_others(claims: Writing, asking: Asking) -> Ended:
        """End every login but the one that asks."""
        return Ended(ended=await sessions.end_others(claims.player, claims.session, asking))

    @routes.get("/devices", responses=documented(401, 403, 429, 503))
    async def list_devices(claims: Reading) -> DeviceList:
        """What the player has played on, the latest seen first."""
        return DeviceList(devices=[Device(**asdict(row)) for row in await sessions.devices(claims.player)])

    @routes.delete(
        "/devices/{device}",
        status_code=204,
        response_class=Response,
        responses=documented(401, 403, 404, 422, 429, 503),
    )
    async def forget_device(device: DeviceId, claims: Writing, asking: Asking) -> None:
        """End all logins on a device and forget it."""
        await sessions.forget_device(claims.player, device, asking)

    return routes
