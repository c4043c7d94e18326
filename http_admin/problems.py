"""Errors over HTTP: `application/problem+json` (RFC 9457)."""

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

log = get_logger(__name__)


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    title: str = Field(description="the status in words", examples=["Unauthorized"])
    status: int = Field(description="HTTP status code", examples=[401])
    detail: str = Field(description="one sentence for the developer of the client")


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
    described: dict[int | str, dict[str, object]] = {}
    for status in statuses:
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        described[status] = {"description": HTTPStatus(status).phrase, "content": content}
        if status in _COME_BACK:
            described[status]["headers"] = {"Retry-After": _RETRY_AFTER}
    return described


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
        log.warning("the database refused a request", method=request.method, path=request.url.path, exc_info=error)
        return await on_wire_error(request, refusal(error))

    async def on_invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
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
        log.error("a request crashed", method=request.method, path=request.url.path, exc_info=error)
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


def allowed_methods(app: FastAPI, scope: Scope) -> list[str]:
    """The methods that a path has, over all its routes; each route alone knows only its own."""

    def is_there(method: str) -> bool:
        asked = {**scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in app.router.routes)

    found = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if is_there(method)]
    return [*found, "HEAD"] if "GET" in found else found
