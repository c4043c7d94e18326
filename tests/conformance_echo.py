"""The real transports with a session that echoes, for conformance suites: `python -m tests.conformance_echo --port N`.

Text and binary messages up to 16 MiB come back as they came, on any path, with no subprotocol, no HELLO and no limit on
rate. Prints its address in one line once it listens; SIGINT or SIGTERM ends it.
"""

import argparse
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence

import trio

from gameserver.edge.listener import open_port
from gameserver.edge.portable import Connection, Stream
from gameserver.edge.terms import Terms
from gameserver.errors import OperatorError
from gameserver.stop_request import StopRequest, cancel_when
from gameserver.wire.ops import CloseCode
from hotpath.outbox import Outbox

MAX_MESSAGE_BYTES = 16 << 20
MAX_OWED_BYTES = 4 * MAX_MESSAGE_BYTES  #: whoever sends and never reads is dropped here
TERMS = Terms(max_message_bytes=MAX_MESSAGE_BYTES, subprotocol=None, refuse=lambda _: None)


class EchoSession:
    """Sends back what it is given.

    Args:
        sessions: where it is while its socket is open.
        outbox: the transport's, which is not given any bounds.
        abort: tells the transport to drop the socket without another word.
    """

    def __init__(self, sessions: set["EchoSession"], outbox: Outbox, abort: Callable[[], None]) -> None:
        self.outbox = outbox
        self._sessions = sessions
        self._abort = abort
        sessions.add(self)

    def receive(self, payload: bytes) -> None:
        self._echo(payload)

    def receive_text(self, text: str) -> None:
        self._echo(text)

    def heard(self) -> None:
        """Nobody is too silent."""

    def gone(self) -> None:
        self._sessions.discard(self)

    def crashed(self, error: Exception) -> None:
        traceback.print_exception(error)
        self.close(CloseCode.INTERNAL_ERROR, "the server failed")

    def close(self, code: CloseCode, reason: str) -> None:
        self.outbox.end(code, reason, None)

    def _echo(self, message: bytes | str) -> None:
        self.outbox.push(message)
        if self.outbox.queued_bytes > MAX_OWED_BYTES:
            self._abort()


class EchoServer:
    """Serves a transport until cancelled.

    Attributes:
        sessions: of the sockets that are open.
        port: where it listens, once it does.
    """

    def __init__(self) -> None:
        self.sessions: set[EchoSession] = set()
        self.port = 0

    async def run(
        self,
        transport: str,
        host: str,
        port: int,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Bind and serve.

        Args:
            transport: one of `TRANSPORTS`.
            host: address to bind.
            port: port to bind; 0 = any free one.
            task_status: started once connections are taken.

        Raises:
            OperatorError: the port cannot be had.
        """
        sockets = await open_port(host, port, "--port")
        self.port = sockets[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(TRANSPORTS[transport], self, sockets)
            task_status.started()

    def open(self, outbox: Outbox, abort: Callable[[], None]) -> EchoSession:
        """A session for a new socket."""
        return EchoSession(self.sessions, outbox, abort)


async def _serve_portable(
    server: EchoServer, sockets: Sequence[trio.SocketListener], *, task_status: trio.TaskStatus[object]
) -> None:
    async def serve(stream: Stream) -> None:
        try:
            await Connection(stream, server.open, TERMS).serve()
        except* Exception:  # noqa: BLE001 - one connection's bug must not end a suite
            traceback.print_exc()

    await trio.serve_listeners(serve, list(sockets), task_status=task_status)


#: How each transport serves an `EchoServer`.
TRANSPORTS: dict[str, Callable[..., Awaitable[None]]] = {"portable": _serve_portable}


async def _main(transport: str, host: str, port: int) -> None:
    stop, server = StopRequest(), EchoServer()
    async with trio.open_nursery() as nursery:
        await nursery.start(stop.listen)
        await nursery.start(server.run, transport, host, port)
        sys.stdout.write(f"{transport} transport echoes at ws://{host}:{server.port}/\n")
        sys.stdout.flush()
        await cancel_when(stop.asked, nursery.cancel_scope)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance_echo", description=__doc__)
    parser.add_argument("--transport", choices=sorted(TRANSPORTS), default=min(TRANSPORTS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 = any free one")
    arguments = parser.parse_args()
    try:
        trio.run(_main, arguments.transport, arguments.host, arguments.port)
    except* OperatorError as errors:
        sys.exit(str(errors.exceptions[0]))


if __name__ == "__main__":
    main()
