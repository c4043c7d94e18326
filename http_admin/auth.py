"""Login over HTTP: what Telegram signed or, in dev, a name, for two tokens (wire protocol, "HTTP")."""

from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gameserver.identity.accounts import Accounts, Login
from gameserver.identity.tokens import AccessClaims
from gameserver.identity.visitor import Visitor
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.table import LimitClass
from http_admin.bearer import bearer_claims, visitor
from http_admin.problems import documented

# What the description shows; none of it has ever been good for anything.
_ACCESS: Final = "<access token>"
_REFRESH: Final = "<refresh token>"
_PLAYER: Final = "7f0c0c6e-3b0a-4f0e-9d67-0f6f1a1b2c3d"
_SESSION: Final = "0b9b3a4e-2f0c-4a53-9d0f-0f1d7c2f7a10"


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)


WidgetKey = Annotated[str, Field(max_length=64)]
WidgetText = Annotated[str, Field(max_length=2_048)]
WidgetNumber = Annotated[int, Field(ge=0, le=2**53 - 1)]


class TelegramLogin(_Body):
    """What a page got from Telegram: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["init_data"]}, {"required": ["widget"]}]})

    # Defaults from factories are none that the description would show: nobody is to send an empty one.
    init_data: str = Field(
        default_factory=str, max_length=4_096, description="of a Mini App: `Telegram.WebApp.initData`, unchanged"
    )
    widget: dict[WidgetKey, WidgetNumber | WidgetText] = Field(
        default_factory=dict,
        max_length=32,
        description="of Telegram's login widget: every field it gave to the page, unchanged",
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("give init_data or widget")
        return self


_LOGINS: dict[str, Example] = {
    "mini_app": {
        "summary": "A Mini App",
        "value": {
            "init_data": "user=%7B%22id%22%3A42%2C%22first_name%22%3A%22Ada%22%7D&auth_date=1767225600"
            "&start_param=r_0aB1cD2eF3&hash=c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2"
        },
    },
    "widget": {
        "summary": "The login widget of a page outside Telegram",
        "value": {
            "widget": {
                "id": 42,
                "first_name": "Ada",
                "username": "ada",
                "auth_date": 1767225600,
                "hash": "c303db2b5a06fe41d23a9b14f7c545cfc11dcc7473c07c9c5034ae60062461ce",
            }
        },
    },
}


class DevLogin(_Body):
    """A name instead of a Telegram account; dev only."""

    name: str = Field(min_length=1, max_length=64, description="the same name is the same player", examples=["ada"])


class RefreshLogin(_Body):
    """The refresh token of an earlier answer."""

    refresh: str = Field(
        min_length=1, max_length=512, description="used once; the answer has the next one", examples=[_REFRESH]
    )


class LoggedIn(BaseModel):
    """A login."""

    access: str = Field(description="JWT for HELLO and for `Authorization: Bearer`", examples=[_ACCESS])
    refresh: str = Field(description="opaque; exchanges for new tokens once", examples=[_REFRESH])
    expires_in_s: int = Field(description="life of the access token in seconds", examples=[900])
    player: UUID = Field(description="public id of the player", examples=[_PLAYER])


class Verified(BaseModel):
    """What an access token says."""

    player: UUID = Field(description="public id of the player", examples=[_PLAYER])
    session: UUID = Field(description="the login session", examples=[_SESSION])
    expires_at_ms: int = Field(description="end of the token, Unix milliseconds", examples=[1_767_226_500_000])


def auth_routes(accounts: Accounts, limits: RateLimits, *, is_dev: bool) -> APIRouter:
    """The routes under `/auth`.

    Args:
        accounts: does the work.
        limits: how often access tokens may be shown; logins are counted where they are done.
        is_dev: whether `/auth/dev` exists.
    """
    routes = APIRouter(prefix="/auth", tags=["login"])
    Asking = Annotated[Visitor, Depends(visitor)]  # noqa: N806 - a type
    Reading = Annotated[AccessClaims, Depends(bearer_claims(accounts, limits, LimitClass.ACCOUNT_READ))]  # noqa: N806 - a type
    Writing = Annotated[AccessClaims, Depends(bearer_claims(accounts, limits, LimitClass.ACCOUNT_WRITE))]  # noqa: N806 - a type

    def logged_in(login: Login) -> LoggedIn:
        return LoggedIn(
            access=login.access, refresh=login.refresh, expires_in_s=login.expires_in_s, player=login.public_id
        )

    @routes.post("/login", responses=documented(401, 403, 413, 422, 429, 503))
    async def login(body: Annotated[TelegramLogin, Body(openapi_examples=_LOGINS)], asking: Asking) -> LoggedIn:
        """Log in with what Telegram signed; the first time this makes the player, and keeps who invited them."""
        if "widget" in body.model_fields_set:
            return logged_in(await accounts.login_widget(body.widget, asking))
        return logged_in(await accounts.login_telegram(body.init_data, asking))

    @routes.post("/refresh", responses=documented(401, 403, 413, 422, 429, 503))
    async def refresh(body: RefreshLogin, asking: Asking) -> LoggedIn:
        """Exchange a refresh token; using one twice ends its session."""
        return logged_in(await accounts.refresh(body.refresh, asking))

    @routes.get("/verify", responses=documented(401, 403, 429))
    async def verify(claims: Reading) -> Verified:
        """Say whose the access token is."""
        return Verified(player=claims.player, session=claims.session, expires_at_ms=claims.expires_at_s * 1_000)

    @routes.post("/logout", status_code=204, response_class=Response, responses=documented(401, 403, 429, 503))
    async def logout(claims: Writing) -> None:
        """End the login session: its refresh token is worth nothing any more."""
        await accounts.logout(claims.session)

    if is_dev:

        @routes.post("/dev", responses=documented(403, 413, 422, 429, 503))
        async def dev(body: DevLogin, asking: Asking) -> LoggedIn:
            """Log in by name, without Telegram. Exists in dev only."""
            return logged_in(await accounts.login_dev(body.name, asking))

    return routes
