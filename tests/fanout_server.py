"""The gateway with sessions that only listen: `python -m tests.fanout_server RATE BYTES`, for measuring a fan-out.

Prints its port once it listens. Every message goes to every socket, encoded once; it begins with the wall clock in µs,
eight bytes, the first the most significant. Who reads too slowly is dropped as players are. SIGINT or SIGTERM ends it.

With RATE 0 the next message follows as soon as the last has been handed to every socket. Nobody can read that, so who
still has one waiting misses the next, as with the floor.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import trio

from gameserver.clock import SystemClock
from gameserver.edge.admission import Admission
from gameserver.edge.heartbeat import Heartbeat
from gameserver.edge.listener import open_port
from gameserver.edge.terms import SocketSession, Terms
from gameserver.edge.transport import Host
from gameserver.edge.transports import make_transport
from gameserver.settings import TransportKind
from gameserver.stop_request import StopRequest, cancel_when
from gameserver.wire.ops import OUTBOX_GRACE_S, OUTBOX_MAX_BYTES, OUTBOX_MAX_FRAMES, CloseCode
from hotpath.outbox import Outbox

MAX_SOCKETS = 20_000
STAMP_BYTES = 8
NOBODY_S = 0.01  #: between two looks for somebody to listen
TERMS = Terms(max_message_bytes=4_096, subprotocol=None, refuse=lambda _: None)


class ListeningSession:
    """Takes what is published; a reader that stays behind is closed with 4008.

    Args:
        outbox: the transport's.
        clock: for the grace of a slow reader.
    """

    def __init__(self, outbox: Outbox, clock: SystemClock) -> None:
        outbox.bound(clock, OUTBOX_MAX_FRAMES, OUTBOX_MAX_BYTES, OUTBOX_GRACE_S * 1_000)
        self.outbox = outbox
        self._clock = clock

    def receive(self, payload: bytes) -> None:
        """Nothing is asked of it."""

    def receive_text(self, text: str) -> None:
        """Nothing is asked of it."""

    def heard(self) -> None:
        """Nobody is too silent."""

    def gone(self) -> None:
        """Nothing hangs on it."""

    def crashed(self, error: Exception) -> None:
        traceback.print_exception(error)

    def check_pace(self) -> None:
        until_ms = self.outbox.grace_until_ms
        if self.outbox.full or 0 < until_ms <= self._clock.uptime_ms():
            self.outbox.discard()
            self.close(CloseCode.SLOW_READER, "frames are read too slowly")

    def close(self, code: CloseCode, reason: str) -> None:
        self.outbox.end(code, reason, None)


Publish = Callable[[bytes, Iterable[SocketSession]], None]  #: a transport's


def message(size_bytes: int) -> bytes:
    """A message of now."""
    stamp = time.time_ns() // 1_000  # noqa: TID251 - the swarm reads the same clock
    return stamp.to_bytes(STAMP_BYTES, "big") + bytes(size_bytes - STAMP_BYTES)


async def publish_at(publish: Publish, sessions: Collection[ListeningSession], per_s: float, size_bytes: int) -> None:
    """Publish at a rate until cancelled."""
    due_s = trio.current_time()
    while True:
        due_s += 1 / per_s
        await trio.sleep_until(due_s)
        publish(message(size_bytes), list(sessions))


async def publish_at_once(publish: Publish, sessions: Collection[ListeningSession], size_bytes: int) -> None:
    """Publish again as soon as the last message is delivered, until cancelled."""
    while True:
        delivered = trio.Event()
        publish(message(size_bytes), _asked_for_by(list(sessions), delivered))
        await delivered.wait()
        if not sessions:
            await trio.sleep(NOBODY_S)


def _asked_for_by(sessions: Sequence[ListeningSession], exhausted: trio.Event) -> Iterator[ListeningSession]:
    """Those with nothing waiting, when it is their turn; the transport asks for them as the deliveries proceed."""
    for session in sessions:
        if not len(session.outbox):
            yield session
    exhausted.set()


async def _main(per_s: float, size_bytes: int) -> None:
    clock, stop = SystemClock(), StopRequest()
    heartbeat = Heartbeat(clock)
    sessions: set[ListeningSession] = set()

    def open_session(outbox: Outbox, abort: Callable[[], None], address: str) -> SocketSession:
        del abort, address
        session = ListeningSession(outbox, clock)
        sessions.add(session)
        return session

    host = Host(
        terms=TERMS,
        open_session=open_session,
        closed=sessions.discard,
        failed=traceback.print_exception,
        admission=Admission(MAX_SOCKETS, 0, 0, exempt_loopback=True, now_s=trio.current_time),
        clock=clock,
        watch=heartbeat,
    )
    transport = make_transport(TransportKind.GATEWAY, host, None)
    sockets = await open_port("127.0.0.1", 0, "the port")
    port: int = sockets[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(stop.listen)
        nursery.start_soon(heartbeat.run)
        await nursery.start(transport.run, sockets)
        if per_s:
            nursery.start_soon(publish_at, transport.publish, sessions, per_s, size_bytes)
        else:
            nursery.start_soon(publish_at_once, transport.publish, sessions, size_bytes)
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await cancel_when(stop.asked, nursery.cancel_scope)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fanout_server", description=__doc__)
    parser.add_argument("rate", type=float, help="messages a second, each to every socket; 0 = at once again")
    parser.add_argument("bytes", type=int, help=f"payload of a message, at least {STAMP_BYTES}")
    arguments = parser.parse_args()
    if arguments.rate < 0 or arguments.bytes < STAMP_BYTES:
        parser.error(f"RATE from 0, BYTES from {STAMP_BYTES}")
    trio.run(_main, arguments.rate, arguments.bytes)


if __name__ == "__main__":
    main()
