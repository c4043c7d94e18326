"""The echo that conformance suites are pointed at, in this process; the folder above says over which transport."""

from collections.abc import AsyncIterator

import pytest
import trio

from gameserver.settings import TransportKind
from tests.conformance_echo import EchoServer

#: Client and server share a Trio loop here: while the gateway stays in its round, the client cannot go on.
STAY_US = 0


@pytest.fixture
async def echo(transport: TransportKind, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EchoServer]:
    """It listens; nothing of it is left after the test."""
    if transport is TransportKind.GATEWAY:
        monkeypatch.setattr("gameserver.edge.gateway.STAY_US", STAY_US)
    server = EchoServer(transport)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, "127.0.0.1", 0)
        yield server
        with trio.fail_after(5):
            while server.connections or server.sessions:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
