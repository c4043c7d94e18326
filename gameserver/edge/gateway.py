"""The gateway transport (Linux): every socket in one epoll instance, and one Trio task that serves them all.

An epoll descriptor is itself readable when one of its sockets is. The task awaits it; once awake it stays in the round:
as long as no other task is runnable and no deadline of Trio's is near, it waits in the epoll instance itself, for at
most `STAY_US`, because a wake-up through Trio costs more than a tap. After that everybody else gets a turn.

Accepting and opening handshakes are ordinary Trio code. Most requests are there when their connection is accepted and
are answered on the spot; the others get a task, with a deadline. Right behind the 101 the gateway takes the socket.
"""

import contextlib
import errno
import socket
import time
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import trio

from gameserver.edge.handshake import MAX_HEAD_BYTES, Handshake
from gameserver.edge.terms import SocketSession
from gameserver.edge.transport import HANDSHAKE_DEADLINE_S, MAX_REFUSALS, Host
from gameserver.logs import get_logger
from hotpath.connection import Connection
from hotpath.gateway import Gateway

STAY_US = 2_000  #: a stay while nobody else has anything to do …
SHORT_STAY_US = 400  #: … and while somebody has
ACCEPTS_AT_ONCE = 64
ACCEPT_PAUSE_S = 0.1  #: when the machine has no descriptor or memory left
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
LINGER_S = 1.0
LINGER_BYTES = 1 << 16

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GatewayStatistics:
    """The gateway now, and since the start."""

    connections: int  #: open, those that are being closed included
    polls_total: int  #: times the epoll instance was asked
    received_bytes_total: int
    sent_bytes_total: int
    tap_frames_total: int  #: answered without the session
    deliveries_total: int  #: frames of publications


class GatewayTransport:
    """All sockets of a node.

    Args:
        host: whom it works for.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._gateway = Gateway(host.clock, host.watch, self._closed, self._failed, host.terms.max_message_bytes)
        self._accepting = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._refusals = 0  #: connections that were not admitted and wait for their answer

    async def run(
        self, sockets: Sequence[trio.SocketListener], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled.

        Args:
            sockets: bound; owned and closed here.
            task_status: started once connections are taken.
        """
        listening = [socket.socket(fileno=listener.socket.detach()) for listener in sockets]
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._serve)
                with self._accepting:
                    async with trio.open_nursery() as accepting:
                        for each in listening:
                            each.setblocking(False)
                            with contextlib.suppress(OSError):  # accepted ones inherit it; not every family has it
                                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                            accepting.start_soon(self._accept, each)
                        task_status.started()
                for each in listening:
                    each.close()
        finally:
            for connection in self._gateway.open_connections():
                connection.abort()
            trio.lowlevel.notify_closing(self._gateway.fileno())
            self._gateway.close()
            for each in listening:
                each.close()

    def stop_accepting(self) -> None:
        """Take no more connections; those that are there go on."""
        self._accepting.cancel()

    def publish(self, frame: bytes, sessions: Iterable[SocketSession], key: Hashable | None = None) -> None:
        """Send one frame to many; see `Transport`."""
        self._gateway.publish(frame, (session.outbox for session in sessions), key)

    def statistics(self) -> GatewayStatistics:
        """For metrics."""
        gateway = self._gateway
        return GatewayStatistics(
            connections=gateway.connections,
            polls_total=gateway.polls_total,
            received_bytes_total=gateway.received_bytes_total,
            sent_bytes_total=gateway.sent_bytes_total,
            tap_frames_total=gateway.tap_frames_total,
            deliveries_total=gateway.deliveries_total,
        )

    def answered_taps(self) -> tuple[int, int]:
        """(TAP frames, taps in them) that were answered without the session."""
        return self._gateway.tap_frames_total, self._gateway.taps_claimed_total

    async def _serve(self) -> None:
        gateway = self._gateway
        while True:
            await trio.lowlevel.wait_readable(gateway.fileno())
            while self._stay():
                await trio.lowlevel.checkpoint()

    def _stay(self) -> bool:
        """Serve until others have to have their turn; False when there was nothing to do."""
        gateway = self._gateway
        until_s = time.perf_counter() + STAY_US / 1e6
        served = 0
        while True:
            trios = trio.lowlevel.current_statistics()
            if trios.tasks_runnable or trios.run_sync_soon_queue_size:
                return gateway.serve(0, SHORT_STAY_US) + served > 0
            left_s = min(until_s - time.perf_counter(), trios.seconds_to_next_deadline)
            served += gateway.serve(max(int(left_s * 1e6), 0), STAY_US)
            if left_s <= 0 or not gateway.ran_python:
                return served > 0

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(listening)
            try:
                for _ in range(ACCEPTS_AT_ONCE):
                    self._welcome(*listening.accept())
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno in EXHAUSTED:
                    log.error("connections cannot be taken just now", reason=error.strerror)  # noqa: TRY400
                    await trio.sleep(ACCEPT_PAUSE_S)

    def _welcome(self, client: socket.socket, address: tuple[Any, ...]) -> None:
        """A connection was accepted: judge its request if it is there, else leave it to a task."""
        client.setblocking(False)
        peer = str(address[0])
        refusal = self._host.admission.admit(peer)
        if refusal is not None and self._refusals >= MAX_REFUSALS:
            client.close()
            return
        handshake = Handshake(self._host.terms, refusal)
        answer = None
        try:
            answer = handshake.receive(client.recv(MAX_HEAD_BYTES))
        except OSError:
            pass  # nothing is there yet
        except Exception as error:  # noqa: BLE001 - one handshake's bug must not end the others
            self._host.failed(error)
            client.close()
            if refusal is None:
                self._host.admission.release(peer, opened=False)
            return
        if answer is not None and handshake.accepted:
            self._adopt(client, peer, handshake, answer)
        else:
            assert self._nursery is not None
            self._refusals += refusal is not None
            self._nursery.start_soon(self._shake_hands, client, peer, handshake, answer, refusal is None)

    def _adopt(self, client: socket.socket, peer: str, handshake: Handshake, answer: bytes) -> None:
        """The handshake succeeded: from here on the socket is the gateway's."""
        admission = self._host.admission
        try:
            client.send(answer)  # a new socket's buffer takes it whole
        except OSError:
            client.close()
            admission.release(peer, opened=False)
            return
        admission.opened()
        try:
            self._gateway.adopt(
                client.detach(),
                lambda outbox, abort: self._host.open_session(outbox, abort, peer),
                peer,
                handshake.surplus,
            )
        except Exception as error:  # noqa: BLE001 - one connection's bug must not reach the others
            admission.release(peer, opened=True)
            self._host.failed(error)

    async def _shake_hands(
        self, client: socket.socket, peer: str, handshake: Handshake, answer: bytes | None, admitted: bool
    ) -> None:
        """The handshakes that take longer, and those that fail: answer within the deadline."""
        try:
            with trio.move_on_after(HANDSHAKE_DEADLINE_S):
                while answer is None:
                    answer = handshake.receive(await _receive(client))
            if answer is not None and handshake.accepted:
                self._adopt(client, peer, handshake, answer)
                return
            if answer is not None:
                await _say_and_close(client, answer)
        except OSError:
            pass  # it went away
        except Exception as error:  # noqa: BLE001 - one handshake's bug must not end the others
            self._host.failed(error)
        finally:
            if client.fileno() >= 0:
                client.close()
                if admitted:
                    self._host.admission.release(peer, opened=False)
            self._refusals -= not admitted

    def _closed(self, connection: Connection) -> None:
        self._host.admission.release(connection.peer, opened=True)
        self._host.closed(connection.session)

    def _failed(self, connection: Connection | None, error: Exception) -> None:
        del connection
        self._host.failed(error)


async def _receive(client: socket.socket) -> bytes:
    """What comes next.

    Raises:
        OSError: nothing comes any more.
    """
    await trio.lowlevel.wait_readable(client)
    data = client.recv(MAX_HEAD_BYTES)
    if not data:
        raise ConnectionAbortedError
    return data


async def _say_and_close(client: socket.socket, answer: bytes) -> None:
    """Let an answer arrive: a close with input unread resets, and may overtake it."""
    client.send(answer)
    client.shutdown(socket.SHUT_WR)
    rest = LINGER_BYTES
    with trio.move_on_after(LINGER_S):
        while rest > 0:
            rest -= len(await _receive(client))
