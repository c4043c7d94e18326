"""Which transports there are, and which one serves where."""

import ssl
import sys

from gameserver.edge.portable import PortableTransport
from gameserver.edge.transport import Host, Transport
from gameserver.errors import OperatorError
from gameserver.settings import TransportKind

GATEWAY_PLATFORM = "linux"  #: epoll


def chosen(kind: TransportKind, *, tls: bool) -> TransportKind:
    """What serves: never AUTO.

    Args:
        kind: what was asked for.
        tls: whether TLS ends inside the process.

    Raises:
        OperatorError: the gateway was asked for where it cannot be.
    """
    if kind is TransportKind.PORTABLE:
        return kind
    fault = ""
    if sys.platform != GATEWAY_PLATFORM:
        fault = "needs Linux"
    elif tls:
        fault = "does no TLS: end it in a proxy, or unset GAME_TLS_CERT and GAME_TLS_KEY"
    if not fault:
        return TransportKind.GATEWAY
    if kind is TransportKind.GATEWAY:
        raise OperatorError(f"the gateway transport {fault}; or set GAME_TRANSPORT=portable.")
    return TransportKind.PORTABLE


def make_transport(kind: TransportKind, host: Host, tls: ssl.SSLContext | None) -> Transport:
    """A transport for `host`.

    Args:
        kind: which one.
        host: whom it works for.
        tls: for TLS inside the process; None = plain.

    Raises:
        OperatorError: the gateway was asked for where it cannot be.
    """
    if chosen(kind, tls=tls is not None) is TransportKind.PORTABLE:
        return PortableTransport(host, tls)
    from gameserver.edge.gateway import GatewayTransport  # what it stands on is built on Linux only

    return GatewayTransport(host)
