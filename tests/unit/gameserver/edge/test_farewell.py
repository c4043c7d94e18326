"""What is told to a HELLO that leads nowhere, and to who may not go on."""

import pytest

from gameserver.actors.player_loader import Moved
from gameserver.edge.farewell import Farewell, farewell_to_refused
from gameserver.errors import Busy, Forbidden, NotFound, RateLimited, Unauthenticated, Unavailable, WireError
from gameserver.identity.barred import Banned
from gameserver.wire.ops import CloseCode


@pytest.mark.parametrize(
    ("error", "code", "url"),
    [
        (Moved("wss://b.example/ws"), CloseCode.MOVED, "wss://b.example/ws"),
        (Moved(""), CloseCode.MOVED, None),
        (Unauthenticated("old", expired=True), CloseCode.TOKEN_EXPIRED, None),
        (Unauthenticated("bad"), CloseCode.UNAUTHENTICATED, None),
        (NotFound("nobody"), CloseCode.UNAUTHENTICATED, None),
        (Forbidden("no"), CloseCode.UNAUTHENTICATED, None),
        (Banned("out"), CloseCode.BANNED, None),
        (Unavailable("away", retry_after_ms=70), CloseCode.OVERLOADED, None),
        (RateLimited("many"), CloseCode.RATE_LIMITED, None),
        (Busy("full"), CloseCode.OVERLOADED, None),
    ],
)
def test_each_error_has_its_code(error: WireError, code: CloseCode, url: str | None) -> None:
    after_ms = error.retry_after_ms if isinstance(error, RateLimited) else 0
    assert farewell_to_refused(error) == Farewell(code, error.message, url, after_ms)
