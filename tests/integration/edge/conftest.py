"""Everything here is run over each transport."""

import pytest

from gameserver.settings import TransportKind
from tests.fakes import loopback_game


@pytest.fixture(params=[TransportKind.GATEWAY, TransportKind.PORTABLE], autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TransportKind:
    """How the game under test serves its sockets."""
    kind: TransportKind = request.param
    monkeypatch.setattr(loopback_game, "TRANSPORT", kind)
    return kind
