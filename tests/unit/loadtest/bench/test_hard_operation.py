from typing import Any

import msgspec
import pytest

from loadtest.bench.hard_operation import HardOperationProbe
from loadtest.bench.probe import FAILED_MS
from loadtest.own_server import LoadTestError
from loadtest.ws_client import Closed, WebSocket
from tests.fakes.frames import WELCOME
from tests.fakes.other_side import unpack
from tests.fakes.scripted_socket import ScriptedSocket

APPLIED = WELCOME.body.applied_seq
HELLO = b"\x93\x01\x00\x80"
CAME_IN = unpack(msgspec.msgpack.encode(WELCOME))
TAPPED, RESULT, ERROR, DURABLE = 65, 66, 67, 70


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch) -> ScriptedSocket:
    """The one it opens; a test puts in what comes after WELCOME."""
    scripted = ScriptedSocket()
    scripted.then(CAME_IN)
    monkeypatch.setattr(WebSocket, "open", lambda _url, **_: scripted)
    monkeypatch.setattr("time.sleep", lambda _s: None)
    return scripted


def asked(times: int) -> list[dict[str, Any]]:
    with HardOperationProbe("ws://game/ws", HELLO) as probe:
        for _ in range(times):
            probe.ask()
    return probe.asked


def test_each_operation_is_the_next_and_timed_until_its_own_answer(socket: ScriptedSocket) -> None:
    done = [RESULT, APPLIED + 1, {}, APPLIED + 1]
    socket.then([DURABLE, APPLIED], done, done, [ERROR, APPLIED + 2, 6, "conflict", "none left", 0])
    found = asked(2)
    assert socket.sent == [
        unpack(HELLO),
        *([3, seq, "boost.use", {"kind": "double"}] for seq in (APPLIED + 1, APPLIED + 2)),
    ]
    assert all(0 <= each["waited_ms"] <= each["took_ms"] < FAILED_MS for each in found)
    assert found[0]["at_s"] < found[1]["at_s"]
    assert socket.ended == "closed"


def test_what_is_put_off_comes_again_within_the_same_time(socket: ScriptedSocket) -> None:
    socket.then(
        [ERROR, APPLIED + 1, 10, "unavailable", "the database is away", 100], [RESULT, APPLIED + 1, {}, APPLIED + 1]
    )
    (found,) = asked(1)
    assert [frame[1] for frame in socket.sent[1:]] == [APPLIED + 1] * 2
    assert found["took_ms"] < FAILED_MS


def test_what_is_put_off_for_too_long_has_failed_and_comes_again_the_next_time(socket: ScriptedSocket) -> None:
    socket.then(
        [ERROR, APPLIED + 1, 10, "unavailable", "the database is away", 60_000], [RESULT, APPLIED + 1, {}, APPLIED + 1]
    )
    first, second = asked(2)
    assert [frame[1] for frame in socket.sent[1:]] == [APPLIED + 1] * 2
    assert (first["took_ms"], second["took_ms"] < FAILED_MS) == (FAILED_MS, True)


@pytest.mark.parametrize("fault", [Closed(4008, "slow reader"), TimeoutError(), ["no frame"]])
def test_what_gets_no_answer_counts_as_the_longest_wait(socket: ScriptedSocket, fault: Any) -> None:
    socket.then(fault)
    assert asked(1)[0]["took_ms"] == FAILED_MS


@pytest.mark.parametrize("answer", [Closed(4501, "bad token"), TimeoutError(), [DURABLE, 0]])
def test_who_is_not_let_in_measures_nothing(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    scripted = ScriptedSocket()
    scripted.then(answer)
    monkeypatch.setattr(WebSocket, "open", lambda _url, **_: scripted)
    with pytest.raises(LoadTestError, match="not let in"), HardOperationProbe("ws://game/ws", HELLO):
        pass
    assert scripted.ended == "dropped"


def test_where_nobody_listens_it_says_so() -> None:
    with pytest.raises(LoadTestError, match="cannot connect"), HardOperationProbe("ws://127.0.0.1:1/ws", HELLO):
        pass
