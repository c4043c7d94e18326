"""What holds for every request: a bound on bodies, and headers that keep a browser from loading or leaking anything."""

import contextlib
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_admin.problems import problem

MAX_BODY_BYTES: Final = 16 * 1024
#: Nothing from elsewhere. Telegram shows the page in a frame of its web client.
PAGE_POLICY: Final = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self' https://web.telegram.org"
)
#: Swagger UI sets styles inline.
DOCS_POLICY: Final = PAGE_POLICY + "; style-src 'self' 'unsafe-inline'"


class Guards:
    """ASGI middleware.

    Args:
        app: what is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        HEAD is answered as GET, without the body. A request's body over `MAX_BODY_BYTES` is answered 413 without being
        read to its end.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = DOCS_POLICY if scope["path"].startswith("/docs") else PAGE_POLICY
        is_head = scope["method"] == "HEAD"
        received_bytes = 0
        too_large = answered = False

        async def send_guarded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "no-referrer"
                headers.setdefault("cache-control", "no-cache")
            elif is_head and "body" in message:
                message = {**message, "body": b""}
            await send(message)

        async def send_of_app(message: Message) -> None:
            # What it makes of a body that was cut short, FastAPI 400 for one, is not what is wrong.
            if answered or not too_large:
                await send_guarded(message)

        async def receive_guarded() -> Message:
            nonlocal received_bytes, too_large
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > MAX_BODY_BYTES:
                too_large = True
                raise BodyTooLargeError
            return message

        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            too_large = True
        else:
            with contextlib.suppress(BodyTooLargeError):
                await self._app({**scope, "method": "GET"} if is_head else scope, receive_guarded, send_of_app)
        if too_large and not answered:
            response = problem(413, f"The body may have at most {MAX_BODY_BYTES} bytes.")
            await response(scope, receive, send_guarded)


class BodyTooLargeError(Exception):
    """The body grew over the bound while it was read."""
