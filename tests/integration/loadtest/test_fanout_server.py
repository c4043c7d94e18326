"""The fan-out's server: its publishing over a pretended transport, and the whole of it as a process with a swarm."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from gameserver.clock import SystemClock
from hotpath.outbox import Outbox
from loadtest.bench import servers
from loadtest.bench.machine import Cores
from loadtest.bench.runs import swarm
from loadtest.bench.servers import Setup
from tests.fanout_server import ListeningSession, publish_at_once

SETUP = Setup(Path(), Cores(None, None), Path(), None, has_gateway=True, has_null_sink=True)
SOCKETS = 10


class HeldTransport:
    """Delivers when the test says so."""

    def __init__(self) -> None:
        self.published: list[Iterator[Any]] = []

    def publish(self, frame: bytes, sessions: Iterable[Any]) -> None:
        assert len(frame) == 100
        self.published.append(iter(sessions))


@pytest.fixture
def sessions() -> list[ListeningSession]:
    return [ListeningSession(Outbox(lambda: None), SystemClock()) for _ in range(3)]


async def publishing(transport: HeldTransport, sessions: list[ListeningSession], look: Callable[[], Any]) -> Any:
    """What the test sees beside the publisher."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish_at_once, transport.publish, sessions, 100)
        await trio.testing.wait_all_tasks_blocked()
        seen = await look()
        nursery.cancel_scope.cancel()
    return seen


async def test_the_next_message_waits_until_everybody_was_asked_for(sessions: list[ListeningSession]) -> None:
    transport = HeldTransport()

    async def look() -> list[int]:
        counts = []
        for _ in sessions:
            next(transport.published[0])
            await trio.testing.wait_all_tasks_blocked()
            counts.append(len(transport.published))
        assert next(transport.published[0], None) is None
        await trio.testing.wait_all_tasks_blocked()
        return [*counts, len(transport.published)]

    assert await publishing(transport, sessions, look) == [1, 1, 1, 2]


async def test_who_has_one_waiting_misses_the_next(sessions: list[ListeningSession]) -> None:
    transport = HeldTransport()
    sessions[1].outbox.push(b"waits")

    async def look() -> list[ListeningSession]:
        return list(transport.published[0])

    assert await publishing(transport, sessions, look) == [sessions[0], sessions[2]]


@pytest.mark.slow
@pytest.mark.xdist_group("load")
@pytest.mark.parametrize(("rate", "least"), [("20", 4 * SOCKETS), ("0", 100 * SOCKETS)])
def test_everybody_gets_every_message(rate: str, least: int) -> None:
    with servers.printing_port(SETUP, [sys.executable, "-m", "tests.fanout_server", rate, "100"]) as server:
        result = swarm(server, SOCKETS, ["listen:s=0.5,warmup_s=0.1,stamp_at=0,name=all"])
    (heard,) = result["phases"]
    assert heard["deliveries"] >= least
    assert heard["delivered_bytes"] == 100 * heard["deliveries"]
    assert heard["unreadable"] == 0
    assert (result["failed"], result["open_at_the_end"]) == (0, SOCKETS)  # nobody was too slow a reader
