"""Opens the game port, has a transport drive the sessions, and at a drain sends them away in batches.

A bug in one connection ends that connection: it is logged once, here, and its client may come back.
"""

import dataclasses
import errno
import random
import ssl
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

import trio

from gameserver.edge.admission import Admission
from gameserver.edge.counters import Counters
from gameserver.edge.lifecycle import State
from gameserver.edge.session import Session
from gameserver.edge.surroundings import Surroundings
from gameserver.edge.terms import SocketSession, player_terms
from gameserver.edge.transport import Host
from gameserver.edge.transports import make_transport
from gameserver.errors import OperatorError, WireError
from gameserver.logs import get_logger
from gameserver.settings import TransportKind
from gameserver.wire.ops import CloseCode
from hotpath.outbox import Outbox

BACKLOG = 4_096
SEND_BUFFER_BYTES = 65_536  #: the kernel's; left to itself it keeps megabytes for a peer that does not read
DRAIN_BATCH = 500  #: sessions told to go at once …
DRAIN_PAUSE_S = 0.1  #: … this far apart

log = get_logger(__name__)


@dataclass
class ListenerStatistics(Counters):
    """All sessions of a node at one moment, and what they did so far."""

    opening: int = 0  #: sockets without a WELCOME yet
    live: int = 0  #: sessions that play
    draining: int = 0  #: sessions that are being ended
    queued_frames: int = 0  #: waiting in all outboxes
    connections_total: int = 0  #: that got past the opening handshake


class Listener:
    """The game socket.

    Args:
        shared: what all sessions share.
        admission: who may connect.
        allowed_origins: Origin headers that may connect; empty = any.
        tls: for TLS inside the process; None = plain.
        transport: how sockets are served.
    """

    def __init__(
        self,
        shared: Surroundings,
        admission: Admission,
        *,
        allowed_origins: Collection[str],
        tls: ssl.SSLContext | None,
        transport: TransportKind,
    ) -> None:
        self._shared = shared
        self._sessions: set[Session] = set()
        self._draining = False
        self._empty = trio.Event()
        self._connections = 0
        host = Host(
            terms=player_terms(allowed_origins),
            open_session=self._open,
            closed=self._closed,
            failed=self._failed,
            admission=admission,
            clock=shared.clock,
            watch=shared.watch,
        )
        self._transport = make_transport(transport, host, tls)

    def statistics(self) -> ListenerStatistics:
        """The sessions now, and what they did."""
        states = Counter(session.state for session in self._sessions)
        statistics = ListenerStatistics(
            opening=states[State.OPENING],
            live=states[State.LIVE],
            draining=states[State.DRAINING],
            queued_frames=sum(len(session.outbox) for session in self._sessions),
            connections_total=self._connections,
            **dataclasses.asdict(self._shared.counters),
        )
        frames, taps = self._transport.answered_taps()
        statistics.frames_total += frames
        statistics.taps_claimed_total += taps
        return statistics

    def transport_statistics(self) -> object | None:
        """What the transport itself counts; None if nothing."""
        return self._transport.statistics()

    async def run(
        self,
        sockets: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled.

        Args:
            sockets: bound by `open_port`; owned and closed here.
            task_status: started once connections are taken.
        """
        await self._transport.run(sockets, task_status=task_status)

    def judge(self, refusal: Callable[[UUID, UUID], WireError | None]) -> None:
        """End every session for which `refusal(player, login)` has a reason."""
        for session in tuple(self._sessions):
            session.judge(refusal)

    async def drain(self) -> None:
        """Take no more connections, tell every session to reconnect elsewhere or later, wait until all are gone."""
        self._draining = True
        self._transport.stop_accepting()
        waiting = list(self._sessions)
        random.shuffle(waiting)
        for start in range(0, len(waiting), DRAIN_BATCH):
            if start:
                await trio.sleep(DRAIN_PAUSE_S)
            for session in waiting[start : start + DRAIN_BATCH]:
                _send_away(session)
        while self._sessions:
            self._empty = trio.Event()
            await self._empty.wait()

    # What the transport asks of it

    def _open(self, outbox: Outbox, abort: Callable[[], None], address: str) -> Session:
        session = Session(self._shared, outbox, abort, address)
        self._connections += 1
        self._sessions.add(session)
        if self._draining:  # it was shaking hands when the drain began
            _send_away(session)
        return session

    def _closed(self, session: SocketSession) -> None:
        assert isinstance(session, Session)
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()

    def _failed(self, error: BaseException) -> None:
        self._shared.counters.crashes_total += 1
        log.error("a connection crashed", exc_info=error)


def _send_away(session: Session) -> None:
    session.goodbye(CloseCode.DRAIN, "the server restarts")


async def open_port(host: str, port: int, variable: str) -> list[trio.SocketListener]:
    """Bind a port; connections queue in the kernel until somebody accepts them.

    Args:
        host: address to bind.
        port: port to bind; 0 = any free one.
        variable: the setting that names the port, for the sentence.

    Raises:
        OperatorError: the port is taken, or the address is not ours.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
        for listener in listeners:  # accepted sockets inherit it
            listener.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    except OSError as error:
        causes = error.__cause__.exceptions if isinstance(error.__cause__, BaseExceptionGroup) else [error.__cause__]
        codes = {cause.errno for cause in (error, *causes) if isinstance(cause, OSError)}
        if errno.EADDRINUSE in codes:
            sentence = f"port {port} on {host} is taken; stop what uses it or set {variable} to another port."
        elif codes & {errno.EACCES, errno.EPERM}:
            sentence = f"port {port} on {host} needs rights this user does not have; set {variable} to one above 1023."
        else:
            sentence = f"cannot listen on {host} port {port} ({error.strerror or error}); check the address."
        raise OperatorError(sentence) from None
    return listeners
