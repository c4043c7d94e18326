"""Frames as RFC 6455, 5.2, has them, and as it forbids them (Autobahn's sections 1, 3 and 4)."""

from itertools import chain

import pytest
import trio
import trio.testing

from tests.conformance_echo import EchoServer
from tests.fakes.echo_client import BYE, CLOSED, Frame, chops, closed, echo_socket, exchange, fragments, frame
from tests.fakes.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, request

HELLO = b"Hello, world!"
BYTES = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
LENGTHS = [0, 1, 125, 126, 127, 128, 65_535, 65_536]

#: What breaks RFC 6455 → the frames to send. A message and a ping around them show that what came before is
#: answered, and that nothing is after.
FORBIDDEN: dict[str, bytes] = {
    **{f"text with reserved bits {rsv}": frame(TEXT, HELLO, rsv=rsv) for rsv in range(1, 8)},
    "binary with a reserved bit": frame(BINARY, BYTES, rsv=5),
    "ping with a reserved bit": frame(PING, HELLO, rsv=6),
    "close with reserved bits": frame(CLOSE, rsv=7),
    "continuation with a reserved bit": frame(TEXT, HELLO, fin=False) + frame(CONTINUATION, HELLO, rsv=4),
    **{f"opcode {opcode}": frame(opcode) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"opcode {opcode} with a payload": frame(opcode, HELLO) for opcode in (3, 5, 7, 11, 13, 15)},
    "opcode 3, unfinished": frame(3, HELLO, fin=False),
    "opcode 11, unfinished": frame(11, HELLO, fin=False),
    "text that is not masked": frame(TEXT, HELLO, masked=False),
    "empty text that is not masked": frame(TEXT, masked=False),
    "ping that is not masked": frame(PING, HELLO, masked=False),
    "close that is not masked": frame(CLOSE, b"\x03\xe8", masked=False),
    "length 125 in 16 bits": frame(BINARY, bytes(125), length_bits=16),
    "length 0 in 16 bits": frame(BINARY, b"", length_bits=16),
    "length 125 in 64 bits": frame(BINARY, bytes(125), length_bits=64),
    "length 65535 in 64 bits": frame(BINARY, bytes(65_535), length_bits=64),
    "length with its highest bit": frame(BINARY, HELLO, declared_bytes=1 << 63),
    "length of all bits": frame(TEXT, HELLO, declared_bytes=(1 << 64) - 1),
}


@pytest.mark.parametrize("length_bytes", LENGTHS)
async def test_a_message_of_any_length_form_comes_back(echo: EchoServer, length_bytes: int) -> None:
    for opcode, payload in ((TEXT, b"*" * length_bytes), (BINARY, b"\xfe" * length_bytes)):
        assert await exchange(echo, [frame(opcode, payload), BYE]) == [(opcode, payload), CLOSED]


@pytest.mark.parametrize("chop_bytes", [1, 2, 3, 997])
async def test_a_message_comes_back_however_its_octets_arrive(echo: EchoServer, chop_bytes: int) -> None:
    for length_bytes in (0, 125, 126, 127, 128) if chop_bytes < 997 else (65_535, 65_536):
        for opcode in (TEXT, BINARY):
            payload = (b"0123456789abcdef" * (length_bytes // 16 + 1))[:length_bytes]
            pieces = chops(frame(opcode, payload) + BYE, chop_bytes)
            assert await exchange(echo, pieces) == [(opcode, payload), CLOSED]


@pytest.mark.parametrize("key", [bytes(4), b"\x00\x00\x00\x01", b"\xff\xff\xff\xff", b"\x12\x34\x56\x78"])
async def test_any_masking_key_at_any_alignment(echo: EchoServer, key: bytes) -> None:
    payloads = [bytes(range(length)) for length in range(24)]
    sent = b"".join(frame(BINARY, payload, key=key) for payload in payloads)
    assert await exchange(echo, [sent, BYE]) == [*((BINARY, payload) for payload in payloads), CLOSED]


@pytest.mark.parametrize("chop", ["whole", "frames", "octets"])
@pytest.mark.parametrize("what", FORBIDDEN)
async def test_what_is_forbidden_fails_the_connection_with_1002(echo: EchoServer, what: str, chop: str) -> None:
    frames = [frame(TEXT, HELLO), FORBIDDEN[what], frame(PING)]
    if chop == "octets":
        pieces = [*chops(b"".join(frames)[:300], 1), b"".join(frames)[300:]]
    else:
        pieces = frames if chop == "frames" else [b"".join(frames)]
    first, *rest = await exchange(echo, pieces)
    assert first == (TEXT, HELLO)
    assert [(opcode, payload[:2]) for opcode, payload in rest] == [closed(1002)]


@pytest.mark.parametrize("what", ["text with reserved bits 1", "opcode 3", "opcode 11", "text that is not masked"])
async def test_a_forbidden_frame_is_found_by_its_head(echo: EchoServer, what: str) -> None:
    opcode, payload = (await exchange(echo, [FORBIDDEN[what][:6]]))[0]
    assert (opcode, payload[:2]) == closed(1002)


def stream_of_everything() -> tuple[bytes, list[Frame]]:
    """Every kind of frame in a row, and what comes back: messages in their order, pongs in theirs."""
    sent = [
        frame(TEXT, "κόσμε".encode()),
        frame(PING, b"1"),
        frame(BINARY, bytes(range(126))),
        frame(TEXT, "κόσ".encode()[:-1], fin=False),
        frame(PING, b"2"),
        frame(CONTINUATION, b"", fin=False),
        frame(PONG, b"unsolicited"),
        frame(CONTINUATION, "σμε".encode()[1:]),
        frame(BINARY),
    ]
    messages = [
        (TEXT, "κόσμε".encode()),
        (BINARY, bytes(range(126))),
        (TEXT, "κόσμε".encode()),
        (BINARY, b""),
    ]
    return b"".join(sent), [(PONG, b"1"), (PONG, b"2"), *messages]


def pongs_first(frames: list[Frame]) -> list[Frame]:
    """Each kind in its order; where pongs stand among messages is not prescribed."""
    return sorted(frames, key=lambda one: one[0] != PONG)


async def test_a_stream_may_be_split_at_every_byte(echo: EchoServer) -> None:
    stream, expected = stream_of_everything()
    async with echo_socket(echo) as raw:
        for at in range(1, len(stream)):
            await raw.send(stream[:at])
            await trio.testing.wait_all_tasks_blocked()  # the server, in this process, has read that much
            await raw.send(stream[at:])
            answers = [await raw.frame() for _ in expected]
            assert pongs_first([one for one in answers if one is not None]) == expected, at


async def test_many_frames_in_one_read(echo: EchoServer) -> None:
    stream, expected = stream_of_everything()
    frames = await exchange(echo, [stream * 50 + BYE])
    assert frames[-1] == CLOSED
    assert [one for one in frames if one[0] == PONG] == expected[:2] * 50
    assert [one for one in frames[:-1] if one[0] != PONG] == expected[2:] * 50


async def test_octets_of_many_frames_one_at_a_time(echo: EchoServer) -> None:
    stream, expected = stream_of_everything()
    frames = await exchange(echo, chain(chops(stream, 1), [BYE]))
    assert frames[-1] == CLOSED
    assert pongs_first(frames[:-1]) == expected


async def test_messages_in_flight_while_others_are_answered(echo: EchoServer) -> None:
    payload = bytes(range(256)) * 256
    message = b"".join(fragments(BINARY, payload, 10_000))
    frames = await exchange(echo, [*([message] * 40), BYE])
    assert frames == [*([(BINARY, payload)] * 40), CLOSED]


async def test_any_path_no_subprotocol_no_extension(echo: EchoServer) -> None:
    opening = request(
        "/no/such/path", sec_websocket_protocol="chat, superchat", sec_websocket_extensions="permessage-deflate"
    )
    async with await trio.open_tcp_stream("127.0.0.1", echo.port) as stream:
        await stream.send_all(opening)
        head = bytes(await stream.receive_some()).lower()
    assert head.startswith(b"http/1.1 101 ")
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n" in head
    assert b"sec-websocket-protocol" not in head
    assert b"sec-websocket-extensions" not in head
