"""Frames too large, nested too deep, or claiming to be huge: refused as the protocol says, at the cost of a frame."""

import tracemalloc

import pytest
import trio

from gameserver.errors import WireError
from gameserver.settings import TransportKind
from gameserver.wire.codec import decode_client
from gameserver.wire.ops import MAX_CLIENT_FRAME_BYTES
from tests.fakes import loopback_game as loopback
from tests.fakes.game_client import ACTION, ERROR, GOODBYE, HELLO, connect, hello_map
from tests.fakes.loopback_game import loopback_game
from tests.fakes.other_side import pack
from tests.fakes.raw_websocket import close_codes, frame, upgraded

DEEPEST = MAX_CLIENT_FRAME_BYTES
HUGE = 2**32 - 1


def nested(head: bytes, depth: int, inside: bytes = b"\xc0") -> bytes:
    return head * depth + inside


#: Nothing of it is a frame: ERROR 1 with seq 0, or 4500 before WELCOME.
BOMBS = {
    "arrays in arrays": nested(b"\x91", DEEPEST - 1),
    "arrays without an end": b"\x91" * DEEPEST,
    "maps in maps": nested(b"\x81\xa1k", 1_300),
    "maps in keys": nested(b"\x81", 4_000),
    "arrays in 32 bits in arrays": nested(b"\xdd\x00\x00\x00\x01", 800),
    "in the arguments of an action": b"\x94\x03\x01\xa4noop" + nested(b"\x81\xa1k", 1_000),
    "in an element nobody knows": b"\x95\x02\x01\x01\x00" + nested(b"\x91", 4_000),
    "in the body of a hello": b"\x93\x01\x00" + nested(b"\x81\xa1k", 1_300),
    "a huge array": b"\xdd" + HUGE.to_bytes(4, "big"),
    "a huge map": b"\xdf" + HUGE.to_bytes(4, "big"),
    "huge text": b"\xdb" + HUGE.to_bytes(4, "big") + b"x",
    "huge bytes": b"\xc6" + HUGE.to_bytes(4, "big") + b"x",
    "a huge extension": b"\xc9" + HUGE.to_bytes(4, "big") + b"\x01x",
    "huge arrays in an array": b"\xdc\x01\x00" + (b"\xdd" + HUGE.to_bytes(4, "big")) * 200,
    "many small maps": b"\xdc\x0f\xf0" + b"\x80" * 4_080,
}


@pytest.fixture(params=[TransportKind.GATEWAY, TransportKind.PORTABLE], autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "TRANSPORT", request.param)


async def test_a_bomb_is_malformed_and_hurts_nobody() -> None:
    async with loopback_game() as game, connect(game.port) as other:
        await other.hello(game.token())
        for name, bomb in BOMBS.items():
            assert len(bomb) <= MAX_CLIENT_FRAME_BYTES, name
            async with connect(game.port) as client:
                await client.hello(game.token())
                await client.send_bytes(bomb)
                answer = await client.receive()
                assert (answer[0], answer[2]) in ((ERROR, 1), (ERROR, 5)), name
                assert (await client.tap())[2] == 1, f"{name}: the socket plays on"
        assert (await other.tap())[2] == 1
        assert game.counters.crashes_total == 0
        assert game.players.statistics().turn_failures_total == 0


async def test_before_welcome_a_bomb_ends_the_socket() -> None:
    async with loopback_game() as game:
        for name, bomb in BOMBS.items():
            async with connect(game.port) as client:
                await client.send_bytes(bomb)
                frames, code = await client.end()
                assert (frames[-1][:2], code) == ([GOODBYE, 4500], 4500), name
        assert game.database.rows == {}
        assert game.counters.crashes_total == 0


async def test_one_byte_too_many_ends_the_socket_however_it_comes() -> None:
    too_much = pack([ACTION, 1, "noop", {"x": "y" * MAX_CLIENT_FRAME_BYTES}])
    half = len(too_much) // 2
    ways = {
        "at once": frame(2, too_much),
        "a terabyte announced": frame(2, b"", declared_bytes=2**40) + too_much,
        "in pieces": frame(2, too_much[:half], fin=False) + frame(0, too_much[half:]),
        "in many small pieces": frame(2, b"x", fin=False) + frame(0, b"x" * 100, fin=False) * 50,
    }
    async with loopback_game() as game:
        for name, data in ways.items():
            async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
                raw = await upgraded(stream)
                await raw.send(frame(2, pack([HELLO, 0, hello_map(token=game.token())])))
                assert await raw.frame() is not None
                await raw.send(data)
                assert close_codes(await raw.frames()) == [1009], name
        assert game.counters.crashes_total == 0


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_no_memory(bomb: bytes) -> None:
    def decode() -> None:
        with pytest.raises(WireError):
            decode_client(bomb)

    decode()  # what is made once is made now
    tracemalloc.start()
    try:
        decode()
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20
