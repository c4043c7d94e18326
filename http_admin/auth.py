"""Login over HTTP: Telegram's initData or, in dev, a name, for two tokens (wire protocol, "HTTP")."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, ConfigDict, Field

from gameserver.identity.accounts import Accounts, Login
from gameserver.identity.tokens import AccessClaims
from http_admin.bearer import bearer_claims
from http_admin.problems import documented


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)


class TelegramLogin(_Body):
    """What the Mini App got from Telegram."""

    init_data: str = Field(max_length=4_096, description="`Telegram.WebApp.initData`, unchanged")


class DevLogin(_Body):
    """A name instead of a Telegram account; dev only."""

    name: str = Field(min_length=1, max_length=64, description="the same name is the same player", examples=["ada"])


class RefreshLogin(_Body):
    """The refresh token of an earlier answer."""

    refresh: str = Field(min_length=1, max_length=512, description="used once; the answer has the next one")


class LoggedIn(BaseModel):
    """A login."""

    access: str = Field(description="JWT for HELLO and for `Authorization: Bearer`")
    refresh: str = Field(description="opaque; exchanges for new tokens once")
    expires_in_s: int = Field(description="life of the access token in seconds", examples=[900])
    player: UUID = Field(description="public id of the player")


class Verified(BaseModel):
    """What an access token says."""

    player: UUID = Field(description="public id of the player")
    session: UUID = Field(description="the login session")
    expires_at_ms: int = Field(description="end of the token, Unix milliseconds")


def auth_routes(accounts: Accounts, *, is_dev: bool) -> APIRouter:
    """The routes under `/auth`.

    Args:
        accounts: does the work.
        is_dev: whether `/auth/dev` exists.
    """
    routes = APIRouter(prefix="/auth", tags=["login"])
    Client = Annotated[str, Header(alias="user-agent", include_in_schema=False)]  # noqa: N806 - a type
    Claims = Annotated[AccessClaims, Depends(bearer_claims(accounts))]  # noqa: N806 - a type

    def logged_in(login: Login) -> LoggedIn:
        return LoggedIn(
            access=login.access, refresh=login.refresh, expires_in_s=login.expires_in_s, player=login.public_id
        )

    @routes.post("/login", responses=documented(401, 403, 413, 422, 503))
    async def login(body: TelegramLogin, user_agent: Client = "") -> LoggedIn:
        """Log in with Telegram's initData; the first time this makes the player."""
        return logged_in(await accounts.login_telegram(body.init_data, user_agent))

    @routes.post("/refresh", responses=documented(401, 403, 413, 422, 503))
    async def refresh(body: RefreshLogin) -> LoggedIn:
        """Exchange a refresh token; using one twice ends its session."""
        return logged_in(await accounts.refresh(body.refresh))

    @routes.get("/verify", responses=documented(401, 403))
    async def verify(claims: Claims) -> Verified:
        """Say whose the access token is."""
        return Verified(player=claims.player, session=claims.session, expires_at_ms=claims.expires_at_s * 1_000)

    @routes.post("/logout", status_code=204, response_class=Response, responses=documented(401, 403, 503))
    async def logout(claims: Claims) -> None:
        """End the login session: its refresh token is worth nothing any more."""
        await accounts.logout(claims.session)

    if is_dev:

        @routes.post("/dev", responses=documented(403, 413, 422, 503))
        async def dev(body: DevLogin, user_agent: Client = "") -> LoggedIn:
            """Log in by name, without Telegram. Exists in dev only."""
            return logged_in(await accounts.login_dev(body.name, user_agent))

    return routes
