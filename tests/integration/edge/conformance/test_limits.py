"""Large messages, many of them, and messages over the limit (Autobahn's sections 9 and 10)."""

import pytest
import trio
import trio.testing

from tests.conformance_echo import MAX_MESSAGE_BYTES, EchoServer
from tests.fakes.echo_client import BYE, CLOSED, Frame, chops, closed, echo_socket, exchange, fragments, frame
from tests.fakes.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT

KIB, MIB = 1 << 10, 1 << 20


def text(length_bytes: int) -> bytes:
    """ASCII."""
    return (b"BAsd7&jh23" * (length_bytes // 10 + 1))[:length_bytes]


def binary(length_bytes: int) -> bytes:
    """Not UTF-8."""
    return (b"\x00\xfe\x23\xfa\xf0" * (length_bytes // 5 + 1))[:length_bytes]


def described(frames: list[Frame]) -> list[tuple[int, int]]:
    """Kind and length: what a failure is to print of messages of megabytes."""
    return [(opcode, len(payload)) for opcode, payload in frames]


async def comes_back(echo: EchoServer, opcode: int, payload: bytes, pieces: list[bytes]) -> None:
    """Send a message in `pieces`; it comes back whole."""
    frames = await exchange(echo, [*pieces, BYE])
    assert described(frames) == [(opcode, len(payload)), (CLOSE, 2)]
    assert frames[0][1] == payload
    assert frames[1] == CLOSED


@pytest.mark.parametrize("length_bytes", [64 * KIB, 256 * KIB, MIB, 4 * MIB])
async def test_a_large_message_comes_back(echo: EchoServer, length_bytes: int) -> None:
    for opcode, payload in ((TEXT, text(length_bytes)), (BINARY, binary(length_bytes))):
        await comes_back(echo, opcode, payload, [frame(opcode, payload)])


@pytest.mark.slow
@pytest.mark.parametrize("length_bytes", [8 * MIB, MAX_MESSAGE_BYTES])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_the_largest_messages_come_back(echo: EchoServer, opcode: int, length_bytes: int) -> None:
    payload = text(length_bytes) if opcode == TEXT else binary(length_bytes)
    await comes_back(echo, opcode, payload, [frame(opcode, payload)])


@pytest.mark.slow
@pytest.mark.parametrize("fragment_bytes", [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB])
async def test_four_megabytes_in_fragments(echo: EchoServer, fragment_bytes: int) -> None:
    opcode, payload = (TEXT, text(4 * MIB)) if fragment_bytes in (64, 4 * KIB, 4 * MIB) else (BINARY, binary(4 * MIB))
    # The fragments are frames; how many of them share a write is the kernel's affair.
    await comes_back(echo, opcode, payload, chops(b"".join(fragments(opcode, payload, fragment_bytes)), 64 * KIB))


@pytest.mark.parametrize("chop_bytes", [64, 128, 256, 512, KIB, 2 * KIB])
async def test_a_large_message_in_small_chops(echo: EchoServer, chop_bytes: int) -> None:
    opcode, payload = (TEXT, text(256 * KIB)) if chop_bytes in (64, 256) else (BINARY, binary(256 * KIB))
    await comes_back(echo, opcode, payload, chops(frame(opcode, payload), chop_bytes))


@pytest.mark.parametrize("length_bytes", [0, 16, 64, 256, KIB, 4 * KIB])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_one_message_after_another(echo: EchoServer, opcode: int, length_bytes: int) -> None:
    payload = text(length_bytes) if opcode == TEXT else binary(length_bytes)
    one = frame(opcode, payload)
    async with echo_socket(echo) as raw:
        for _ in range(200):
            await raw.send(one)
            assert await raw.frame() == (opcode, payload)
        await raw.send(BYE)
        assert await raw.frames() == [CLOSED]


async def test_a_message_in_fragments_of_1300_bytes(echo: EchoServer) -> None:
    payload = b"*" * 65_536
    pieces = fragments(TEXT, payload, 1_300)
    assert len(pieces) == 51
    await comes_back(echo, TEXT, payload, pieces)


async def test_thousands_of_empty_fragments_with_pings_between(echo: EchoServer) -> None:
    middle = (frame(CONTINUATION, fin=False) * 9 + frame(PING, b"?")) * 300
    frames = await exchange(echo, [frame(TEXT, b"a", fin=False), middle, frame(CONTINUATION, b"z"), BYE])
    assert frames == [*([(PONG, b"?")] * 300), (TEXT, b"az"), CLOSED]


@pytest.mark.parametrize("length_bytes", [100 * KIB, 4 * MIB])
async def test_a_ping_behind_an_answer_that_is_not_yet_taken_is_answered(echo: EchoServer, length_bytes: int) -> None:
    payload = binary(length_bytes)
    async with echo_socket(echo) as raw:
        await raw.send(frame(BINARY, payload) * 2)
        await trio.testing.wait_all_tasks_blocked()  # the kernel's buffers are full of the first answer
        await raw.send(b"".join(frame(PING, b"%d" % number) for number in range(5)))
        await trio.testing.wait_all_tasks_blocked()
        await raw.send(frame(TEXT, b"end") + BYE)
        frames = await raw.frames()
    assert described([one for one in frames if one[0] == BINARY]) == [(BINARY, length_bytes)] * 2
    # RFC 6455, 5.5.3: of several pings that wait, answering the latest is enough.
    assert [payload for opcode, payload in frames if opcode == PONG][-1:] == [b"4"]
    assert frames[-2:] == [(TEXT, b"end"), CLOSED]


@pytest.mark.slow
async def test_many_sockets_at_once(echo: EchoServer) -> None:
    payload = binary(100 * KIB)

    async def talk() -> None:
        assert described(await exchange(echo, [frame(BINARY, payload)] * 5 + [BYE])) == [
            *([(BINARY, len(payload))] * 5),
            (CLOSE, 2),
        ]

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(talk)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_message_over_the_limit_is_1009_though_it_has_not_ended(echo: EchoServer, opcode: int) -> None:
    whole = frame(opcode, b"a" * MAX_MESSAGE_BYTES, fin=False)
    sent = [frame(opcode, b"before"), *chops(whole, MIB), frame(CONTINUATION, b"b", fin=False)]
    *before, (kind, payload) = await exchange(echo, sent)
    assert before == [(opcode, b"before")]
    assert (kind, payload[:2]) == closed(1009)
