"""With which words a session ends: close code, reason, when and where to come back (wire protocol, "Close codes")."""

from dataclasses import dataclass

from gameserver.actors.player_loader import Moved
from gameserver.errors import Unauthenticated, WireError
from gameserver.identity.barred import Banned
from gameserver.wire.ops import CloseCode

#: When to come back at the earliest, where that is not at once; full jitter comes on top.
RECONNECT_AFTER_MS = {
    CloseCode.RESYNC: 100,
    CloseCode.SLOW_READER: 1_000,
    CloseCode.OVERLOADED: 2_000,
}


@dataclass(frozen=True, slots=True)
class Farewell:
    """What GOODBYE says."""

    code: CloseCode  #: why, for the client's program
    reason: str  #: why, for its developer
    reconnect_after_ms: int
    url: str | None = None  #: where to connect instead


def farewell(
    code: CloseCode, reason: str, *, reconnect_after_ms: int | None = None, url: str | None = None
) -> Farewell:
    """The words for `code`; without `reconnect_after_ms` the default of the code."""
    if reconnect_after_ms is None:
        reconnect_after_ms = RECONNECT_AFTER_MS.get(code, 0)
    return Farewell(code, reason, reconnect_after_ms, url)


def farewell_to_refused(error: WireError) -> Farewell:
    """The words for a HELLO that does not lead to its player, and for a player who may not go on."""
    if isinstance(error, Moved):
        return farewell(CloseCode.MOVED, error.message, url=error.url or None)
    if isinstance(error, Banned):
        return farewell(CloseCode.BANNED, error.message)
    if isinstance(error, Unauthenticated) and error.expired:
        return farewell(CloseCode.TOKEN_EXPIRED, error.message)
    if error.retry_after_ms:
        return farewell(CloseCode.OVERLOADED, error.message, reconnect_after_ms=error.retry_after_ms)
    return farewell(CloseCode.UNAUTHENTICATED, error.message)
