"""A TCP proxy before PostgreSQL's Unix socket that breaks, stalls and slows connections at chosen moments."""

import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import trio

COMMIT = b"COMMIT\x00"  #: the text of the simple query that ends a transaction


class Fault(enum.Enum):
    """What happens to a connection that sends COMMIT, or whatever commits."""

    CUT_BEFORE = enum.auto()  #: the server never hears of it
    CUT_AFTER = enum.auto()  #: the server commits, the client never hears of it


@dataclass(eq=False)
class Hold:
    """A commit that is held back: `reached` is set when it comes, and it goes on once `released` is."""

    reached: trio.Event = field(default_factory=trio.Event)
    released: trio.Event = field(default_factory=trio.Event)


class PostgresProxy:
    """Passes everything on until told otherwise. Made by `proxy_to`.

    Args:
        socket_path: PostgreSQL's Unix socket.
        dsn: how clients reach this proxy.
    """

    def __init__(self, socket_path: str, dsn: str) -> None:
        self.dsn = dsn
        self.faults: list[Fault | Hold] = []  #: used up one by one, each by the next request with `commits` in it
        self.commits = COMMIT
        self.refusing = False  #: new connections are closed at once
        self.stalled = trio.Event()  #: while it is not set, nothing is passed on to the server
        self.stalled.set()
        self.delay_s = 0.0  #: whatever is passed on, either way, is late by that
        self._socket_path = socket_path
        self._connections: dict[trio.CancelScope, tuple[trio.SocketStream, trio.SocketStream]] = {}

    def cut_all(self) -> None:
        """Break every connection there is now."""
        for connection in self._connections:
            connection.cancel()

    def half_close_all(self, *, towards_server: bool) -> None:
        """Say on every connection that nothing more comes, one way only, also in the middle of what is being sent."""
        for client, server in self._connections.values():
            with suppress(OSError):  # it is closed already
                (server if towards_server else client).socket.shutdown(trio.socket.SHUT_WR)

    async def serve(self, client: trio.SocketStream) -> None:
        """Handle one connection until either side ends it."""
        async with client:
            if self.refusing:
                return
            try:
                server = await trio.open_unix_socket(self._socket_path)
            except OSError:
                return  # it is down
            async with server, trio.open_nursery() as nursery:
                muted = trio.Event()
                self._connections[nursery.cancel_scope] = client, server
                nursery.start_soon(self._requests, client, server, muted, nursery.cancel_scope)
                nursery.start_soon(self._answers, server, client, muted, nursery.cancel_scope)
            self._connections.pop(nursery.cancel_scope)

    async def _requests(
        self, client: trio.SocketStream, server: trio.SocketStream, muted: trio.Event, connection: trio.CancelScope
    ) -> None:
        try:
            async for data in client:
                await self._dawdle()
                await self.stalled.wait()
                if self.commits in data and self.faults:
                    fault = self.faults.pop(0)
                    if fault is Fault.CUT_BEFORE:
                        break
                    if isinstance(fault, Hold):
                        fault.reached.set()
                        await fault.released.wait()
                    else:
                        muted.set()
                await server.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        connection.cancel()

    async def _answers(
        self, server: trio.SocketStream, client: trio.SocketStream, muted: trio.Event, connection: trio.CancelScope
    ) -> None:
        try:
            async for data in server:
                if muted.is_set():
                    break  # this was the answer to COMMIT
                await self._dawdle()
                await client.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        connection.cancel()

    async def _dawdle(self) -> None:
        if self.delay_s:
            await trio.sleep(self.delay_s)


@asynccontextmanager
async def proxy_to(dsn: str) -> AsyncIterator[PostgresProxy]:
    """A proxy to the database of a Unix-socket address, for the time of the block."""
    parts = urlsplit(dsn)
    query = parse_qs(parts.query)
    socket_path = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        proxy = PostgresProxy(socket_path, f"postgresql://postgres@127.0.0.1:{port}{parts.path}?sslmode=disable")
        nursery.start_soon(trio.serve_listeners, proxy.serve, [listener])
        yield proxy
        nursery.cancel_scope.cancel()
