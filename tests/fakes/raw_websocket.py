"""WebSocket by hand: for handshakes and frames that no library would send."""

import contextlib
import ssl
import struct
from collections.abc import Sequence

import trio

from tests.fakes.game_client import ANSWER_S, SUBPROTOCOL

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

UPGRADE = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": SUBPROTOCOL,
}


def request(path: str = "/ws", *, method: str = "GET", **changes: str | None) -> bytes:
    """An opening handshake; `changes` replace headers (`_` for `-`), None leaves one out."""
    headers: dict[str, str | None] = {**UPGRADE}
    for name, value in changes.items():
        known = next((key for key in UPGRADE if key.lower() == name.replace("_", "-").lower()), name.replace("_", "-"))
        headers[known] = value
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    masked: bool = True,
    rsv: int = 0,
    key: bytes = bytes(4),
    declared_bytes: int | None = None,
    length_bits: int | None = None,
) -> bytes:
    """One frame of a client (RFC 6455, 5.2).

    Args:
        opcode: 0…15.
        payload: before masking.
        fin: whether the message ends here.
        masked: whether there is a masking key.
        rsv: the three reserved bits as a number.
        key: to mask with; zeros change nothing.
        declared_bytes: the length to state; None = the true one.
        length_bits: 7, 16 or 64: how to state it; None = in the shortest form, as the RFC demands.
    """
    declared_bytes = len(payload) if declared_bytes is None else declared_bytes
    if length_bits is None:
        length_bits = 7 if declared_bytes < 126 else 16 if declared_bytes < 1 << 16 else 64
    mask_bit = 0x80 if masked else 0
    head = bytes(((0x80 if fin else 0) | rsv << 4 | opcode,))
    if length_bits == 7:
        head += bytes((mask_bit | declared_bytes,))
    elif length_bits == 16:
        head += bytes((mask_bit | 126,)) + struct.pack(">H", declared_bytes)
    else:
        head += bytes((mask_bit | 127,)) + struct.pack(">Q", declared_bytes)
    return head + (key + mask(payload, key) if masked else payload)


def mask(payload: bytes, key: bytes) -> bytes:
    """`payload` with the four bytes of `key` over it, again and again (RFC 6455, 5.3)."""
    if not any(key):
        return payload
    length_bytes = len(payload)
    pad = (key * (length_bytes // 4 + 1))[:length_bytes]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(length_bytes, "big")


class RawWebSocket:
    """A socket after its 101, byte by byte.

    Args:
        stream: connected.
        head: the server's answer to the handshake.
        rest: what came behind it.
    """

    def __init__(self, stream: trio.abc.Stream, head: bytes, rest: bytes) -> None:
        self.stream = stream
        self.head = head
        self._received = bytearray(rest)
        self._sending = trio.Lock()

    async def send(self, data: bytes) -> None:
        """Any bytes."""
        async with self._sending:
            await self.stream.send_all(data)

    async def frames(self, *, polite: bool = True) -> list[tuple[int, bytes]]:
        """Every frame until the server ends the connection; who is polite answers its close frame."""
        found = []
        with trio.fail_after(ANSWER_S):
            while (one := await self.frame()) is not None:
                found.append(one)
                if polite and one[0] == CLOSE:
                    with contextlib.suppress(trio.BrokenResourceError):
                        await self.send(frame(CLOSE, one[1][:2]))
        return found

    async def frame(self) -> tuple[int, bytes] | None:
        """The next frame, None at the end; a connection that is reset fails."""
        with trio.fail_after(ANSWER_S):
            if not await self._have(2):
                return None
            first, length = self._received[:2]
            assert first & 0xF0 == 0x80, "a server's frame with a reserved bit or without FIN"
            head = 2
            if length == 126:
                assert await self._have(4)
                (length,) = struct.unpack_from(">H", self._received, 2)
                head = 4
            elif length == 127:
                assert await self._have(10)
                (length,) = struct.unpack_from(">Q", self._received, 2)
                head = 10
            assert length < 1 << 31, "a masked frame of a server, or one too long"
            assert await self._have(head + length)
        opcode = first & 0x0F
        payload = bytes(self._received[head : head + length])
        del self._received[: head + length]
        return opcode, payload

    async def _have(self, count_bytes: int) -> bool:
        while len(self._received) < count_bytes:
            try:
                data = await self.stream.receive_some()
            except trio.BrokenResourceError as error:
                if not isinstance(error.__cause__, ssl.SSLEOFError):
                    raise
                data = b""  # an end without TLS's own words: the close frame has told everything
            if not data:
                assert not self._received, "the connection ended inside a frame"
                return False
            self._received += data
        return True


def close_codes(frames: Sequence[tuple[int, bytes]]) -> list[int]:
    """The codes of all close frames."""
    return [struct.unpack(">H", payload[:2])[0] for opcode, payload in frames if opcode == CLOSE]


async def converse(stream: trio.abc.Stream, data: bytes) -> bytes:
    """Send `data`, return everything until the server ends the connection."""
    answer = b""
    with trio.fail_after(ANSWER_S):
        await stream.send_all(data)
        while part := await stream.receive_some():
            answer += part
    return answer


async def upgraded(stream: trio.abc.Stream, opening: bytes | None = None) -> RawWebSocket:
    """Shake hands on a connected stream, with `opening` or as a player."""
    with trio.fail_after(ANSWER_S):
        await stream.send_all(opening or request())
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = await stream.receive_some()
            assert part, answer
            answer += part
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return RawWebSocket(stream, head, rest)
