"""A client of the game socket that shares no code with the server: trio-websocket and the `msgpack` package."""

import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any

import trio
import trio_websocket

from tests.fakes.other_side import pack, unpack

SUBPROTOCOL = "ppj.v1.msgpack"
HELLO, TAP, ACTION, PING = 1, 2, 3, 4
WELCOME, TAPPED, RESULT, ERROR, PONG, EVENT, DURABLE, GOODBYE = range(64, 72)
HOST = "127.0.0.1"
ANSWER_S = 10  #: nothing on a loopback takes that long


class GameClient:
    """One socket."""

    def __init__(self, socket: trio_websocket.WebSocketConnection) -> None:
        self.socket = socket
        self.seq = 0

    async def send(self, *frame: Any) -> None:
        """One frame."""
        await self.socket.send_message(pack(list(frame)))

    async def send_bytes(self, payload: bytes) -> None:
        """A message that need not be a frame."""
        await self.socket.send_message(payload)

    async def receive(self) -> list[Any]:
        """The next frame."""
        with trio.fail_after(ANSWER_S):
            message = await self.socket.get_message()
        assert isinstance(message, bytes)
        frame: list[Any] = unpack(message)
        return frame

    async def expect(self, op: int) -> list[Any]:
        """The next frame, which has to be of `op`."""
        frame = await self.receive()
        assert frame[0] == op, frame
        return frame

    async def hello(self, token: str, lineage: bytes | None = None, **others: Any) -> dict[str, Any]:
        """Say HELLO; returns the body of WELCOME."""
        await self.send(HELLO, 0, hello_map(token=token, lineage=lineage, **others))
        body: dict[str, Any] = (await self.expect(WELCOME))[2]
        return body

    async def tap(self, count: int = 1) -> list[Any]:
        """Send a TAP, return its TAPPED; events that come between are passed over."""
        self.seq += 1
        await self.send(TAP, self.seq, count, 0)
        while (frame := await self.receive())[0] in (EVENT, DURABLE):
            pass
        assert frame[:2] == [TAPPED, self.seq], frame
        return frame

    async def end(self) -> tuple[list[list[Any]], int]:
        """Everything until the server closes: (frames, close code)."""
        frames: list[list[Any]] = []
        with trio.fail_after(ANSWER_S):
            while True:
                try:
                    message = await self.socket.get_message()
                except trio_websocket.ConnectionClosed as closed:
                    return frames, closed.reason.code if closed.reason is not None else 0
                assert isinstance(message, bytes)
                frames.append(unpack(message))


def hello_map(*, lineage: bytes | None = None, **others: Any) -> dict[str, Any]:
    """A HELLO map with a lineage of its own."""
    return {"lineage": lineage or os.urandom(16), "device": "d1", "client": "test/1"} | others


@contextlib.asynccontextmanager
async def connect(
    port: int,
    *,
    subprotocols: Sequence[str] = (SUBPROTOCOL,),
    path: str = "/ws",
    headers: Sequence[tuple[bytes, bytes]] = (),
    tls: ssl.SSLContext | None = None,
    source: str | None = None,
) -> AsyncIterator[GameClient]:
    """A connected client, from the address `source`; the socket is closed without ceremony at the end of the block."""
    async with trio.open_nursery() as nursery:
        with trio.fail_after(ANSWER_S):
            tcp = await trio.open_tcp_stream(HOST, port, local_address=source)
            stream = tcp if tls is None else trio.SSLStream(tcp, tls, server_hostname=HOST, https_compatible=True)
            socket = await trio_websocket.wrap_client_stream(
                nursery,
                stream,
                f"{HOST}:{port}",
                path,
                subprotocols=list(subprotocols),
                extra_headers=list(headers),
            )
        try:
            yield GameClient(socket)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + ANSWER_S):
                await trio.aclose_forcefully(socket._stream)
            nursery.cancel_scope.cancel()
