"""What holds for every request: a bound on bodies, and headers that keep a browser from loading or leaking anything."""

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
        """Serve one request; a body over `MAX_BODY_BYTES` is answered 413 without being read to its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        docs = scope["path"].startswith("/docs")
        policy = DOCS_POLICY if docs else PAGE_POLICY

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "no-referrer"
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        received_bytes = 0
        too_large = problem(413, f"The body may have at most {MAX_BODY_BYTES} bytes.")

        async def receive_guarded() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > MAX_BODY_BYTES:
                raise BodyTooLargeError
            return message

        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            await too_large(scope, receive, send_guarded)
            return
        try:
            await self._app(scope, receive_guarded, send_guarded)
        except BodyTooLargeError:
            await too_large(scope, receive, send_guarded)


class BodyTooLargeError(Exception):
    """The body grew over the bound while it was read."""
