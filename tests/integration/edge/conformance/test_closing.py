"""The closing handshake, and ends without one (RFC 6455, 5.5.1 and 7; Autobahn's section 7)."""

import pytest
import trio
import trio.testing

from gameserver.wire.ops import CloseCode
from tests.conformance_echo import EchoServer
from tests.fakes.echo_client import (
    BYE,
    CLOSED,
    Frame,
    chops,
    close_frame,
    closed,
    echo_socket,
    exchange,
    frame,
    nobody_left,
)
from tests.fakes.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT

HELLO = b"Hello World!"
BIG = b"BAsd7&jh23" * 26_000
ECHO: Frame = (TEXT, HELLO)


def heads(frames: list[Frame]) -> list[Frame]:
    """Close frames without the reason."""
    return [(opcode, payload[:2] if opcode == CLOSE else payload) for opcode, payload in frames]


@pytest.mark.parametrize(
    ("frames", "answers"),
    [
        ([frame(TEXT, HELLO), BYE], [ECHO, CLOSED]),
        ([BYE, BYE], [CLOSED]),
        ([BYE, frame(CLOSE)], [CLOSED]),
        ([BYE, frame(PING, b"?")], [CLOSED]),
        ([BYE, frame(TEXT, HELLO)], [CLOSED]),
        ([BYE, frame(3)], [CLOSED]),
        ([frame(TEXT, b"1", fin=False), BYE, frame(CONTINUATION, b"2")], [CLOSED]),
        ([frame(TEXT, BIG), frame(TEXT, HELLO), BYE, frame(PING)], [(TEXT, BIG), ECHO, CLOSED]),
        ([frame(TEXT, HELLO)] * 300 + [BYE], [ECHO] * 300 + [CLOSED]),
    ],
    ids=lambda value: None if not isinstance(value, list) else f"{len(value)}",
)
@pytest.mark.parametrize("together", [True, False])
async def test_what_came_before_a_close_is_answered_and_nothing_after(
    echo: EchoServer, frames: list[bytes], answers: list[Frame], together: bool
) -> None:
    assert await exchange(echo, [b"".join(frames)] if together else frames) == answers


@pytest.mark.parametrize("chop_bytes", [1, 1_000])
@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b"", b""),
        (b"\x03\xe8", b"\x03\xe8"),
        (b"\x03\xe8Hello World!", b"\x03\xe8"),
        (b"\x03\xe8" + b"*" * 123, b"\x03\xe8"),
        (b"\x03\xe8" + "κ".encode() * 61, b"\x03\xe8"),
        (b"\x03", b"\x03\xea"),
        (b"a", b"\x03\xea"),
        (b"\x03\xe8" + b"*" * 124, b"\x03\xea"),
        (b"\x03\xe8" + b"*" * 60_000, b"\x03\xea"),
        (b"\x03\xe8" + "κόσμε".encode() + b"\xed\xa0\x80edited", b"\x03\xef"),
        (b"\x03\xe8" + "κόσμε".encode()[:-1], b"\x03\xef"),
        (b"\x03\xe8\xff", b"\x03\xef"),
    ],
)
async def test_the_payload_of_a_close(echo: EchoServer, payload: bytes, answer: bytes, chop_bytes: int) -> None:
    sent = frame(CLOSE, payload)
    [(opcode, answered)] = await exchange(echo, [*chops(sent[:300], chop_bytes), sent[300:]])
    assert opcode == CLOSE
    assert answered[:2] in ((answer, b"\x03\xe8") if payload == b"" else (answer,))


@pytest.mark.parametrize("code", [*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4999])
async def test_a_good_code_is_echoed(echo: EchoServer, code: int) -> None:
    assert heads(await exchange(echo, [close_frame(code)])) == [closed(code)]
    assert heads(await exchange(echo, [close_frame(code, b"a reason")])) == [closed(code)]


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
async def test_a_code_that_must_not_be_sent_is_1002(echo: EchoServer, code: int) -> None:
    assert heads(await exchange(echo, [close_frame(code)])) == [closed(1002)]
    assert heads(await exchange(echo, [frame(TEXT, HELLO) + close_frame(code, b"a reason")])) == [ECHO, closed(1002)]


async def test_a_code_that_came_to_the_registry_later_ends_the_connection_too(echo: EchoServer) -> None:
    # 1014 is in IANA's registry, not in the RFC, and wsproto does not know it.
    assert heads(await exchange(echo, [close_frame(1014)])) in ([closed(1014)], [closed(1002)])


async def test_the_server_ends_the_connection_first(echo: EchoServer) -> None:
    async with echo_socket(echo) as raw:
        await raw.send(BYE)
        assert await raw.frame() == CLOSED
        assert await raw.frame() is None


async def test_behind_the_servers_own_close_frame_nothing_is_sent(echo: EchoServer) -> None:
    async with echo_socket(echo) as raw:
        await raw.send(frame(TEXT, HELLO))
        assert await raw.frame() == ECHO
        [session] = echo.sessions
        session.outbox.push(b"last words")
        session.close(CloseCode.GOING_AWAY, "the server goes")
        assert [await raw.frame(), await raw.frame()] == [(BINARY, b"last words"), closed(1001, b"the server goes")]
        await raw.send(frame(PING, b"?") + frame(TEXT, HELLO))
        await trio.testing.wait_all_tasks_blocked()
        await raw.send(frame(PING, b"??") + close_frame(1001))
        assert await raw.frame() is None


# ---- ends without a close frame


@pytest.mark.parametrize(
    ("sent", "answers"),
    [
        (b"", []),
        (frame(TEXT, HELLO), [ECHO]),
        (frame(BINARY, BIG) + frame(TEXT, HELLO), [(BINARY, BIG), ECHO]),
        (frame(TEXT, HELLO) + frame(TEXT, HELLO)[:-1], [ECHO]),
        (frame(TEXT, HELLO) + b"\x81", [ECHO]),
        (frame(TEXT, HELLO) + frame(TEXT, HELLO, fin=False), [ECHO]),
        (frame(TEXT, HELLO) + BYE, [ECHO, CLOSED]),
        (frame(TEXT, HELLO) + frame(3), [ECHO, closed(1002)]),
    ],
)
async def test_a_peer_that_has_ended_its_half_still_gets_what_it_is_owed(
    echo: EchoServer, sent: bytes, answers: list[Frame]
) -> None:
    async with echo_socket(echo) as raw:
        await raw.send(sent)
        assert isinstance(raw.stream, trio.SocketStream)
        await raw.stream.send_eof()
        assert heads(await raw.frames(polite=False)) == answers
        await nobody_left(echo)


@pytest.mark.parametrize("rest", [b"", b"\x82", frame(BINARY, HELLO)[:-2], frame(TEXT, HELLO, fin=False), BYE])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_peer_that_vanishes_leaves_nothing_and_disturbs_nobody(
    echo: EchoServer, rest: bytes, reset: bool
) -> None:
    async with echo_socket(echo) as other:
        async with echo_socket(echo) as raw:
            await raw.send(frame(TEXT, HELLO))
            assert await raw.frame() == ECHO
            assert len(echo.sessions) == 2
            await raw.send(rest)
            if reset:  # l_onoff = 1, l_linger = 0: the kernel sends RST
                assert isinstance(raw.stream, trio.SocketStream)
                raw.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        with trio.fail_after(10):
            while len(echo.sessions) > 1:
                await trio.lowlevel.checkpoint()
        await other.send(frame(TEXT, HELLO))
        assert await other.frame() == ECHO


@pytest.mark.parametrize("behind", [frame(BINARY, BIG), b"\xff" * 200_000, BYE, frame(PING) * 1_000])
async def test_the_close_frame_arrives_though_input_is_left_unread(echo: EchoServer, behind: bytes) -> None:
    async with echo_socket(echo) as raw:
        await raw.send(frame(TEXT, HELLO) + frame(3) + behind)
        await trio.testing.wait_all_tasks_blocked()
        assert heads(await raw.frames(polite=False)) == [ECHO, closed(1002)]


async def test_a_peer_that_reads_late_gets_everything(echo: EchoServer) -> None:
    async with echo_socket(echo) as raw:
        for _ in range(20):
            await raw.send(frame(BINARY, BIG))
        await raw.send(BYE)
        await trio.testing.wait_all_tasks_blocked()
        assert await raw.frames() == [*([(BINARY, BIG)] * 20), CLOSED]
