"""Errors over HTTP: `application/problem+json` (RFC 9457)."""

import re
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from gameserver.errors import ErrorCode, Unauthenticated, WireError
from gameserver.logs import get_logger
from gameserver.refusals import refusal
from persistence.errors import DatabaseUnavailable, LoginEnded, Rejected

MEDIA_TYPE: Final = "application/problem+json"

STATUS_OF: Final = {
    ErrorCode.MALFORMED: HTTPStatus.BAD_REQUEST,
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.INVALID_ARGUMENT: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.CONFLICT: HTTPStatus.CONFLICT,
    ErrorCode.INSUFFICIENT: HTTPStatus.CONFLICT,
    ErrorCode.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.EXPIRED: HTTPStatus.GONE,
    ErrorCode.TOO_OLD: HTTPStatus.UPGRADE_REQUIRED,
    ErrorCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}

#: Statuses that say when to come back.
_COME_BACK: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_RETRY_AFTER: Final = {
    "description": "seconds after which the same request may succeed",
    "schema": {"type": "integer", "minimum": 1},
}
#: What a description shows of each, and the sentence that goes with it.
EXAMPLES: Final = {
    HTTPStatus.UNAUTHORIZED: "the access token has expired",
    HTTPStatus.FORBIDDEN: "this player is banned",
    HTTPStatus.NOT_FOUND: "there is no such login",
    HTTPStatus.CONFLICT: "that has been done already",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body may have at most 16384 bytes.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "body.name: Field required.",
    HTTPStatus.TOO_MANY_REQUESTS: "too often; try again later",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database is away; try again.",
}
#: Names of our own; what a peer may have named is not repeated.
_OWN_NAME: Final = re.compile(r"[a-z_]{1,32}")

log = get_logger(__name__)


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    title: str = Field(description="the status in words", examples=["Unauthorized"])
    status: int = Field(description="HTTP status code", examples=[401])
    detail: str = Field(
        description="one sentence for the developer of the client", examples=["the access token has expired"]
    )


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response.

    Args:
        status: HTTP status code.
        detail: one sentence.
        headers: to send along.
    """
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(body.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """What the OpenAPI description says of an endpoint's problems."""
    return {status: _described(HTTPStatus(status)) for status in statuses}


def _described(status: HTTPStatus) -> dict[str, object]:
    example = Problem(title=status.phrase, status=status, detail=EXAMPLES[status]).model_dump()
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    described: dict[str, object] = {"description": status.phrase, "content": {MEDIA_TYPE: content}}
    return described | ({"headers": {"Retry-After": _RETRY_AFTER}} if status in _COME_BACK else {})


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem, and describe what a problem is."""

    async def on_wire_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, WireError)
        headers = {}
        if error.retry_after_ms:
            headers["retry-after"] = str(-(-error.retry_after_ms // 1_000))
        if error.code is ErrorCode.UNAUTHENTICATED:
            headers["www-authenticate"] = "Bearer"
        return problem(STATUS_OF[error.code], error.message, headers)

    async def on_database_away(_: Request, error: Exception) -> JSONResponse:
        del error
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "The database is away; try again.", {"retry-after": "1"})

    async def on_login_ended(request: Request, error: Exception) -> JSONResponse:
        del error
        return await on_wire_error(request, Unauthenticated("this login has ended: log in again"))

    async def on_rejected(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Rejected)
        log.warning("the database refused a request", method=request.method, path=_route(request), exc_info=error)
        return await on_wire_error(request, refusal(error))

    async def on_invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) if _OWN_NAME.fullmatch(str(part)) else "…" for part in first["loc"])
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {first['msg']}.")

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers = {"allow": ", ".join(allowed_methods(app, request.scope))}
        if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI, of JSON that the parser gives up on
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "body: JSON that cannot be read.")
        return problem(error.status_code, str(error.detail), headers)

    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        log.error("a request crashed", method=request.method, path=_route(request), exc_info=error)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed at this request.")

    describe = app.openapi

    def openapi() -> dict[str, Any]:
        description = describe()
        description.setdefault("components", {}).setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        return description

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the description
    app.add_exception_handler(WireError, on_wire_error)
    app.add_exception_handler(DatabaseUnavailable, on_database_away)
    app.add_exception_handler(LoginEnded, on_login_ended)
    app.add_exception_handler(Rejected, on_rejected)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)


def _route(request: Request) -> str:
    """Which endpoint was asked: its path as we wrote it, not as the peer filled it in."""
    route = request.scope.get("route")
    return getattr(route, "path", "")


def allowed_methods(app: FastAPI, scope: Scope) -> list[str]:
    """The methods that a path has, over all its routes; each route alone knows only its own."""

    def is_there(method: str) -> bool:
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in app.router.routes)

    found = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if is_there(method)]
    return [*found, "HEAD"] if "GET" in found else found
