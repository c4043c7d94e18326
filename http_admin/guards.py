"""What holds for every request: who may ask from a browser, a bound on bodies, headers against loading and leaking."""

import contextlib
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from http_admin.origins import READS, Caller, OriginPolicy, allow, is_preflight
from http_admin.problems import problem

MAX_BODY_BYTES: Final = 16 * 1024
HSTS_S: Final = 365 * 86_400

#: Of pages: nothing from elsewhere, nothing inline. Telegram shows the page in a frame of its web client. Sockets may
#: lead anywhere: GOODBYE can name another node.
PAGE_POLICY: Final = (
    "default-src 'self'; connect-src 'self' {sockets}; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self' https://web.telegram.org"
)
#: Swagger UI sets styles inline.
DOCS_POLICY: Final = PAGE_POLICY + "; style-src 'self' 'unsafe-inline'"
#: Of everything else, which is no page: whoever opens it as one gets nothing to run, nor a frame.
DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_DENIED = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")
ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # Telegram's login widget, on a page that links here, works with pop-ups
    "cross-origin-opener-policy": "same-origin-allow-popups",
    "permissions-policy": ", ".join(f"{feature}=()" for feature in _DENIED),
}


class Guards:
    """ASGI middleware.

    Args:
        app: what is guarded.
        public_url: address of the page; "" = unknown.
        origins: of other pages that may use the HTTP side.
    """

    def __init__(self, app: ASGIApp, *, public_url: str = "", origins: tuple[str, ...] = ()) -> None:
        self._app = app
        self._origins = OriginPolicy(public_url, origins)
        self._is_https = public_url.startswith("https:")
        sockets = "wss:" if self._is_https else "ws: wss:"  # a page loaded over TLS opens no other sockets anyhow
        self._page_policy, self._docs_policy = (text.format(sockets=sockets) for text in (PAGE_POLICY, DOCS_POLICY))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        HEAD is answered as GET, without the body. A request's body over `MAX_BODY_BYTES` is answered 413 without being
        read to its end; one whose end depends on who reads it (RFC 9112, 6.3: "request smuggling") is answered 400, and
        its connection ends.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        caller = self._origins.caller(asked)
        preflight = is_preflight(scope["method"], asked)
        is_head = scope["method"] == "HEAD"
        received_bytes = 0
        too_large = answered = False

        async def send_guarded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                headers = MutableHeaders(scope=message)
                self._protect(headers, is_docs=scope["path"] == "/docs", is_stored=message["status"] == 304)
                if caller is Caller.LISTED:
                    allow(headers, asked["origin"], preflight=preflight)
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

        if (refused := _refusal(scope, asked, caller, preflight=preflight)) is not None:
            await refused(scope, receive, send_guarded)
            return
        length = asked.get("content-length", "0")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            too_large = True
        else:
            with contextlib.suppress(BodyTooLargeError):
                await self._app({**scope, "method": "GET"} if is_head else scope, receive_guarded, send_of_app)
        if too_large and not answered:
            response = problem(413, f"The body may have at most {MAX_BODY_BYTES} bytes.")
            await response(scope, receive, send_guarded)

    def _protect(self, headers: MutableHeaders, *, is_docs: bool, is_stored: bool) -> None:
        headers.update(ALWAYS)
        if not is_stored:  # else what it is does not stand here, and what it came with holds on (RFC 9111, 4.3.4)
            is_page = headers.get("content-type", "").startswith("text/html")
            page_policy = self._docs_policy if is_docs else self._page_policy
            headers["content-security-policy"] = page_policy if is_page else DATA_POLICY
            headers["cross-origin-resource-policy"] = "cross-origin" if is_page else "same-origin"
        # Files of the program have an etag. All else is somebody's, or of this moment.
        headers.setdefault("cache-control", "no-cache" if "etag" in headers else "no-store")
        headers.add_vary_header("origin")
        if self._is_https:
            headers["strict-transport-security"] = f"max-age={HSTS_S}"


def _refusal(scope: Scope, asked: Headers, caller: Caller, *, preflight: bool) -> Response | None:
    """The answer to what the application is not to see; None = it is."""
    if "transfer-encoding" in asked and ("content-length" in asked or scope["http_version"] == "1.0"):
        return problem(400, "A body has either a Content-Length or, in HTTP/1.1, chunks.", {"connection": "close"})
    if caller is Caller.FOREIGN and (preflight or scope["method"] not in READS):
        return problem(403, "Pages of this origin may not do that: see GAME_PUBLIC_URL and GAME_ORIGINS.")
    return Response(status_code=204) if preflight and caller is Caller.LISTED else None


class BodyTooLargeError(Exception):
    """The body grew over the bound while it was read."""
