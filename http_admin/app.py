"""The HTTP side: login, health, metrics, the Mini App and the API's description. It loads nothing from elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import FileResponse
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from gameserver import __version__
from gameserver.identity.account_services import AccountServices
from gameserver.identity.accounts import Accounts
from gameserver.identity.sessions import Sessions
from gameserver.metrics import Metrics
from gameserver.rate_limits.limiter import RateLimits
from http_admin import problems
from http_admin.account import account_routes
from http_admin.auth import auth_routes
from http_admin.guards import Guards
from http_admin.health import health_routes
from http_admin.sessions import session_routes

#: Groups of endpoints.
TAGS: Final = {
    "login": "What Telegram signed, for an access token and a refresh token.",
    "logins": "A player's own logins and devices.",
    "account": "A player's own account, and what others may see of it.",
    "operation": "For those who run the server.",
    "page": "For the Mini App.",
}
PAGES: Final = Path(__file__).with_name("miniapp")


@dataclass(frozen=True, slots=True)
class Services:
    """What the HTTP side needs of the server.

    Args:
        accounts: logins.
        sessions: what players do with theirs.
        account: what players do with their own account.
        limits: how often something may be asked.
        metrics: what is measured.
        socket_url: where players' sockets go, given the host name the browser asked for.
        is_dev: whether the dev login exists.
        public_url: address of the page; "" = unknown.
        origins: of other pages that may use the HTTP side.
        ready: "" when the node serves players, else why it does not.
        degraded: whether the database is away, or too much waits for it.
    """

    accounts: Accounts
    sessions: Sessions
    account: AccountServices
    limits: RateLimits
    metrics: Metrics
    socket_url: Callable[[str], str]
    is_dev: bool
    public_url: str
    origins: tuple[str, ...]
    ready: Callable[[], str]
    degraded: Callable[[], bool]


class PageConfig(BaseModel):
    """What the page must know before it connects."""

    socket_url: str = Field(description="the game socket", examples=["ws://127.0.0.1:8600/ws"])
    dev_login: bool = Field(description="whether `POST /auth/dev` exists", examples=[False])


def create_app(services: Services) -> ASGIApp:
    """The ASGI application."""
    app = FastAPI(
        title="People Power Journey",
        version=__version__,
        description="Login, health and metrics. The game itself is played over the WebSocket.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Clients are generated from it: a name does not change with a path.
        generate_unique_id_function=lambda route: route.name,
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
    )
    problems.install(app)
    app.include_router(auth_routes(services.accounts, services.limits, is_dev=services.is_dev))
    app.include_router(account_routes(services.accounts, services.limits, services.account))
    app.include_router(session_routes(services.accounts, services.limits, services.sessions))
    app.include_router(health_routes(services.metrics, ready=services.ready, degraded=services.degraded))

    @app.get("/config.json", tags=["page"])
    async def config(request: Request) -> PageConfig:
        """Where the game socket is."""
        return PageConfig(socket_url=services.socket_url(request.url.hostname or ""), dev_login=services.is_dev)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(PAGES / "api_docs.html")

    app.router.routes.append(Pages())
    return Guards(app, public_url=services.public_url, origins=services.origins)


class Pages(Mount):
    """The Mini App's files at `/`.

    A plain mount there would take every path, also one that exists for another method, and call it not found. The files
    are listed once: they come with the program.
    """

    def __init__(self) -> None:
        super().__init__("/", StaticFiles(directory=PAGES, html=True))
        files = {f"/{file.relative_to(PAGES).as_posix()}" for file in PAGES.rglob("*") if file.is_file()}
        self._paths = frozenset(files | {file.removesuffix("index.html") for file in files})

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Only what is there, and wholly only by the methods that files have."""
        if scope["type"] != "http" or scope["path"] not in self._paths:
            return Match.NONE, {}
        match, child = super().matches(scope)
        return (match if scope["method"] in ("GET", "HEAD") else Match.PARTIAL), child
