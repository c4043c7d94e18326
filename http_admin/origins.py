"""Which pages may use the HTTP side from a browser, by the Origin header that it sets (RFC 6454; Fetch, "CORS").

Our own page may, and whichever origins are on the list. Nobody else's page can read an answer, because it gets no CORS
header, and none can change anything: what would is refused. Access tokens travel in a header that no browser adds by
itself, and there are no cookies, so a forged request could not act as somebody anyhow; but logging in needs no token.
Credentials are never allowed, and never is any origin.
"""

import enum
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders

from gameserver.addresses import origin_of

READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
}


class Caller(enum.Enum):
    """Whose page a request comes from."""

    OURS = enum.auto()  #: our own page, or no page at all
    LISTED = enum.auto()  #: a page of another origin that may
    FOREIGN = enum.auto()  #: any other page


class OriginPolicy:
    """Tells whose page asks.

    Args:
        public_url: address of our own page; "" = wherever the browser asked, whatever the scheme, since TLS may end in
            front of us.
        listed: further origins that may ask.
    """

    def __init__(self, public_url: str, listed: Collection[str]) -> None:
        self._own = origin_of(public_url) if public_url else ""
        self._listed = frozenset(listed)

    def caller(self, headers: Headers) -> Caller:
        """Whose page a request with these headers comes from."""
        origin = headers.get("origin")
        if origin is None or (self._own and origin == self._own):
            return Caller.OURS
        if origin in self._listed:
            return Caller.LISTED
        if not self._own and origin.partition("://")[2] == headers.get("host", "").lower() != "":
            return Caller.OURS
        return Caller.FOREIGN


def is_preflight(method: str, headers: Headers) -> bool:
    """Whether a browser asks beforehand what a page may do."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def allow(headers: MutableHeaders, origin: str, *, preflight: bool) -> None:
    """Let the page of `origin` read the answer with these headers."""
    headers["access-control-allow-origin"] = origin
    if preflight:
        headers.update(_PREFLIGHT)
    else:
        headers["access-control-expose-headers"] = "retry-after, www-authenticate"
