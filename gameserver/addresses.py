"""Where everything is, for people and for browsers."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import trio


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is, for people."""

    page: str
    docs: str
    socket: str
    data: str


def reachable(bound_host: str, asked_host: str) -> str:
    """The host of an address that a browser can open; `asked_host` where the port is open on every address."""
    host = asked_host if bound_host in ("", "0.0.0.0", "::") else bound_host  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def port_of(listeners: Sequence[trio.SocketListener]) -> int:
    """The port that was bound."""
    port: int = listeners[0].socket.getsockname()[1]
    return port


def origin_of(url: str) -> str:
    """The origin of an address as browsers write it in the Origin header (RFC 6454): scheme, host, and an unusual port.

    Raises:
        ValueError: this is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("an address begins with http:// or https:// and a host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, usual) else f":{parts.port}")
