"""The echo server that conformance suites are pointed at, in this process, over each transport."""

from collections.abc import AsyncIterator

import pytest
import trio

from tests.conformance_echo import TRANSPORTS, EchoServer


@pytest.fixture(params=sorted(TRANSPORTS))
async def echo(request: pytest.FixtureRequest) -> AsyncIterator[EchoServer]:
    """It listens; nothing of it is left after the test."""
    server = EchoServer()
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, request.param, "127.0.0.1", 0)
        yield server
        nursery.cancel_scope.cancel()
