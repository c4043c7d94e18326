"""Is it alive, will it serve, what does it measure."""

from collections.abc import Callable

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from gameserver.errors import Unavailable
from gameserver.metrics import CONTENT_TYPE, Metrics
from http_admin.problems import documented


class Health(BaseModel):
    """The process answers."""

    status: str = Field(
        description="`ok`, or `degraded` while the database is away or too much waits for it", examples=["ok"]
    )


def health_routes(metrics: Metrics, *, ready: Callable[[], str], degraded: Callable[[], bool]) -> APIRouter:
    """`/healthz`, `/readyz`, `/metrics`.

    Args:
        metrics: what is measured.
        ready: "" when the node serves players, else why it does not.
        degraded: whether the database is away, or too much waits for it.
    """
    routes = APIRouter(tags=["operation"])

    @routes.get("/healthz")
    async def healthz() -> Health:
        """Alive: 200 as long as the process answers."""
        return Health(status="degraded" if degraded() else "ok")

    @routes.get("/readyz", responses=documented(503))
    async def readyz() -> Health:
        """Will serve: 503 while starting and while draining."""
        if reason := ready():
            raise Unavailable(reason, retry_after_ms=1_000)
        return Health(status="degraded" if degraded() else "ok")

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"example": "game_sessions_live 17.0\n"}}}},
    )
    async def all_metrics() -> Response:
        """Prometheus' text format."""
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    return routes
