"""With which words a session ends: close code, reason, where to come back (wire protocol, "Close codes").

When to come back is the same question for everybody who is sent away: `returns`.
"""

from dataclasses import dataclass

from gameserver.actors.player_loader import Moved
from gameserver.errors import RateLimited, Unauthenticated, WireError
from gameserver.identity.barred import Banned
from gameserver.wire.ops import CloseCode


@dataclass(frozen=True, slots=True)
class Farewell:
    """What GOODBYE says."""

    code: CloseCode  #: why, for the client's program
    reason: str  #: why, for its developer
    url: str | None = None  #: where to connect instead
    after_ms: int = 0  #: not to come back before that, whoever else is sent away


def farewell_to_refused(error: WireError) -> Farewell:
    """The words for a HELLO that does not lead to its player, and for a player who may not go on."""
    if isinstance(error, Moved):
        return Farewell(CloseCode.MOVED, error.message, error.url or None)
    if isinstance(error, Banned):
        return Farewell(CloseCode.BANNED, error.message)
    if isinstance(error, Unauthenticated) and error.expired:
        return Farewell(CloseCode.TOKEN_EXPIRED, error.message)
    if isinstance(error, RateLimited):
        return Farewell(CloseCode.RATE_LIMITED, error.message, after_ms=error.retry_after_ms)
    if error.retry_after_ms:
        return Farewell(CloseCode.OVERLOADED, error.message)
    return Farewell(CloseCode.UNAUTHENTICATED, error.message)
