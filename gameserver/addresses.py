"""Where everything is, for people and for browsers."""

from collections.abc import Sequence
from dataclasses import dataclass

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
