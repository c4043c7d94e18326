"""What a transport is given, and what it is asked for: sockets in, sessions driven, until it is cancelled."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from gameserver.clock import Clock
from gameserver.edge.admission import Admission
from gameserver.edge.surroundings import Watch
from gameserver.edge.terms import OpenSession, SocketSession, Terms

HANDSHAKE_DEADLINE_S = 5
MAX_REFUSALS = 64  #: connections that are refused and wait for their answer; beyond it there is none, only a close


@dataclass(frozen=True, slots=True)
class Host:
    """Whom a transport works for.

    Args:
        terms: what is demanded of every connection.
        open_session: makes the session of a connection behind its opening handshake.
        closed: told the session of each connection that has been closed.
        failed: told what a bug of ours raised; the connection it happened in is dropped.
        admission: who may connect.
        clock: the present.
        watch: looks after the deadlines of sockets that are being closed.
    """

    terms: Terms
    open_session: OpenSession
    closed: Callable[[SocketSession], None]
    failed: Callable[[BaseException], None]
    admission: Admission
    clock: Clock
    watch: Watch


class Transport(Protocol):
    """Takes connections and drives their sessions."""

    async def run(
        self, sockets: Sequence[trio.SocketListener], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled.

        Args:
            sockets: bound; owned and closed here.
            task_status: started once connections are taken.
        """
        ...

    def stop_accepting(self) -> None:
        """Take no more connections; those that are there go on."""
        ...

    def publish(self, frame: bytes, sessions: Iterable[SocketSession], key: Hashable | None = None) -> None:
        """Send one frame to many; it is encoded once, and who does not read costs the others nothing.

        Args:
            frame: the payload of a binary message.
            sessions: of open sockets; asked for one after the other, as the deliveries proceed, so give it a copy.
            key: of a conflated frame: for whoever is behind, only the latest with this key waits; None = lossless.
        """
        ...

    def statistics(self) -> object | None:
        """A dataclass of numbers for metrics; None where there is nothing to tell."""
        ...

    def answered_taps(self) -> tuple[int, int]:
        """(TAP frames, taps in them) that it has answered itself, without the session."""
        ...
