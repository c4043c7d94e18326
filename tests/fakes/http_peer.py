"""HTTP connections in memory: applications that answer, or do not, and a peer that may be slow."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from hypercorn.typing import ASGIFramework
from trio.testing import memory_stream_pair

from http_admin.server import HttpServer

GET = b"GET / HTTP/1.1\r\nhost: game.example\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: game.example\r\ncontent-length: 1000000\r\n\r\n"


async def answer(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Reads the body to its end, then says OK."""
    del scope
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def answer_at_once(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    """Answers without reading the body."""
    del scope, receive
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def never(scope: Any, receive: Any, send: Any) -> None:
    """Does not come to an answer."""
    del scope, receive, send
    await trio.sleep_forever()


def http_server(app: Any = answer, *, max_connections: int = 3) -> HttpServer:
    served: ASGIFramework = app
    return HttpServer(served, grace_s=2, max_connections=max_connections)


class Peer:
    """One end of a connection whose other end the server has."""

    def __init__(self, server: HttpServer, nursery: trio.Nursery, address: str = "192.0.2.1") -> None:
        self.stream, far = memory_stream_pair()
        self.began_s = trio.current_time()
        self.lasted_s = -1.0

        async def serve() -> None:
            await server.serve(far, (address, 1))
            self.lasted_s = trio.current_time() - self.began_s

        nursery.start_soon(serve)

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await self.stream.send_all(data)

    async def drip(self, data: bytes, every_s: float) -> None:
        """Send byte by byte until the server has had enough."""
        for byte in data:
            if self.lasted_s >= 0:
                return
            await self.send(bytes((byte,)))
            await trio.sleep(every_s)

    async def answer(self) -> bytes:
        """The next answer with a body, which is `ok`."""
        received = bytearray()
        while not received.endswith(b"ok"):
            received += await self.stream.receive_some()
        return bytes(received)

    async def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        received = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while part := await self.stream.receive_some():
                received += part
        return received
