"""Which opening handshakes are accepted: path, subprotocol, Origin (wire protocol, first paragraph)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gameserver.wire.ops import SUBPROTOCOL

PATH = "/ws"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no WebSocket.

    Args:
        status: HTTP status code.
        body: one sentence for the developer of the client.
        retry_after_s: whole seconds after which trying again makes sense; 0 = it does not.
    """

    status: int
    body: str
    retry_after_s: int = 0


def announces_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request with these headers has a body. A handshake has none: what follows it are frames."""
    return any(
        name.lower() == b"transfer-encoding" or (name.lower() == b"content-length" and value.strip() != b"0")
        for name, value in headers
    )


def check_upgrade(
    path: str,
    subprotocols: Sequence[str],
    origin: str | None,
    allowed_origins: Collection[str],
    *,
    has_body: bool = False,
) -> Refusal | None:
    """Judge an opening handshake; None means welcome.

    Args:
        path: the request target; a query is ignored (it never carries a token).
        subprotocols: what the client offers.
        origin: the Origin header, None where there is none.
        allowed_origins: empty = any.
        has_body: whether it announces one, which somebody between could see end elsewhere.
    """
    if path.partition("?")[0] != PATH:
        return Refusal(404, f"The game socket is at {PATH}.")
    if has_body:
        return Refusal(400, "A WebSocket handshake has no body.")
    if SUBPROTOCOL not in subprotocols:
        return Refusal(400, f"Offer a supported subprotocol in Sec-WebSocket-Protocol. Supported: {SUBPROTOCOL}.")
    if allowed_origins and origin is not None and origin.rstrip("/") not in allowed_origins:
        return Refusal(403, "This origin is not allowed here.")
    return None
