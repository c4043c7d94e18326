"""A client of `tests.conformance_echo` that sends any bytes, in any pieces, and reports every frame it gets back."""

import contextlib
import functools
from collections.abc import AsyncIterator, Iterable

import trio

from tests.conformance_echo import EchoServer
from tests.fakes import raw_websocket
from tests.fakes.raw_websocket import CLOSE, RawWebSocket, request, upgraded

KEY = b"\x37\xfa\x21\x3d"
ANSWER_S = 30  #: for the largest messages, on a busy machine
#: One frame, masked with a key that changes every byte.
frame = functools.partial(raw_websocket.frame, key=KEY)

Frame = tuple[int, bytes]


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """A client's close frame, as bytes."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def closed(code: int, reason: bytes = b"") -> Frame:
    """A close frame as it is received."""
    return CLOSE, code.to_bytes(2, "big") + reason


BYE = close_frame(1000)
CLOSED = closed(1000)


def fragments(opcode: int, payload: bytes, size_bytes: int) -> list[bytes]:
    """The frames of a message in fragments of `size_bytes`."""
    starts = range(0, max(len(payload), 1), size_bytes)
    return [
        frame(opcode if start == 0 else 0, payload[start : start + size_bytes], fin=start == starts[-1])
        for start in starts
    ]


def chops(data: bytes, size_bytes: int) -> list[bytes]:
    """`data` in pieces of `size_bytes`."""
    return [data[start : start + size_bytes] for start in range(0, len(data), size_bytes)]


@contextlib.asynccontextmanager
async def echo_socket(server: EchoServer) -> AsyncIterator[RawWebSocket]:
    """A socket to the echo, on a path of no meaning and without a subprotocol."""
    with trio.fail_after(ANSWER_S):
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            yield await upgraded(stream, request("/any/path?x=1", sec_websocket_protocol=None))


async def exchange(server: EchoServer, pieces: Iterable[bytes]) -> list[Frame]:
    """Send the pieces on a new socket, one write each, and return every frame until the server ends the connection.

    Its close frame is answered. The session has to be gone soon after.
    """
    async with echo_socket(server) as raw, trio.open_nursery() as nursery:

        async def send() -> None:
            for piece in pieces:
                await raw.send(piece)

        nursery.start_soon(send)
        frames = await raw.frames()
        await nobody_left(server)
    return frames


async def nobody_left(server: EchoServer) -> None:
    """Wait until the server has no session."""
    with trio.fail_after(ANSWER_S):
        while server.sessions:
            await trio.lowlevel.checkpoint()
