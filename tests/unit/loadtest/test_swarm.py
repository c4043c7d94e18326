"""The swarm against a server in the same process' hands: every answer comes when the test says so."""

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotpath.tap_codec import decode_tap, encode_tapped
from loadtest._swarm_c import Swarm
from loadtest.swarm import KEY, _upgrade

Script = Callable[["Peer"], None]
WELCOME = bytes([0x93, 64, 0, 0x81, 0xAB]) + b"applied_seq"


class Peer:
    """One accepted connection, blocking."""

    def __init__(self, taken: socket.socket) -> None:
        self.socket = taken
        self.reader = taken.makefile("rb")

    def upgrade(self, status: str = "101 Switching Protocols") -> None:
        key = b""
        while (line := self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"sec-websocket-key":
                key = value.strip()
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.socket.sendall(f"HTTP/1.1 {status}\r\nSec-WebSocket-Accept: ".encode() + accept + b"\r\n\r\n")

    def receive(self) -> tuple[int, bytes]:
        """The next frame as (opcode, payload); (-1, b"") at the end."""
        head = self.reader.read(2)
        if len(head) < 2:
            return -1, b""
        assert head[1] & 0x80, "a client masks"
        size = head[1] & 127
        if size == 126:
            (size,) = struct.unpack(">H", self.reader.read(2))
        mask = self.reader.read(4)
        return head[0] & 15, bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.reader.read(size)))

    def send(self, payload: bytes, opcode: int = 2) -> None:
        assert len(payload) < 126
        self.socket.sendall(bytes([0x80 | opcode, len(payload)]) + payload)

    def tap(self) -> int:
        """The seq of the next frame, which must be a TAP."""
        opcode, payload = self.receive()
        tap = decode_tap(payload)
        assert opcode == 2
        assert tap is not None
        return tap[0]

    def answer(self, seq: int, accepted: int = 1) -> None:
        self.send(encode_tapped(seq, accepted, 0, 0, 1, 0, 0, 0))

    def answer_everything(self, accepted: int = 1) -> None:
        while True:
            opcode, payload = self.receive()
            tap = decode_tap(payload)
            if opcode != 2:
                return
            if tap is None:
                self.send(bytes([0x94, 66, 0xCE]) + payload[3:7] + bytes([0x80, 0]))
            else:
                self.answer(tap[0], accepted)


@pytest.fixture
def serve() -> Iterator[Callable[[Script], int]]:
    """Serve every connection with a script in a thread; gives the port. What a script asserts must hold at the end."""
    threads: list[threading.Thread] = []
    faults: list[Exception] = []
    listeners: list[socket.socket] = []

    def start(script: Script) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        listeners.append(listener)

        def one(taken: socket.socket) -> None:
            try:
                with taken:
                    peer = Peer(taken)
                    script(peer)
                    peer.reader.close()
            except (ConnectionError, BrokenPipeError):
                pass
            except Exception as fault:  # noqa: BLE001 - a thread's; the test fails with it
                faults.append(fault)

        def accept() -> None:
            while True:
                try:
                    taken, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=one, args=(taken,), daemon=True))
                threads[-1].start()

        threads.append(threading.Thread(target=accept, daemon=True))
        threads[-1].start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(10)
    assert faults == []
    assert not any(thread.is_alive() for thread in threads)


def swarm_on(port: int, connections: int = 1, *, plain: bool = True, ring: int = 16) -> Swarm:
    hellos = [b"hello %d" % number for number in range(connections)]
    return Swarm("127.0.0.1", port, _upgrade(f"127.0.0.1:{port}", "/ws"), hellos, connections, plain=plain, ring=ring)


def plain(then: Script) -> Script:
    def script(peer: Peer) -> None:
        peer.upgrade()
        then(peer)

    return script


def hears_one_tap(peer: Peer) -> None:
    peer.tap()


def says_nothing(peer: Peer) -> None:
    peer.reader.read()


def test_a_closed_loop_asks_when_it_is_answered(serve: Callable[[Script], int]) -> None:
    swarm = swarm_on(serve(plain(lambda peer: peer.answer_everything())), connections=3)
    assert swarm.connect(at_once=2, deadline_s=10) > 0
    assert swarm.open == 3
    swarm.start_counting()
    swarm.start_load(window=4)
    swarm.run(0.2)
    assert swarm.stop_counting() == pytest.approx(0.2, abs=0.15)
    swarm.stop_load()
    counts = swarm.counts()
    assert swarm.drain(5) == 0
    answered = counts["answered"]
    assert isinstance(answered, int)
    assert answered > 12
    assert answered == counts["taps_answered"] == counts["taps_accepted"]
    assert counts["unmatched"] == counts["unreadable"] == counts["errors"] == counts["unsent"] == 0
    assert swarm.latency.count >= answered
    swarm.leave()


def test_an_open_loop_counts_from_the_schedule_what_a_stall_delays(serve: Callable[[Script], int]) -> None:
    go_on = threading.Event()

    def stalling(peer: Peer) -> None:
        seqs = [peer.tap()]
        assert go_on.wait(10)
        peer.answer(seqs[0])
        peer.answer_everything()

    swarm = swarm_on(serve(plain(stalling)), ring=256)
    swarm.connect(at_once=1, deadline_s=10)
    swarm.start_load(rate_per_s=100)
    swarm.start_counting()
    swarm.run(0.5)
    assert swarm.counts()["answered"] == 0
    go_on.set()
    swarm.run(0.1)
    swarm.stop_counting()
    swarm.stop_load()
    assert swarm.drain(5) == 0
    # 50 requests were due during the stall, 10 ms apart: their waits are spread over all of it.
    assert swarm.latency.count == pytest.approx(60, abs=8)
    assert swarm.latency.highest_ns > 450e6
    assert 180e6 < swarm.latency.quantile_ns(0.5) < 450e6
    swarm.leave()


def test_what_is_never_answered_is_counted_with_the_time_it_waited(serve: Callable[[Script], int]) -> None:
    def silent(peer: Peer) -> None:
        while peer.receive()[0] == 2:
            pass

    swarm = swarm_on(serve(plain(silent)), ring=16)
    swarm.connect(at_once=1, deadline_s=10)
    swarm.start_counting()
    swarm.start_load(rate_per_s=100)
    swarm.run(0.3)
    swarm.stop_counting()
    swarm.stop_load()
    assert swarm.drain(0.1) == 16
    counts = swarm.counts()
    assert counts["sent"] == 16
    assert counts["unsent"] == pytest.approx(14, abs=6)  # there was room for sixteen
    assert swarm.latency.count == 16
    assert swarm.latency.highest_ns > 300e6
    swarm.leave()


def test_a_greeted_connection_goes_on_behind_what_the_server_has_applied(serve: Callable[[Script], int]) -> None:
    seqs = []

    def greeting(peer: Peer) -> None:
        peer.upgrade()
        assert peer.receive() == (2, b"hello 0")
        peer.send(WELCOME + bytes([0xCD, 0x01, 0x00]))
        seqs.extend([peer.tap(), peer.tap()])
        peer.answer(seqs[1])
        peer.answer(seqs[0], accepted=0)
        assert peer.receive()[0] == 8

    swarm = swarm_on(serve(greeting), plain=False)
    swarm.connect(at_once=1, deadline_s=10)
    swarm.start_counting()
    swarm.start_load(window=2)
    swarm.stop_load()
    assert swarm.drain(5) == 0
    assert seqs == [257, 258]
    assert swarm.latency.count == 2
    counts = swarm.counts()
    assert (counts["taps_answered"], counts["taps_accepted"], counts["unmatched"]) == (2, 1, 0)
    swarm.leave()


def test_actions_and_errors_are_answers_too(serve: Callable[[Script], int]) -> None:
    def erring(peer: Peer) -> None:
        peer.upgrade()
        peer.receive()
        peer.send(WELCOME + bytes([0]))
        seq = peer.tap()
        peer.send(bytes([0x96, 67, seq, 8, 0xA1, 0x78, 0xA0, 0]))
        peer.answer_everything()

    swarm = swarm_on(serve(erring), plain=False)
    swarm.connect(at_once=1, deadline_s=10)
    swarm.start_counting()
    swarm.start_load(window=1)
    swarm.run(0.05)
    swarm.start_load(window=1, action_share=1.0)
    swarm.run(0.05)
    counts = swarm.counts()
    assert counts["errors"] == 1
    assert counts["error_codes"] == {8: 1}
    assert isinstance(counts["results"], int)
    assert counts["results"] > 5
    assert counts["unreadable"] == 0
    swarm.leave()


def test_pings_are_answered_with_what_they_say(serve: Callable[[Script], int]) -> None:
    pongs = []

    def pinging(peer: Peer) -> None:
        peer.send(b"are you there", opcode=9)
        pongs.append(peer.receive())
        peer.send(b"\x0f\xa8bye", opcode=8)

    swarm = swarm_on(serve(plain(pinging)))
    swarm.connect(at_once=1, deadline_s=10)
    swarm.run(0.3)
    assert pongs == [(10, b"are you there")]
    assert swarm.open == 0
    assert swarm.endings()["close_codes"] == {4008: 1}


def test_who_goes_without_a_word_is_abnormal_and_loses_what_was_asked(serve: Callable[[Script], int]) -> None:
    swarm = swarm_on(serve(plain(hears_one_tap)))
    swarm.connect(at_once=1, deadline_s=10)
    swarm.start_counting()
    swarm.start_load(window=1)
    swarm.stop_load()
    swarm.run(0.3)
    assert swarm.endings()["close_codes"] == {1006: 1}
    assert swarm.counts()["lost"] == 1
    assert swarm.drain(5) == 0


def test_a_refused_upgrade_is_a_failure_with_its_status(serve: Callable[[Script], int]) -> None:
    swarm = swarm_on(serve(lambda peer: peer.upgrade("503 Busy")), connections=2)
    swarm.connect(at_once=2, deadline_s=10)
    assert swarm.open == 0
    endings = swarm.endings()
    assert (endings["failed"], endings["http_status"]) == (2, {503: 2})


def test_nobody_there_is_a_failure_with_its_errno() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    swarm = swarm_on(port)
    swarm.connect(at_once=1, deadline_s=10)
    assert swarm.endings()["system_errors"] == {111: 1}


def test_a_server_that_does_not_answer_the_upgrade_is_given_up_at_the_deadline(serve: Callable[[Script], int]) -> None:
    swarm = swarm_on(serve(says_nothing))
    swarm.connect(at_once=1, deadline_s=0.2)
    assert swarm.open == 0
    assert swarm.endings()["system_errors"] == {110: 1}


def test_a_storm_brings_everybody_back(serve: Callable[[Script], int]) -> None:
    swarm = swarm_on(serve(plain(lambda peer: peer.answer_everything())), connections=8)
    swarm.connect(at_once=8, deadline_s=10)
    assert swarm.drop(0.5) == 4
    assert swarm.open == 4
    swarm.welcome.clear()
    assert swarm.connect(at_once=8, deadline_s=10) > 0
    assert swarm.open == 8
    assert swarm.welcome.count == 4
    swarm.leave()


def test_deliveries_are_timed_by_their_stamp(serve: Callable[[Script], int]) -> None:
    def publishing(peer: Peer) -> None:
        peer.receive()  # the listener's first word, which is its goodbye
        peer.socket.close()

    def pushing(peer: Peer) -> None:
        for _ in range(5):
            peer.send(bytes(100))
        publishing(peer)

    swarm = swarm_on(serve(plain(pushing)))
    swarm.start_load(listens=True, stamp_at=0)
    swarm.start_counting()
    swarm.connect(at_once=1, deadline_s=10)
    swarm.run(0.2)
    counts = swarm.counts()
    assert (counts["deliveries"], counts["delivered_bytes"], counts["answered"]) == (5, 500, 0)
    assert swarm.latency.count == 5
    assert swarm.latency.quantile_ns(0.5) > 10**18  # the stamp was 1970
    swarm.leave()


def test_slow_readers_read_nothing_more(serve: Callable[[Script], int]) -> None:
    swarm = swarm_on(serve(plain(lambda peer: peer.answer_everything())), connections=4)
    swarm.connect(at_once=4, deadline_s=10)
    assert swarm.slow_down(0.5) == 2
    swarm.start_counting()
    swarm.start_load(window=1)
    swarm.stop_load()
    assert swarm.drain(5) == 0
    assert swarm.counts()["answered"] == 2
    swarm.leave()


def test_who_thinks_asks_at_its_own_pace(serve: Callable[[Script], int]) -> None:
    swarm = swarm_on(serve(plain(lambda peer: peer.answer_everything())), connections=4)
    swarm.connect(at_once=4, deadline_s=10)
    swarm.start_counting()
    swarm.start_load(window=1, think_s=0.02)
    swarm.run(0.5)
    swarm.stop_counting()
    # 25 each, if the machine lets it: less when others need the core, never many more
    answered = swarm.counts()["answered"]
    assert isinstance(answered, int)
    assert 30 <= answered <= 130
    swarm.leave()


@pytest.mark.parametrize(
    "load",
    [{}, {"window": 1, "rate_per_s": 1.0}, {"window": 17}, {"window": 2, "think_s": 1.0}, {"window": 1, "taps": 0}],
)
def test_a_load_that_makes_no_sense_is_refused(load: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"either|a window"):
        swarm_on(1).start_load(**load)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more", [{"connections": 0}, {"ring": 3}, {"sources": 0}, {"sources": 251}, {"connections": 2}]
)
def test_a_swarm_that_makes_no_sense_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"from 1|power of two|as many HELLO"):
        Swarm("127.0.0.1", 1, b"", [b""], **{"connections": 1, **more})


def test_the_upgrade_offers_the_subprotocol() -> None:
    request = _upgrade("127.0.0.1:1", "/ws")
    assert request.startswith(b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:1\r\n")
    assert b"Sec-WebSocket-Protocol: ppj.v1.msgpack\r\n" in request
    assert f"Sec-WebSocket-Key: {KEY}\r\n".encode() in request
    assert request.endswith(b"\r\n\r\n")
