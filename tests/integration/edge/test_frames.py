"""Frames that break RFC 6455 or the protocol, over a real socket: the close frame really arrives."""

import os

import pytest
import trio
import trio.lowlevel

from gameserver.edge import portable
from tests.fakes.game_client import GOODBYE, TAPPED, WELCOME, hello_map
from tests.fakes.loopback_game import LoopbackGame, loopback_game
from tests.fakes.other_side import pack, unpack
from tests.fakes.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    close_codes,
    frame,
    upgraded,
)

TAP = pack([2, 1, 5, 0])


async def live(game: LoopbackGame, stream: trio.abc.Stream) -> RawWebSocket:
    """Shake hands and say HELLO."""
    raw = await upgraded(stream)
    await raw.send(frame(BINARY, pack([1, 0, hello_map(token=game.token())])))
    answer = await raw.frame()
    assert answer is not None
    assert unpack(answer[1])[0] == WELCOME
    return raw


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"hello"), 1003),
        (frame(TEXT, b""), 1003),
        (frame(BINARY, bytes(4_097)), 1009),
        (frame(BINARY, bytes(100_000)), 1009),
        (frame(BINARY, bytes(4_000), fin=False) + frame(CONTINUATION, bytes(97)), 1009),
        (frame(BINARY, TAP, masked=False), 1002),
        (frame(BINARY, TAP, rsv=4), 1002),
        (frame(3, TAP), 1002),
        (frame(CONTINUATION, TAP), 1002),
        (frame(BINARY, TAP, fin=False) + frame(BINARY, TAP), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
        (frame(CLOSE, b"\x00\x00"), 1002),
        (frame(CLOSE, b"\x03\xe8\xff\xff"), 1007),
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(BINARY, pack([1, 0, hello_map(token="x")])), 1002),
        (frame(BINARY, pack([1, 0, {}])), 1002),
        (frame(BINARY, b"\xc1") * 3, 1007),
    ],
)
async def test_a_live_session_is_closed_with_the_code_for_it_and_no_goodbye(data: bytes, code: int) -> None:
    async with loopback_game() as game:
        async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
            raw = await live(game, stream)
            await raw.send(data)
            frames = await raw.frames()
        assert close_codes(frames) == [code]
        assert frames[-1][0] == CLOSE
        assert all(unpack(payload)[0] != GOODBYE for opcode, payload in frames if opcode == BINARY)
        assert game.counters.crashes_total == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(BINARY, b""), 4500),
        (frame(BINARY, b"\xc1"), 4500),
        (frame(BINARY, TAP), 4500),
        (frame(BINARY, pack([1, 0, {}])), 4500),
        (frame(BINARY, pack([1, 0, hello_map(token="x", init_data="y")])), 4500),
        (frame(BINARY, pack([1, 1, hello_map(token="x")])), 4500),
        (frame(BINARY, pack([1, 0, hello_map(token="x", lineage=b"short")])), 4500),
        (frame(BINARY, pack([1, 0, hello_map(token="x")])), 4501),
        (frame(TEXT, b"hello"), 1003),
        (frame(BINARY, bytes(4_097)), 1009),
        (frame(3, b""), 1002),
    ],
)
async def test_before_welcome(data: bytes, code: int) -> None:
    async with loopback_game() as game:
        async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
            raw = await upgraded(stream)
            await raw.send(data)
            frames = await raw.frames()
        assert close_codes(frames) == [code]
        goodbyes = [unpack(payload)[1] for opcode, payload in frames if opcode == BINARY]
        assert goodbyes == ([code] if code >= 4_000 else [])
        assert game.database.claims == 0


async def test_a_frame_at_the_bound_is_read() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await live(game, stream)
        padded = pack([2, 1, 5, 0, "x" * (4_096 - len(pack([2, 1, 5, 0, ""])) - 2)])
        assert len(padded) == 4_096
        await raw.send(frame(BINARY, padded))
        answer = await raw.frame()
        assert answer is not None
        assert unpack(answer[1])[:3] == [TAPPED, 1, 5]


async def test_a_message_in_fragments_with_a_ping_between_is_one_message() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await live(game, stream)
        await raw.send(frame(BINARY, TAP[:1], fin=False))
        await raw.send(frame(CONTINUATION, b"", fin=False) + frame(PING, b"still there?"))
        assert await raw.frame() == (PONG, b"still there?")
        for byte in frame(CONTINUATION, TAP[1:]):
            await raw.send(bytes((byte,)))
        answer = await raw.frame()
        assert answer is not None
        assert unpack(answer[1])[:3] == [TAPPED, 1, 5]


async def test_a_message_that_never_ends_is_1009() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await live(game, stream)
        for _ in range(100):
            await raw.send(frame(BINARY, TAP))
        await raw.send(frame(BINARY, b"", fin=False))
        await raw.send(frame(CONTINUATION, b"", fin=False) * 200_000)
        assert close_codes(await raw.frames()) == [1009]


async def test_control_frames_between_messages_are_no_message_without_an_end() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await live(game, stream)
        pong = frame(PONG, bytes(125))
        await raw.send(pong * (2 * portable.UNFINISHED_BYTES // len(pong)))
        await raw.send(frame(BINARY, TAP))
        answer = await raw.frame()
        assert answer is not None
        assert unpack(answer[1])[:3] == [TAPPED, 1, 5]


async def test_a_peers_close_is_answered_with_its_code() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await live(game, stream)
        await raw.send(frame(BINARY, TAP) + frame(CLOSE, b"\x03\xe8bye"))
        frames = await raw.frames()
        assert close_codes(frames) == [1000]
        assert game.listener.statistics().live == 0


@pytest.mark.parametrize("rest", [b"", b"\x82", frame(BINARY, TAP)[:-2], frame(BINARY, TAP, fin=False)])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_peer_that_vanishes_leaves_nothing(rest: bytes, reset: bool) -> None:
    async with loopback_game() as game:
        stream = await trio.open_tcp_stream("127.0.0.1", game.port)
        raw = await live(game, stream)
        if rest:
            await raw.send(rest)
        if reset:  # l_onoff = 1, l_linger = 0: the kernel sends RST
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await stream.aclose()
        with trio.fail_after(5):
            while game.listener.statistics().live:
                await trio.lowlevel.checkpoint()
        assert game.counters.crashes_total == 0


async def test_a_half_open_peer_is_let_go() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await live(game, stream)
        await stream.send_eof()
        await raw.frames()
        assert game.listener.statistics().live == 0


async def test_a_peer_that_goes_on_sending_after_our_close_still_gets_it() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await live(game, stream)
        await raw.send(frame(BINARY, bytes(4_097)) + frame(BINARY, os.urandom(60_000)))
        assert close_codes(await raw.frames()) == [1009]


async def time_flies(game: LoopbackGame) -> None:
    while True:
        game.clock.advance(50)
        await trio.lowlevel.checkpoint()


async def test_who_does_not_answer_our_close_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable, "CLOSE_DEADLINE_S", 0.05)
    monkeypatch.setattr(portable, "LINGER_S", 0.05)
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await live(game, stream)
        await raw.send(frame(TEXT, b"x"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(time_flies, game)  # the gateway's deadlines; Trio's are the portable transport's
            assert close_codes(await raw.frames(polite=False)) == [1003]
            with trio.fail_after(5):
                while game.admission.statistics().sockets:
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
