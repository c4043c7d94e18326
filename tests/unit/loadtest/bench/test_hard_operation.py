from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from loadtest.bench import hard_operation
from loadtest.bench.hard_operation import HardOperationProbe
from loadtest.bench.probe import FAILED_MS
from loadtest.own_server import LoadTestError
from loadtest.ws_client import Closed, WebSocket
from tests.fakes.frames import WELCOME
from tests.fakes.other_side import unpack
from tests.fakes.scripted_socket import ScriptedSocket

HELLO = b"\x93\x01\x00\x80"
RESULT, ERROR, DURABLE = 66, 67, 70
FIRST = WELCOME.body.applied_seq + 1


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> ScriptedSocket:
    """The one that it opens; WELCOME comes first, a test puts in the rest."""
    scripted = ScriptedSocket()
    scripted.then(unpack(msgspec.msgpack.encode(WELCOME)))
    monkeypatch.setattr(WebSocket, "open", lambda _url, **_: scripted)
    monkeypatch.setattr(hard_operation, "EVERY_S", 0.004)
    return scripted


@pytest.fixture
def probe(socket: ScriptedSocket) -> Iterator[HardOperationProbe]:
    with HardOperationProbe("ws://game/ws", HELLO) as probe:
        yield probe
    assert socket.ended == "closed"


def done(seq: int) -> list[Any]:
    return [RESULT, seq, {}, seq]


def put_off(seq: int, wait_ms: int) -> list[Any]:
    return [ERROR, seq, 10, "unavailable", "the database is away", wait_ms]


def sent(socket: ScriptedSocket) -> list[int]:
    return [frame[1] for frame in socket.sent[1:]]


def took(probe: HardOperationProbe) -> list[float]:
    return [each["took_ms"] for each in probe.asked]


def test_each_is_timed_until_its_own_answer(probe: HardOperationProbe, socket: ScriptedSocket) -> None:
    socket.then([DURABLE, FIRST - 1], done(FIRST), done(FIRST))
    probe.ask()
    socket.then([ERROR, FIRST + 1, 6, "conflict", "none left", 0])
    probe.ask()
    assert socket.sent == [unpack(HELLO), *([3, seq, "boost.use", {"kind": "double"}] for seq in (FIRST, FIRST + 1))]
    assert all(0 <= each["waited_ms"] <= each["took_ms"] < FAILED_MS for each in probe.asked)
    assert probe.asked[0]["at_s"] < probe.asked[1]["at_s"]


def test_the_next_one_does_not_wait_for_the_last(probe: HardOperationProbe, socket: ScriptedSocket) -> None:
    probe.ask()
    probe.ask()
    assert (sent(socket), took(probe)) == ([FIRST, FIRST + 1], [])
    socket.then(done(FIRST + 1), done(FIRST))
    probe.finish()
    second_ms, first_ms = took(probe)
    assert 0 < second_ms < first_ms < FAILED_MS


def test_what_is_put_off_comes_again_with_what_is_behind_it(probe: HardOperationProbe, socket: ScriptedSocket) -> None:
    socket.then(put_off(FIRST, 10))
    probe.ask()
    probe.ask()  # not sent: the server would say the same of it
    assert sent(socket) == [FIRST]
    while len(sent(socket)) == 1:
        probe.ask()
    again = sent(socket)[1:]
    assert again == [*range(FIRST, FIRST + len(again))]
    socket.then(*map(done, again))
    probe.finish()
    assert len(took(probe)) == len(again)
    assert 10 <= max(took(probe)) < FAILED_MS


def test_what_is_never_answered_counts_as_the_longest_wait(
    monkeypatch: pytest.MonkeyPatch, probe: HardOperationProbe
) -> None:
    probe.ask()
    monkeypatch.setattr(hard_operation, "FAILED_MS", 5.0)  # so long it waits
    probe.finish()
    assert took(probe) == [FAILED_MS]


@pytest.mark.parametrize("fault", [Closed(4008, "slow reader"), BrokenPipeError(), ["no frame"]])
def test_a_connection_that_is_lost_fails_everything(
    probe: HardOperationProbe, socket: ScriptedSocket, fault: Any
) -> None:
    probe.ask()
    socket.then(fault)
    probe.ask()
    probe.ask()
    probe.finish()
    assert took(probe) == [FAILED_MS] * 3
    assert sent(socket) == [FIRST, FIRST + 1]


@pytest.mark.parametrize("answer", [Closed(4501, "bad token"), TimeoutError(), [DURABLE, 0]])
def test_who_is_not_let_in_measures_nothing(socket: ScriptedSocket, answer: Any) -> None:
    socket.coming.clear()
    socket.then(answer)
    with pytest.raises(LoadTestError, match="not let in"), HardOperationProbe("ws://game/ws", HELLO):
        pass
    assert socket.ended == "dropped"


def test_where_nobody_listens_it_says_so() -> None:
    with pytest.raises(LoadTestError, match="cannot connect"), HardOperationProbe("ws://127.0.0.1:1/ws", HELLO):
        pass
