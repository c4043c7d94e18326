"""What is told to a HELLO that leads nowhere, and to who may not go on."""

import pytest

from gameserver.actors.player_loader import Moved
from gameserver.edge.farewell import Farewell, farewell, farewell_to_refused
from gameserver.errors import Busy, Forbidden, NotFound, Unauthenticated, Unavailable, WireError
from gameserver.identity.barred import Banned
from gameserver.wire.ops import CloseCode


@pytest.mark.parametrize(
    ("error", "code", "after_ms", "url"),
    [
        (Moved("wss://b.example/ws"), CloseCode.MOVED, 0, "wss://b.example/ws"),
        (Moved(""), CloseCode.MOVED, 0, None),
        (Unauthenticated("old", expired=True), CloseCode.TOKEN_EXPIRED, 0, None),
        (Unauthenticated("bad"), CloseCode.UNAUTHENTICATED, 0, None),
        (NotFound("nobody"), CloseCode.UNAUTHENTICATED, 0, None),
        (Forbidden("no"), CloseCode.UNAUTHENTICATED, 0, None),
        (Banned("out"), CloseCode.BANNED, 0, None),
        (Unavailable("away", retry_after_ms=70), CloseCode.OVERLOADED, 70, None),
        (Busy("full", retry_after_ms=9), CloseCode.OVERLOADED, 9, None),
    ],
)
def test_each_error_has_its_code(error: WireError, code: CloseCode, after_ms: int, url: str | None) -> None:
    assert farewell_to_refused(error) == Farewell(code, error.message, after_ms, url)


def test_the_default_wait_belongs_to_the_code() -> None:
    assert farewell(CloseCode.RESYNC, "x").reconnect_after_ms > 0
    assert farewell(CloseCode.LINEAGE_TAKEN, "x").reconnect_after_ms == 0
    assert farewell(CloseCode.RESYNC, "x", reconnect_after_ms=0).reconnect_after_ms == 0
