"""The echo server that conformance suites are pointed at, in this process, over each transport."""

from collections.abc import AsyncIterator

import pytest
import trio

from tests.conformance_echo import TRANSPORTS, EchoServer


@pytest.fixture(params=TRANSPORTS)
async def echo(request: pytest.FixtureRequest) -> AsyncIterator[EchoServer]:
    """It listens; nothing of it is left after the test."""
    server = EchoServer(request.param)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, "127.0.0.1", 0)
        yield server
        with trio.fail_after(5):
            while server.connections or server.sessions:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
