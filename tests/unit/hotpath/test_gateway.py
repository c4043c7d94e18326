"""The gateway over real sockets, round by round: what is owed arrives, bugs stay where they are, rounds end in time."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gameserver.clock import SystemClock
from hotpath.connection import Connection
from hotpath.frame_codec import BINARY, CLOSE, PING, PONG, TEXT, encode, encode_close, encode_masked
from hotpath.gateway import Gateway
from hotpath.outbox import Outbox

MAX_MESSAGE_BYTES = 4_096
ROUND_US = 2_000
GOODBYE = encode_masked(CLOSE, (1_000).to_bytes(2, "big"), 7)


class Session:
    """Does what a test says with what it receives."""

    def __init__(self, outbox: Outbox, abort: Callable[[], None]) -> None:
        self.outbox = outbox
        self.abort = abort
        self.received: list[bytes | str] = []
        self.errors: list[Exception] = []
        self.gone_times = 0
        self.on_message: Callable[[bytes], None] = outbox.push
        self.on_gone: Callable[[], None] = lambda: None

    def receive(self, payload: bytes) -> None:
        self.received.append(payload)
        self.on_message(payload)

    def receive_text(self, text: str) -> None:
        self.received.append(text)
        self.outbox.end(1_003, "binary frames only", None)

    def heard(self) -> None:
        """Nobody is too silent."""

    def gone(self) -> None:
        self.gone_times += 1
        self.on_gone()

    def crashed(self, error: Exception) -> None:
        self.errors.append(error)

    def check_pace(self) -> None:
        """Nobody is too slow."""


class Rig:
    """A gateway, what it says, and clients of it."""

    def __init__(self) -> None:
        self.failed: list[Exception] = []
        self.closed: list[Connection] = []
        self.watched: list[Any] = []
        self.clients: list[socket.socket] = []
        self.gateway = Gateway(
            SystemClock(), self, self.closed.append, lambda _, error: self.failed.append(error), MAX_MESSAGE_BYTES
        )

    def watch(self, watched: object, due_ms: int) -> None:
        self.watched.append((watched, due_ms))

    def connect(
        self, open_session: Callable[..., object] = Session, *, narrow: bool = False
    ) -> tuple[socket.socket, Connection]:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            client = socket.socket()
            if narrow:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
            client.connect(listening.getsockname())
            ours, _ = listening.accept()
        if narrow:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
        ours.setblocking(False)
        client.settimeout(0.02)
        self.clients.append(client)
        return client, self.gateway.adopt(ours.detach(), open_session, "peer", b"")

    def rounds(self, count: int = 3) -> None:
        for _ in range(count):
            self.gateway.serve(2_000, ROUND_US)

    def everything(self, client: socket.socket) -> bytes:
        """What the client gets until the server ends its half."""
        got = b""
        for _ in range(400):
            self.rounds(1)
            with contextlib.suppress(TimeoutError):
                data = client.recv(65_536)
                if not data:
                    return got
                got += data
        raise AssertionError(f"no end after {got!r}")


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    for connection in rig.gateway.open_connections():
        connection.abort()
    for client in rig.clients:
        client.close()
    rig.gateway.close()


def sent(payload: bytes, opcode: int = BINARY) -> bytes:
    """A client's frame."""
    return encode_masked(opcode, payload, 0x01020304)


@pytest.mark.parametrize("behind", [GOODBYE, sent(b"", PING) + GOODBYE, sent(b"", PING) + b"\xff\xff"])
def test_our_close_frame_and_what_is_owed_arrive_though_the_peer_closes_in_the_same_breath(
    rig: Rig, behind: bytes
) -> None:
    client, _ = rig.connect()
    client.sendall(sent(b"1") + sent(b"2") + sent(b"text", TEXT) + behind)
    owed = encode(BINARY, b"1") + encode(BINARY, b"2")
    got = rig.everything(client)
    assert got.startswith(owed)
    assert got[len(owed) :] in (
        encode_close(1_003, "binary frames only"),
        encode_close(1_000, ""),  # the peer's end was read before ours was written
    )


def test_who_reads_slowly_and_closes_when_we_do_gets_everything(rig: Rig) -> None:
    client, connection = rig.connect(narrow=True)
    for _ in range(50):
        connection.session.outbox.push(bytes(2_000))
    connection.session.outbox.end(4_000, "drain", b"GOODBYE")
    rig.rounds()
    client.sendall(GOODBYE)
    got = rig.everything(client)
    assert got == encode(BINARY, bytes(2_000)) * 50 + encode(BINARY, b"GOODBYE") + encode_close(4_000, "drain")


def test_nothing_follows_our_close_frame(rig: Rig) -> None:
    client, connection = rig.connect()
    connection.session.outbox.end(4_000, "", None)
    rig.rounds()
    client.sendall(sent(b"late") + sent(b"", PING))
    connection.session.outbox.ping()
    rig.rounds()
    client.sendall(GOODBYE)
    assert rig.everything(client) == encode_close(4_000, "")


def test_a_half_closed_peer_gets_what_is_owed_and_our_end(rig: Rig) -> None:
    client, connection = rig.connect()
    connection.session.on_message = lambda _: connection.session.outbox.end(4_000, "", b"GOODBYE")
    client.sendall(sent(b"x"))
    client.shutdown(socket.SHUT_WR)
    assert rig.everything(client) == encode(BINARY, b"GOODBYE") + encode_close(4_000, "")


def test_a_bug_in_a_session_that_is_told_of_its_end_reaches_nobody_else(rig: Rig) -> None:
    def crash() -> None:
        raise RuntimeError("a bug")

    broken, connection = rig.connect()
    connection.session.on_gone = crash
    healthy, _ = rig.connect()
    broken.close()
    rig.rounds()
    assert [str(error) for error in rig.failed] == ["a bug"]
    assert rig.closed == [connection]
    healthy.sendall(sent(b"hello"))
    rig.rounds()
    assert healthy.recv(100) == encode(BINARY, b"hello")


def test_a_session_may_drop_itself_or_another_while_it_is_told_something(rig: Rig) -> None:
    first, one = rig.connect()
    second, two = rig.connect()

    def both(payload: bytes) -> None:
        two.abort()
        one.abort()
        raise RuntimeError("a bug", payload)

    one_session = one.session
    one_session.on_message = both
    for client in (first, second):
        client.sendall(sent(b"x") * 3)
    rig.rounds()
    assert rig.gateway.connections == 0
    assert len(one_session.errors) == 1
    assert set(rig.closed) == {one, two}


@pytest.mark.parametrize("how", ["abort", "raise"])
def test_a_session_that_is_not_made_leaves_nothing(rig: Rig, how: str) -> None:
    def open_session(outbox: Outbox, abort: Callable[[], None]) -> Session:
        outbox.push(b"never sent")
        if how == "raise":
            raise RuntimeError("a bug")
        abort()
        return Session(outbox, abort)

    if how == "raise":
        with pytest.raises(RuntimeError, match="a bug"):
            rig.connect(open_session)
    else:
        rig.connect(open_session)
        assert len(rig.closed) == 1
    assert (rig.gateway.connections, rig.gateway.open_connections()) == (0, [])
    rig.rounds()
    assert rig.clients[0].recv(100) == b""


def test_a_socket_that_cannot_be_taken_over_is_closed(rig: Rig) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with theirs:
        with pytest.raises(ValueError, match="bytes behind the handshake"):
            rig.gateway.adopt(ours.detach(), Session, "peer", bytes(100_000))
        assert theirs.recv(1) == b"", "its other end is closed"
    assert rig.gateway.open_connections() == []


def test_a_round_ends_in_time_whatever_waits(rig: Rig) -> None:
    def work(payload: bytes) -> None:
        until_s = time.perf_counter() + len(payload) * 1e-6
        while time.perf_counter() < until_s:
            pass

    clients = 100
    for _ in range(clients):
        client, connection = rig.connect()
        connection.session.on_message = work
        client.sendall(sent(b"12345678") * 1_000)
    looks = rounds = 0
    while looks < 3:
        served = rig.gateway.serve(0, 400)
        rounds += 1
        looks = looks + 1 if not served else 0
    # 100 000 messages of 8 µs in rounds of 0.4 ms; without the bound a few dozen rounds would do it all.
    assert rounds > 400
    assert sum(len(connection.session.received) for connection in rig.gateway.open_connections()) == clients * 1_000


def test_a_collection_that_breaks_ends_its_publication_only(rig: Rig) -> None:
    client, connection = rig.connect()

    def breaking() -> Iterator[Connection]:
        yield connection
        raise RuntimeError("changed meanwhile")

    rig.gateway.publish(b"1", breaking())
    rig.gateway.publish(b"2", [connection])
    rig.gateway.publish(b"3", ["no connection"])  # type: ignore[list-item]
    rig.rounds()
    assert client.recv(100) == encode(BINARY, b"1") + encode(BINARY, b"2")
    assert [type(error) for error in rig.failed] == [RuntimeError, TypeError]


def test_pings_are_answered_in_order_between_messages(rig: Rig) -> None:
    client, _ = rig.connect()
    client.sendall(sent(b"a", PING) + sent(b"1") + sent(b"", PING) + sent(b"b", PING))
    rig.rounds()
    assert client.recv(100) == b"".join(
        [encode(PONG, b"a"), encode(BINARY, b"1"), encode(PONG, b""), encode(PONG, b"b")]
    )
