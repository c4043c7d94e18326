"""Text is UTF-8, and what is not is found as soon as it arrives (RFC 6455, 8.1; Autobahn's section 6).

The sequences are those of Markus Kuhn's "UTF-8 decoder capability and stress test", made here from code points.
"""

import contextlib

import pytest

from gameserver.settings import TransportKind
from tests.conformance_echo import EchoServer
from tests.fakes.echo_client import BYE, CLOSED, Frame, chops, closed, echo_socket, exchange, fragments, frame
from tests.fakes.raw_websocket import CONTINUATION, PING, PONG, TEXT

GREEK = "κ\u1f79σμε".encode()  # lengths 2, 3, 2, 2, 2
MIXED = "Hello-µ@ßöäüàá-UTF-8!! 水 𝄞".encode()


def form(number: int, length_bytes: int) -> bytes:
    """`number` in the form of a UTF-8 sequence of 2 to 6 bytes, whether that is allowed or not."""
    rest = bytes(0x80 | number >> 6 * place & 0x3F for place in reversed(range(length_bytes - 1)))
    return bytes((0xFF00 >> length_bytes & 0xFF | number >> 6 * (length_bytes - 1),)) + rest


def last(length_bytes: int) -> int:
    """The greatest number that fits into a sequence of `length_bytes`."""
    return (1 << 5 * length_bytes + 1) - 1


VALID: dict[str, list[bytes]] = {
    "text": [GREEK, MIXED, b"hello$world", "hello¢world".encode(), "hello€world".encode(), "hello𤭢world".encode()],
    "first of each length": [chr(number).encode() for number in (0, 0x80, 0x800, 0x10000)],
    "last of each length": [chr(number).encode() for number in (0x7F, 0x7FF, 0xFFFF, 0x10FFFF)],
    "around the surrogates and the end": [chr(number).encode() for number in (0xD7FF, 0xE000, 0xFFFD, 0x10FFFE)],
    "noncharacters": [chr(plane << 16 | 0xFFFE | bit).encode() for plane in range(17) for bit in (0, 1)],
    "more noncharacters": [chr(number).encode() for number in range(0xFDD0, 0xFDF0)],
    "specials": [chr(number).encode() for number in range(0xFFF9, 0x10000)],
    "prefixes": [GREEK[:end] for end in (2, 5, 7, 9, 11)],
}
INVALID: dict[str, list[bytes]] = {
    "first of lengths 5 and 6": [form(1 << 21, 5), form(1 << 26, 6)],
    "last of lengths 4, 5 and 6": [form(last(length), length) for length in (4, 5, 6)],
    "above U+10FFFF": [form(0x110000, 4), b"\xf5\x80\x80\x80"],
    "unexpected continuation": [b"\x80", b"\xbf", *(b"\x80\xbf\x80\xbf\x80\xbf"[:end] for end in range(2, 7))],
    "every continuation byte": [bytes(range(0x80, 0xC0))],
    "every lonely start": [
        b"".join(bytes((byte, 0x20)) for byte in range(first, end))
        for first, end in ((0xC0, 0xE0), (0xE0, 0xF0), (0xF0, 0xF8), (0xF8, 0xFC), (0xFC, 0xFE))
    ],
    "last byte missing": [
        form(number, length)[:-1]
        for length in range(2, 7)
        for number in (0, last(length))
        if (number, length) != (0, 2)
    ],
    "incomplete sequences in a row": [b"".join(form(last(length), length)[:-1] for length in range(2, 7))],
    "impossible bytes": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff", b"\xc0", b"\xc1", b"\xf5"],
    "overlong slash": [form(ord("/"), length) for length in range(2, 7)],
    "greatest overlong": [
        form(number, length) for number, length in ((0x7F, 2), (0x7FF, 3), (0xFFFF, 4), (0x1FFFFF, 5), (0x3FFFFFF, 6))
    ],
    "overlong NUL": [form(0, length) for length in range(2, 7)],
    "single surrogates": [form(number, 3) for number in (0xD800, 0xDB7F, 0xDB80, 0xDBFF, 0xDC00, 0xDF80, 0xDFFF)],
    "paired surrogates": [
        form(high, 3) + form(low, 3) for high in (0xD800, 0xDB7F, 0xDB80, 0xDBFF) for low in (0xDC00, 0xDFFF)
    ],
    "cut prefixes": [GREEK[:end] for end in (1, 3, 4, 6, 8, 10)],
    "behind valid text": [GREEK + form(0xD800, 3) + b"edited", GREEK + form(0x110000, 4) + b"edited"],
}


def can_become_text(start: bytes) -> bool:
    """Whether anything could follow that makes it UTF-8."""
    for rest in (b"", *(second + b"\x80" * more for second in (b"\x80", b"\x90", b"\xa0") for more in range(3))):
        with contextlib.suppress(UnicodeDecodeError):
            (start + rest).decode()
            return True
    return False


def bad_byte(payload: bytes) -> int | None:
    """How many bytes show that `payload` is no text; None = only its end does."""
    return next((end for end in range(1, len(payload) + 1) if not can_become_text(payload[:end])), None)


def seen_after(echo: EchoServer, payload: bytes) -> int:
    """How many bytes of `payload` this transport needs to see that it is no text."""
    at = bad_byte(payload)
    assert at is not None
    # wsproto leaves it to Python's decoder, which looks at a surrogate only when its third byte is there.
    is_surrogate = payload[at - 2] == 0xED and payload[at - 1] >= 0xA0 if at > 1 else False
    return at + 1 if echo.kind is TransportKind.PORTABLE and is_surrogate else at


FAIL_FAST = {
    what: bad for what, payloads in INVALID.items() if (bad := [one for one in payloads if bad_byte(one) is not None])
}


def last_is_1007(frames: list[Frame]) -> bool:
    """Whether the one answer is a close frame with 1007."""
    return [(opcode, payload[:2]) for opcode, payload in frames] == [closed(1007)]


@pytest.mark.parametrize("what", VALID)
async def test_valid_text_comes_back(echo: EchoServer, what: str) -> None:
    sent = b"".join(frame(TEXT, payload) for payload in VALID[what])
    assert await exchange(echo, [sent, BYE]) == [*((TEXT, payload) for payload in VALID[what]), CLOSED]


@pytest.mark.parametrize("payload", [GREEK, MIXED])
async def test_valid_text_may_be_cut_anywhere(echo: EchoServer, payload: bytes) -> None:
    halves = [
        frame(TEXT, payload[:at], fin=False) + frame(CONTINUATION, payload[at:]) for at in range(len(payload) + 1)
    ]
    octets = b"".join(fragments(TEXT, payload, 1))
    assert await exchange(echo, [*halves, octets, BYE]) == [*([(TEXT, payload)] * (len(payload) + 2)), CLOSED]
    assert await exchange(echo, [*chops(frame(TEXT, payload) + octets, 1), BYE]) == [*([(TEXT, payload)] * 2), CLOSED]


@pytest.mark.parametrize("what", INVALID)
async def test_what_is_no_text_fails_the_connection_with_1007(echo: EchoServer, what: str) -> None:
    for payload in INVALID[what]:
        assert last_is_1007(await exchange(echo, [frame(TEXT, payload) + frame(TEXT, b"x")])), payload
        assert last_is_1007(await exchange(echo, fragments(TEXT, payload, 1))), payload
        assert last_is_1007(await exchange(echo, chops(frame(TEXT, payload), 1))), payload


@pytest.mark.parametrize("what", FAIL_FAST)
async def test_a_bad_byte_is_found_before_its_frame_has_come(echo: EchoServer, what: str) -> None:
    for payload in FAIL_FAST[what]:
        at = seen_after(echo, payload)
        head = frame(TEXT, payload[:at], declared_bytes=1_000)
        assert last_is_1007(await exchange(echo, [head[:-1], head[-1:]])), payload
        assert last_is_1007(await exchange(echo, [head])), payload


@pytest.mark.parametrize("what", FAIL_FAST)
async def test_a_bad_byte_is_found_before_its_message_has_ended_and_not_earlier(echo: EchoServer, what: str) -> None:
    for payload in FAIL_FAST[what]:
        at = seen_after(echo, payload)
        async with echo_socket(echo) as raw:
            await raw.send(frame(TEXT, payload[: at - 1], fin=False) + frame(PING, b"still there?"))
            assert await raw.frame() == (PONG, b"still there?")
            await raw.send(frame(CONTINUATION, payload[at - 1 : at], fin=False))
            assert last_is_1007(await raw.frames()), payload


async def test_binary_need_not_be_text(echo: EchoServer) -> None:
    payloads = [one for family in INVALID.values() for one in family]
    sent = b"".join(frame(2, payload) for payload in payloads)
    assert await exchange(echo, [sent, BYE]) == [*((2, payload) for payload in payloads), CLOSED]
