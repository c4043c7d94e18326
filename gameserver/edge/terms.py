"""What stands between a transport and a session: the terms of a connection, and what a transport may ask of a session.

A transport knows sockets and RFC 6455; a session knows the game. Whatever keeps to `SocketSession` can be driven by
any transport, under any `Terms`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from gameserver.edge.upgrade import Refusal, check_upgrade
from gameserver.wire.ops import MAX_CLIENT_FRAME_BYTES, SUBPROTOCOL, CloseCode
from hotpath.outbox import Outbox

__all__ = ["OpenSession", "Refusal", "SocketSession", "Terms", "Upgrade", "player_terms"]


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an opening handshake asks for."""

    path: str  #: the request target, query included
    subprotocols: tuple[str, ...]  #: what the client offers
    origin: str | None  #: the Origin header, None where there is none
    has_body: bool  #: whether it announces a body


@dataclass(frozen=True, slots=True)
class Terms:
    """What a transport demands of a connection."""

    max_message_bytes: int  #: a longer message closes with 1009
    subprotocol: str | None  #: what the answer to the handshake names, None = nothing
    refuse: Callable[[Upgrade], Refusal | None]  #: None = welcome


class SocketSession(Protocol):
    """What a transport drives. None of these may wait."""

    @property
    def outbox(self) -> Outbox:
        """What is to be written."""
        ...

    def receive(self, payload: bytes) -> None:
        """A binary message arrived."""
        ...

    def receive_text(self, text: str) -> None:
        """A text message arrived."""
        ...

    def heard(self) -> None:
        """Bytes arrived, whatever they are."""
        ...

    def gone(self) -> None:
        """The socket is closed, from whichever side."""
        ...

    def crashed(self, error: Exception) -> None:
        """One of the above raised."""
        ...

    def check_pace(self) -> None:
        """A publication was queued because the reader is behind."""
        ...

    def close(self, code: CloseCode, reason: str) -> None:
        """The transport wants an end with this close code (1xxx)."""
        ...


#: (outbox, abort, address) → session. `outbox`: the transport's; `abort`: drop the socket without another word;
#: `address`: the peer's, as `getpeername` writes it.
OpenSession = Callable[[Outbox, Callable[[], None], str], SocketSession]


def player_terms(allowed_origins: Collection[str]) -> Terms:
    """The terms for players.

    Args:
        allowed_origins: Origin headers that may connect; empty = any.
    """

    def refuse(upgrade: Upgrade) -> Refusal | None:
        return check_upgrade(
            upgrade.path, upgrade.subprotocols, upgrade.origin, allowed_origins, has_body=upgrade.has_body
        )

    return Terms(max_message_bytes=MAX_CLIENT_FRAME_BYTES, subprotocol=SUBPROTOCOL, refuse=refuse)
