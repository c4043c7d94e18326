"""The real transports with a session that echoes, for conformance suites: `python -m tests.conformance_echo --port N`.

Text and binary messages up to 16 MiB come back as they came, on any path, with no subprotocol, no HELLO and no limit on
rate. Prints its address in one line once it listens; SIGINT or SIGTERM ends it.
"""

import argparse
import sys
import traceback
from collections.abc import Callable

import trio

from gameserver.clock import SystemClock
from gameserver.edge.admission import Admission
from gameserver.edge.heartbeat import Heartbeat
from gameserver.edge.listener import open_port
from gameserver.edge.terms import SocketSession, Terms
from gameserver.edge.transport import Host
from gameserver.edge.transports import make_transport
from gameserver.errors import OperatorError
from gameserver.settings import TransportKind
from gameserver.stop_request import StopRequest, cancel_when
from gameserver.wire.ops import CloseCode
from hotpath.outbox import Outbox

TRANSPORTS = (TransportKind.GATEWAY, TransportKind.PORTABLE)
MAX_SOCKETS = 10_000
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

    def check_pace(self) -> None:
        """Nobody is too slow."""

    def close(self, code: CloseCode, reason: str) -> None:
        self.outbox.end(code, reason, None)

    def _echo(self, message: bytes | str) -> None:
        self.outbox.push(message)
        if self.outbox.queued_bytes > MAX_OWED_BYTES:
            self._abort()


class EchoServer:
    """A transport, open to everybody, whose sessions echo.

    Args:
        kind: which transport.

    Attributes:
        sessions: that have not been told that their socket is gone.
        connections: how many sockets are not closed.
        port: where it listens, once it does.
    """

    def __init__(self, kind: TransportKind) -> None:
        self.kind = kind
        self.sessions: set[EchoSession] = set()
        self.connections = 0
        self.port = 0

    async def run(self, host: str, port: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Bind and serve until cancelled.

        Args:
            host: address to bind.
            port: port to bind; 0 = any free one.
            task_status: started once connections are taken.

        Raises:
            OperatorError: the port cannot be had, or the transport does not run here.
        """
        clock = SystemClock()
        heartbeat = Heartbeat(clock)
        served = Host(
            terms=TERMS,
            open_session=self._open,
            closed=self._closed,
            failed=traceback.print_exception,
            admission=Admission(MAX_SOCKETS, 0, 0, exempt_loopback=True, now_s=trio.current_time),
            clock=clock,
            watch=heartbeat,
        )
        transport = make_transport(self.kind, served, None)
        sockets = await open_port(host, port, "--port")
        self.port = sockets[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(heartbeat.run)
            await nursery.start(transport.run, sockets)
            task_status.started()

    def _open(self, outbox: Outbox, abort: Callable[[], None], address: str) -> EchoSession:
        del address
        self.connections += 1
        return EchoSession(self.sessions, outbox, abort)

    def _closed(self, session: SocketSession) -> None:
        del session
        self.connections -= 1


async def _main(kind: TransportKind, host: str, port: int) -> None:
    stop, server = StopRequest(), EchoServer(kind)
    async with trio.open_nursery() as nursery:
        await nursery.start(stop.listen)
        await nursery.start(server.run, host, port)
        sys.stdout.write(f"{kind} transport echoes at ws://{host}:{server.port}/\n")
        sys.stdout.flush()
        await cancel_when(stop.asked, nursery.cancel_scope)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance_echo", description=__doc__)
    parser.add_argument("--transport", choices=[str(kind) for kind in TRANSPORTS], default=str(TRANSPORTS[0]))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 = any free one")
    arguments = parser.parse_args()
    try:
        trio.run(_main, TransportKind(arguments.transport), arguments.host, arguments.port)
    except* OperatorError as errors:
        sys.exit(str(errors.exceptions[0]))


if __name__ == "__main__":
    main()
