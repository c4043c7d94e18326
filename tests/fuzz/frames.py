"""Streams of WebSocket frames drawn from arbitrary bytes, and what a receiver must make of them.

Written from RFC 6455 and not from the code under test. A stream is well-formed up to a point, behind which it may have
one fault; so what comes out is known exactly.
"""

from dataclasses import dataclass, field

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
VIOLATION = -2
NO_CODE = 1005
PROTOCOL_ERROR, INVALID_PAYLOAD, TOO_BIG = 1002, 1007, 1009
CONTROL_MAX_BYTES = 125
TEXTS = ("", "a", "ä", "€", "𝄞", "tap tap tap", "\x00", "ab€" * 50)
CLOSE_CODES = (1000, 1001, 1002, 1003, 1007, 1009, 1011, 3000, 4000, 4999)
WRONG_CLOSE_CODES = (0, 999, 1004, 1005, 1006, 1015, 1100, 2999, 5000, 65535)
Message = tuple[int, bytes, int]  #: kind, payload, code; as `hotpath.websocket.Receiver` says it


class Draw:
    """Decisions, taken from bytes one after the other; when they are used up, everything is 0 and empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)

    def number(self, below: int) -> int:
        width = 1 if below <= 1 << 8 else 4
        return int.from_bytes(self.take(width), "big") % below

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def rest(self) -> bytes:
        return self.take(len(self._data))


@dataclass
class Stream:
    """What one side sends, and what the other must find in it."""

    from_client: bool
    max_message_bytes: int
    data: bytearray = field(default_factory=bytearray)
    expected: list[Message] = field(default_factory=list)


def frame(opcode: int, payload: bytes, key: bytes | None, *, fin: bool = True, reserved: int = 0) -> bytes:
    """One frame (RFC 6455, 5.2); with a key it is masked."""
    first = (fin << 7) | (reserved << 4) | opcode
    masked = 0 if key is None else 0x80
    size = len(payload)
    if size < 126:
        head = bytes((first, masked | size))
    elif size < 1 << 16:
        head = bytes((first, masked | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, masked | 127)) + size.to_bytes(8, "big")
    if key is None:
        return head + payload
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def draw_stream(draw: Draw) -> Stream:
    """Some frames, and perhaps a fault at the end."""
    stream = Stream(from_client=bool(draw.number(2)), max_message_bytes=(200, 4_096, 70_000)[draw.number(3)])
    while not draw.is_empty and len(stream.data) < 100_000:
        move = draw.number(8)
        if move < 4:
            _message(stream, draw)
        elif move < 6:
            _ping_or_pong(stream, draw)
        elif move == 6:
            _close(stream, draw)
        else:
            _fault(stream, draw)
            break
    return stream


def _key(stream: Stream, draw: Draw) -> bytes | None:
    return draw.take(4).ljust(4, b"\0") if stream.from_client else None


def _ping_or_pong(stream: Stream, draw: Draw) -> None:
    opcode = (PING, PONG)[draw.number(2)]
    payload = draw.take(draw.number(CONTROL_MAX_BYTES + 1))
    stream.data += frame(opcode, payload, _key(stream, draw))
    stream.expected.append((opcode, payload, 0))


def _close(stream: Stream, draw: Draw) -> None:
    code, reason = NO_CODE, b""
    payload = b""
    if draw.number(2):
        code = CLOSE_CODES[draw.number(len(CLOSE_CODES))]
        reason = TEXTS[draw.number(len(TEXTS) - 1)].encode()
        payload = code.to_bytes(2, "big") + reason
    stream.data += frame(CLOSE, payload, _key(stream, draw))
    stream.expected.append((CLOSE, reason, code))


def _message(stream: Stream, draw: Draw) -> None:
    opcode, payload = (TEXT, BINARY)[draw.number(2)], b""
    if opcode == TEXT:
        payload = (TEXTS[draw.number(len(TEXTS))] * draw.number(4)).encode()
    else:
        sizes = (0, 1, 7, 8, 9, 125, 126, 127, 128, stream.max_message_bytes - 1, stream.max_message_bytes)
        size = sizes[draw.number(len(sizes))]
        payload = (draw.take(min(size, 16)) or b"\xa5") * (size // 2 + 1)
        payload = payload[:size]
    payload = payload[: stream.max_message_bytes]
    if opcode == TEXT:  # not cut within a character
        payload = payload.decode(errors="ignore").encode()
    cuts = sorted(draw.number(len(payload) + 1) for _ in range(draw.number(4)))
    begin = 0
    for at, end in enumerate([*cuts, len(payload)]):
        part_opcode = CONTINUATION if at else opcode
        fin = at == len(cuts)
        stream.data += frame(part_opcode, payload[begin:end], _key(stream, draw), fin=fin)
        if not fin and draw.number(4) == 0:
            _ping_or_pong(stream, draw)
        begin = end
    stream.expected.append((opcode, payload, 0))


def _fault(stream: Stream, draw: Draw) -> None:
    """Something that must be refused, and bytes behind it that nobody may look at."""
    key = _key(stream, draw)
    other_key = None if stream.from_client else b"\x01\x02\x03\x04"
    wrong_close = WRONG_CLOSE_CODES[draw.number(len(WRONG_CLOSE_CODES))].to_bytes(2, "big")
    mask_bit = 0x80 if stream.from_client else 0
    too_big = frame(BINARY, bytes(stream.max_message_bytes + 1), key)
    faults = (
        (frame(BINARY, b"x", key, reserved=1 + draw.number(7)), PROTOCOL_ERROR),
        (frame(3 + draw.number(5), b"", key), PROTOCOL_ERROR),
        (frame(11 + draw.number(5), b"", key), PROTOCOL_ERROR),
        (frame(PING, b"", key, fin=False), PROTOCOL_ERROR),
        (frame(PING, bytes(CONTROL_MAX_BYTES + 1), key), PROTOCOL_ERROR),
        (frame(BINARY, b"x", other_key), PROTOCOL_ERROR),
        (frame(CONTINUATION, b"x", key), PROTOCOL_ERROR),
        (frame(TEXT, b"a", key, fin=False) + frame(TEXT, b"b", key), PROTOCOL_ERROR),
        (bytes((0x82, mask_bit | 126)) + (5).to_bytes(2, "big") + bytes(9), PROTOCOL_ERROR),
        (bytes((0x82, mask_bit | 127)) + (5).to_bytes(8, "big") + bytes(9), PROTOCOL_ERROR),
        (bytes((0x82, mask_bit | 127)) + (1 << 63).to_bytes(8, "big") + bytes(9), PROTOCOL_ERROR),
        (frame(CLOSE, b"\x03", key), PROTOCOL_ERROR),
        (frame(CLOSE, wrong_close, key), PROTOCOL_ERROR),
        (frame(CLOSE, b"\x03\xe8\xff", key), INVALID_PAYLOAD),
        (frame(TEXT, b"a\xc0\x80", key), INVALID_PAYLOAD),
        (frame(TEXT, b"\xed\xa0\x80", key), INVALID_PAYLOAD),
        (frame(TEXT, "€".encode()[:2], key), INVALID_PAYLOAD),
        (frame(TEXT, "€".encode()[:2], key, fin=False) + frame(CONTINUATION, b"x", key), INVALID_PAYLOAD),
        (too_big, TOO_BIG),
        (frame(BINARY, b"x", key, fin=False) + too_big.replace(b"\x82", b"\x80", 1), TOO_BIG),
    )
    data, code = faults[draw.number(len(faults))]
    stream.data += data + draw.rest()
    stream.expected.append((VIOLATION, b"", code))
