"""Control frames and fragmented messages (RFC 6455, 5.4 and 5.5; Autobahn's sections 2 and 5)."""

import pytest

from tests.conformance_echo import EchoServer
from tests.fakes.echo_client import BYE, CLOSED, Frame, chops, closed, echo_socket, exchange, frame
from tests.fakes.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

#: Legal: frames → the answers in their order.
LEGAL: dict[str, tuple[list[bytes], list[Frame]]] = {
    "ping without a payload": ([frame(PING)], [(PONG, b"")]),
    "ping with text": ([frame(PING, b"Hello, world!")], [(PONG, b"Hello, world!")]),
    "ping that is no text": (
        [frame(PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
        [(PONG, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
    ),
    "ping of 125 bytes": ([frame(PING, b"\xfe" * 125)], [(PONG, b"\xfe" * 125)]),
    "ten pings": ([frame(PING, b"payload-%d" % n) for n in range(10)], [(PONG, b"payload-%d" % n) for n in range(10)]),
    "unsolicited pong": ([frame(PONG)], []),
    "unsolicited pong with a payload": ([frame(PONG, b"unsolicited")], []),
    "unsolicited pong of 125 bytes": ([frame(PONG, bytes(125))], []),
    "unsolicited pong, then ping": ([frame(PONG, b"unsolicited"), frame(PING, b"asked")], [(PONG, b"asked")]),
    "two fragments": (
        [frame(TEXT, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2")],
        [(TEXT, b"fragment1fragment2")],
    ),
    "two binary fragments": (
        [frame(BINARY, b"\xff1", fin=False), frame(CONTINUATION, b"\xff2")],
        [(BINARY, b"\xff1\xff2")],
    ),
    "a ping between fragments": (
        [frame(TEXT, b"fragment1", fin=False), frame(PING, b"now"), frame(CONTINUATION, b"fragment2")],
        [(PONG, b"now"), (TEXT, b"fragment1fragment2")],
    ),
    "a pong between fragments": (
        [frame(BINARY, b"fragment1", fin=False), frame(PONG, b"now"), frame(CONTINUATION, b"fragment2")],
        [(BINARY, b"fragment1fragment2")],
    ),
    "five fragments and two pings": (
        [
            frame(TEXT, b"fragment1", fin=False),
            frame(CONTINUATION, b"fragment2", fin=False),
            frame(PING, b"pongme 1!"),
            frame(CONTINUATION, b"fragment3", fin=False),
            frame(CONTINUATION, b"fragment4", fin=False),
            frame(PING, b"pongme 2!"),
            frame(CONTINUATION, b"fragment5"),
        ],
        [(PONG, b"pongme 1!"), (PONG, b"pongme 2!"), (TEXT, b"fragment1fragment2fragment3fragment4fragment5")],
    ),
    "three empty fragments": (
        [frame(TEXT, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION)],
        [(TEXT, b"")],
    ),
    "an empty fragment on either side": (
        [frame(TEXT, fin=False), frame(CONTINUATION, b"middle", fin=False), frame(CONTINUATION)],
        [(TEXT, b"middle")],
    ),
    "two fragmented messages": (
        [
            frame(TEXT, b"1", fin=False),
            frame(CONTINUATION, b"2"),
            frame(BINARY, b"3", fin=False),
            frame(CONTINUATION, b"4"),
        ],
        [(TEXT, b"12"), (BINARY, b"34")],
    ),
}

#: Forbidden: frames → what is answered before the connection is failed with 1002.
FORBIDDEN: dict[str, tuple[list[bytes], list[Frame]]] = {
    "ping of 126 bytes": ([frame(PING, b"\xfe" * 126)], []),
    "pong of 126 bytes": ([frame(PONG, b"\xfe" * 126)], []),
    "ping of 65536 bytes": ([frame(PING, b"\xfe" * 65_536)], []),
    "ping of 0 bytes in 16 bits": ([frame(PING, length_bits=16)], []),
    "fragmented ping": ([frame(PING, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2")], []),
    "fragmented pong": ([frame(PONG, b"fragment1", fin=False), frame(CONTINUATION, b"fragment2")], []),
    "fragmented close": ([frame(CLOSE, b"\x03\xe8", fin=False), frame(CONTINUATION, b"reason")], []),
    "the end of nothing, then a message": ([frame(CONTINUATION, b"what?"), frame(TEXT, b"Hello")], []),
    "the middle of nothing, then a message": ([frame(CONTINUATION, b"what?", fin=False), frame(TEXT, b"Hello")], []),
    "an empty end of nothing": ([frame(CONTINUATION)], []),
    "an empty middle of nothing": ([frame(CONTINUATION, fin=False)], []),
    "a message, then the middle of nothing": (
        [
            frame(TEXT, b"fragment1", fin=False),
            frame(CONTINUATION, b"fragment2"),
            frame(CONTINUATION, b"fragment3", fin=False),
            frame(TEXT, b"fragment4"),
        ],
        [(TEXT, b"fragment1fragment2")],
    ),
    "twice the middle of nothing before a message": (
        [frame(CONTINUATION, b"1", fin=False), frame(TEXT, b"2", fin=False), frame(CONTINUATION, b"3")] * 2,
        [],
    ),
    "twice the end of nothing before a message": (
        [frame(CONTINUATION, b"1"), frame(TEXT, b"2", fin=False), frame(CONTINUATION, b"3")] * 2,
        [],
    ),
    "a text message within a text message": ([frame(TEXT, b"1", fin=False), frame(TEXT, b"2")], []),
    "a binary message within a text message": ([frame(TEXT, b"1", fin=False), frame(BINARY, b"2")], []),
    "an empty message within an empty one": ([frame(BINARY, fin=False), frame(BINARY)], []),
    "a message within a message, after a ping": (
        [frame(TEXT, b"1", fin=False), frame(PING, b"now"), frame(TEXT, b"2")],
        [(PONG, b"now")],
    ),
}


def chopped(frames: list[bytes], chop: str) -> list[bytes]:
    """The same bytes in one write, in a write for each frame, or octet by octet (the first few hundred)."""
    data = b"".join(frames)
    if chop == "octets":
        return [*chops(data[:400], 1), data[400:]]
    return frames if chop == "frames" else [data]


@pytest.mark.parametrize("chop", ["whole", "frames", "octets"])
@pytest.mark.parametrize("what", LEGAL)
async def test_what_is_legal_is_answered(echo: EchoServer, what: str, chop: str) -> None:
    frames, answers = LEGAL[what]
    assert await exchange(echo, [*chopped(frames, chop), BYE]) == [*answers, CLOSED]


@pytest.mark.parametrize("chop", ["whole", "frames", "octets"])
@pytest.mark.parametrize("what", FORBIDDEN)
async def test_what_is_forbidden_fails_the_connection_with_1002(echo: EchoServer, what: str, chop: str) -> None:
    frames, answers = FORBIDDEN[what]
    *before, (opcode, payload) = await exchange(echo, chopped([*frames, frame(PING, b"not answered")], chop))
    assert before == answers
    assert (opcode, payload[:2]) == closed(1002)


async def test_a_ping_is_answered_before_the_message_around_it_has_ended(echo: EchoServer) -> None:
    async with echo_socket(echo) as raw:
        await raw.send(frame(TEXT, b"fragment1", fin=False) + frame(CONTINUATION, b"fragment2", fin=False))
        await raw.send(frame(PING, b"pongme 1!"))
        assert await raw.frame() == (PONG, b"pongme 1!")
        await raw.send(frame(CONTINUATION, b"fragment3", fin=False) + frame(PING, b"pongme 2!"))
        assert await raw.frame() == (PONG, b"pongme 2!")
        await raw.send(frame(CONTINUATION, b"fragment4"))
        assert await raw.frame() == (TEXT, b"fragment1fragment2fragment3fragment4")
