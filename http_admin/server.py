"""HTTP connections: hypercorn's HTTP/1.1 on Trio, with a bound on their number and on every wait.

Hypercorn's own server is not used, only its protocol. Its server has no bound on connections, on how long a body may
drip or on how long an answer may be taken; it turns to HTTP/2 in the clear for whoever asks, past the rules of a proxy
in front of it ("h2c smuggling"); and an exception in one connection ends the process, which one odd header of a
WebSocket handshake was enough for.

A connection is in one of two phases, each with one deadline that no byte prolongs: `HEAD_S` from when it is free until
a request's head is there, and `REQUEST_S` from then until the last byte of the answer is taken. Who comes when all
places are taken gets in: of the address with the most connections the one goes that is nearest to its deadline, so
those that wait for a request go before those that are being answered, and a flood from few addresses ousts itself.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import h11
import hypercorn
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from gameserver.logs import get_logger
from gameserver.rate_limits.customer import customer_of

MAX_CONNECTIONS: Final = 512  #: their files are part of `file_limit.RESERVE_FILES`
HEAD_S: Final = 5.0  #: for a request's head, and for a connection that is kept for the next one
REQUEST_S: Final = 30.0  #: for a request's body and its answer
LINGER_S: Final = 1.0  #: what a peer still sends is read for so long: else its end would not see the answer
MAX_HEAD_BYTES: Final = 16 * 1024
RECEIVE_BYTES: Final = 16 * 1024

log = get_logger(__name__)


@dataclass(slots=True)
class HttpStatistics:
    """The HTTP side's connections at one moment, and those that were."""

    connections: int = 0  #: open now
    accepted_total: int = 0  #: taken since the start
    ousted_total: int = 0  #: ended to make room for another
    late_total: int = 0  #: ended at their deadline
    crashes_total: int = 0  #: ended by a bug


class HttpServer:
    """Serves an application.

    Args:
        app: ASGI.
        grace_s: for requests that are being answered when the server stops.
        max_connections: at most so many at a time.
    """

    def __init__(self, app: ASGIFramework, *, grace_s: float, max_connections: int = MAX_CONNECTIONS) -> None:
        self._app = ASGIWrapper(app)
        self._grace_s = grace_s
        self._max_connections = max_connections
        self._config = hypercorn.Config()
        self._config.accesslog = self._config.errorlog = None
        self._config.include_server_header = False
        self._config.h11_max_incomplete_size = MAX_HEAD_BYTES
        self._context = WorkerContext(None)
        self._connections: set[Connection] = set()
        self._counts = HttpStatistics()

    def statistics(self) -> HttpStatistics:
        """What is there now, and what was."""
        return dataclasses.replace(self._counts, connections=len(self._connections))

    async def run(self, listeners: Sequence[trio.SocketListener], closing: Callable[[], Awaitable[None]]) -> None:
        """Serve until `closing` returns; requests that are being answered then have `grace_s`.

        Args:
            listeners: bound; owned and closed here.
            closing: waits for the end.
        """
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                serve = functools.partial(trio.serve_listeners, handler_nursery=connections)
                accepting.start_soon(serve, self._serve_socket, list(listeners))
                await closing()
                accepting.cancel_scope.cancel()
            await self._context.terminated.set()
            for connection in self._connections:
                if connection.is_free:
                    connection.scope.cancel()
            connections.cancel_scope.deadline = trio.current_time() + self._grace_s

    async def _serve_socket(self, stream: trio.SocketStream) -> None:
        try:
            address: tuple[str, int] = stream.socket.getpeername()[:2]
        except OSError:  # gone already
            await trio.aclose_forcefully(stream)
            return
        await self.serve(stream, address)

    async def serve(self, stream: trio.abc.HalfCloseableStream, address: tuple[str, int]) -> None:
        """Serve one connection to its end.

        Args:
            stream: connected; owned and closed here.
            address: the peer's IP address and port.
        """
        self._counts.accepted_total += 1
        if len(self._connections) >= self._max_connections:
            self._make_room()
        connection = Connection(self._app, self._config, self._context, stream, address)
        self._connections.add(connection)
        try:
            await connection.run()
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer is gone
        except* Exception:  # one connection's bug is not the others' end
            self._counts.crashes_total += 1
            log.exception("an HTTP connection crashed")
        finally:
            if connection in self._connections:
                self._connections.remove(connection)
                self._counts.late_total += connection.scope.cancelled_caught and not connection.is_over
            await trio.aclose_forcefully(stream)

    def _make_room(self) -> None:
        crowds = Counter(connection.customer for connection in self._connections)
        [(crowd, _)] = crowds.most_common(1)
        theirs = (connection for connection in self._connections if connection.customer == crowd)
        ousted = min(theirs, key=lambda connection: connection.scope.deadline)
        self._connections.remove(ousted)
        self._counts.ousted_total += 1
        ousted.scope.cancel()


class Connection:
    """One connection, between hypercorn's protocol and a stream.

    Args:
        app: answers its requests.
        config: hypercorn's.
        context: hypercorn's, of the whole server.
        stream: connected; not closed here.
        address: the peer's.
    """

    def __init__(
        self,
        app: ASGIWrapper,
        config: hypercorn.Config,
        context: WorkerContext,
        stream: trio.abc.HalfCloseableStream,
        address: tuple[str, int],
    ) -> None:
        self.customer = customer_of(address[0])[0]
        self.scope = trio.CancelScope()
        self.is_free = True  #: no request is being received or answered
        self.is_over = False  #: nothing is answered any more
        self._stream = stream
        self._sending = trio.Lock()
        self._tasks = TaskGroup()
        self._protocol = Http11(
            app,
            config,
            context,
            self._tasks,
            ConnectionState({}),
            ssl=False,
            client=address,
            server=None,
            send=self._send,
        )

    async def run(self) -> None:
        """Read requests until either side has had enough, or a deadline passes."""
        with self.scope:
            self._await_request()
            async with self._tasks:
                while data := await self._stream.receive_some(RECEIVE_BYTES):
                    if not self.is_over:
                        await self._protocol.handle(RawData(bytes(data)))
                await self._protocol.handle(Closed())

    async def _send(self, event: Event) -> None:
        match event:
            case RawData(data=data):
                try:
                    async with self._sending:
                        await self._stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._end()
            case Closed():
                await self._end()
            case Updated(idle=True):
                self._await_request()
            case Updated():
                self.is_free = False
                self.scope.deadline = trio.current_time() + REQUEST_S

    def _await_request(self) -> None:
        self.is_free = True
        self.scope.deadline = trio.current_time() + HEAD_S

    async def _end(self) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.scope.deadline = trio.current_time() + LINGER_S
        await self._protocol.handle(Closed())
        async with self._sending:
            await self._stream.send_eof()


class Http11(H11Protocol):
    """HTTP/1.1 and nothing else: what asks for another protocol is answered in this one (RFC 9110, 7.8)."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Where hypercorn looks whether to change to HTTP/2."""

    async def _create_stream(self, request: h11.Request) -> None:
        """Where hypercorn looks whether to change to WebSocket."""
        kept = [(name, value) for name, value in request.headers if name != b"upgrade"]
        await super()._create_stream(
            h11.Request(method=request.method, target=request.target, headers=kept, http_version=request.http_version)
        )
