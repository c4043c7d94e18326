"""Many connections at once: what is taken is bounded, and who is honest gets in all the same."""

# ruff: noqa: ARG001 - autojump_clock: waiting costs nothing

import contextlib

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gameserver.edge.admission import Admission
from gameserver.file_limit import RESERVE_FILES
from gameserver.settings import TransportKind
from http_admin.server import MAX_CONNECTIONS
from tests.fakes import loopback_game as loopback
from tests.fakes.game_client import connect
from tests.fakes.http_peer import GET, Peer, http_server, never
from tests.fakes.loopback_game import LoopbackGame, loopback_game

ATTACKER = "127.0.0.2"  #: the whole of 127/8 is this machine


@pytest.fixture(params=[TransportKind.GATEWAY, TransportKind.PORTABLE])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "TRANSPORT", request.param)


async def flood(game: LoopbackGame, connections: int, stack: contextlib.AsyncExitStack) -> None:
    """Open connections from the attacker's address that say nothing, and wait until all are judged."""
    for _ in range(connections):
        stream = await trio.open_tcp_stream("127.0.0.1", game.port, local_address=ATTACKER)
        stack.push_async_callback(trio.aclose_forcefully, stream)

    def judged() -> int:
        counts = game.admission.statistics()
        return counts.admitted_total + counts.refused_address_total + counts.refused_rate_total

    with trio.fail_after(10):
        while judged() < connections:
            await trio.lowlevel.checkpoint()


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("connections", [50, 300])
async def test_an_address_has_its_share_of_sockets_and_no_more(connections: int) -> None:
    admission = Admission(100, 20, 0, exempt_loopback=False, now_s=trio.current_time)
    async with loopback_game(admission=admission) as game, contextlib.AsyncExitStack() as stack:
        await flood(game, connections, stack)
        assert admission.statistics().sockets <= 20
        assert admission.statistics().refused_address_total >= connections - 20
        async with connect(game.port) as honest:
            await honest.hello(game.token())
            assert (await honest.tap())[2] == 1


@pytest.mark.usefixtures("transport")
async def test_who_is_over_its_share_uses_up_nobody_elses_handshakes() -> None:
    admission = Admission(1_000, 5, 10, exempt_loopback=False, now_s=lambda: 0.0)  # no handshake is ever given back
    async with loopback_game(admission=admission) as game, contextlib.AsyncExitStack() as stack:
        await flood(game, 200, stack)
        assert admission.statistics().admitted_total == 5
        for _ in range(5):
            client = await stack.enter_async_context(connect(game.port))
            await client.hello(game.token())


def test_http_connections_have_files_of_their_own() -> None:
    assert MAX_CONNECTIONS < RESERVE_FILES, "a flood of one side must not take the other's"


async def test_a_flood_from_one_address_ousts_itself(autojump_clock: MockClock) -> None:
    server = http_server(never, max_connections=10)
    async with trio.open_nursery() as nursery:
        honest = Peer(server, nursery, "198.51.100.7")
        await honest.send(GET)
        flood = [Peer(server, nursery, f"2001:db8::{number:x}") for number in range(1, 100)]
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 10
        assert server.statistics().ousted_total == 90
        assert honest.lasted_s < 0
        assert sum(peer.lasted_s < 0 for peer in flood) == 9
        late = Peer(server, nursery, "203.0.113.9")
        await trio.testing.wait_all_tasks_blocked()
        assert late.lasted_s < 0, "who is honest gets in"
        nursery.cancel_scope.cancel()


async def test_room_is_made_by_who_waits_for_a_request_before_who_is_answered(autojump_clock: MockClock) -> None:
    server = http_server(never, max_connections=2)
    async with trio.open_nursery() as nursery:
        busy = Peer(server, nursery)
        await busy.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        waiting = Peer(server, nursery)
        await trio.testing.wait_all_tasks_blocked()
        Peer(server, nursery)
        await trio.testing.wait_all_tasks_blocked()
        assert busy.lasted_s < 0 <= waiting.lasted_s
        nursery.cancel_scope.cancel()
