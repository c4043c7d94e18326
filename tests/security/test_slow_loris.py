"""Peers that send byte by byte, or take nothing: each wait has an end that no byte puts off."""

# ruff: noqa: ARG001 - autojump_clock: waiting costs nothing

import contextlib

import pytest
import trio
from trio.testing import MockClock

from gameserver.edge import gateway, portable
from gameserver.settings import TransportKind
from gameserver.wire.ops import HELLO_DEADLINE_S
from http_admin.server import HEAD_S, LINGER_S, REQUEST_S
from tests.fakes import loopback_game as loopback
from tests.fakes.game_client import HELLO, hello_map
from tests.fakes.http_peer import GET, POST, Peer, answer_at_once, http_server, never
from tests.fakes.loopback_game import loopback_game
from tests.fakes.other_side import pack
from tests.fakes.raw_websocket import close_codes, frame, request, upgraded


async def test_a_head_that_drips_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    server = http_server()
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.drip(GET * 10, 0.4)
    assert peer.lasted_s == pytest.approx(HEAD_S)
    assert server.statistics().late_total == 1


async def test_a_body_that_drips_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    server = http_server()
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.send(POST)
        await peer.drip(bytes(1_000), 1)
    assert peer.lasted_s == pytest.approx(REQUEST_S)


async def test_an_answer_that_is_not_taken_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    server = http_server(never)
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.send(GET)
    assert peer.lasted_s == pytest.approx(REQUEST_S)
    assert autojump_clock.current_time() >= REQUEST_S


async def test_who_still_sends_sees_the_answer_and_is_not_listened_to_for_long(autojump_clock: MockClock) -> None:
    server = http_server(answer_at_once)
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.send(POST)
        nursery.start_soon(peer.drip, bytes(1_000), 0.3)
        assert (await peer.stream.receive_some()).startswith(b"HTTP/1.1 413 ")
    assert peer.lasted_s == pytest.approx(LINGER_S)
    assert server.statistics().late_total == 0, "that was no fault of the peer's"


@pytest.fixture(params=[TransportKind.GATEWAY, TransportKind.PORTABLE])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "TRANSPORT", request.param)
    for module in (gateway, portable):
        monkeypatch.setattr(module, "HANDSHAKE_DEADLINE_S", 0.05)


@pytest.mark.usefixtures("transport")
async def test_a_handshake_that_drips_ends_at_its_deadline() -> None:
    ended = False

    async def listen(stream: trio.SocketStream) -> None:
        nonlocal ended
        with contextlib.suppress(trio.BrokenResourceError):
            assert await stream.receive_some() == b""
        ended = True

    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen, stream)
                await stream.send_all(request()[:-2])
                while not ended:
                    with contextlib.suppress(trio.BrokenResourceError):
                        await stream.send_all(b"X")  # a header that does not come to an end
                    await trio.testing.wait_all_tasks_blocked()
            while game.admission.statistics().sockets:
                await trio.lowlevel.checkpoint()


@pytest.mark.usefixtures("transport")
async def test_a_hello_that_drips_ends_at_its_deadline() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await upgraded(stream)
        with trio.fail_after(5):
            while not game.listener.statistics().opening:
                await trio.lowlevel.checkpoint()
        hello = frame(2, pack([HELLO, 0, hello_map(token=game.token())]))
        for byte in hello[: 2 * HELLO_DEADLINE_S]:
            await raw.send(bytes((byte,)))
            game.clock.advance(500)
        game.clock.advance(1_000)
        codes: list[int] = []

        async def listen() -> None:
            codes.extend(close_codes(await raw.frames()))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            while (
                not codes
            ):  # inside its unfinished frame nobody sees the answer to the close frame: that has an end too
                game.clock.advance(10)
                await trio.lowlevel.checkpoint()
    assert codes == [4500]
