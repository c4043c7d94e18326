import os

import pytest

from loadtest.bench import probe
from loadtest.bench.probe import FAILED_MS, AskFailed, Probe, core_wait_ms, first_in_line


class ScriptedProbe(Probe):
    """Is answered, or fails, as it is told."""

    def __init__(self, fault: Exception | None) -> None:
        super().__init__()
        self._fault = fault

    def ask_once(self) -> None:
        if self._fault is not None:
            raise self._fault


def test_each_answer_has_its_time_and_what_was_waited_is_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waits_ms = iter([0.0, 1_000.0])
    monkeypatch.setattr(probe, "core_wait_ms", lambda: next(waits_ms))
    asks = ScriptedProbe(None)
    asks.ask()
    (found,) = asks.asked
    assert 0 < found["waited_ms"] == found["took_ms"] < FAILED_MS


@pytest.mark.parametrize("fault", [OSError(), AskFailed()])
def test_a_failure_counts_as_the_longest_wait(fault: Exception) -> None:
    asks = ScriptedProbe(fault)
    asks.ask()
    assert asks.asked[0]["took_ms"] == FAILED_MS


def test_a_kernel_that_does_not_count_waits_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("schedstat")
    monkeypatch.setattr(probe, "SCHEDSTAT", folder / "absent")
    assert core_wait_ms() == 0
    (folder / "there").write_text("5000000 2500000 7\n")
    monkeypatch.setattr(probe, "SCHEDSTAT", folder / "there")
    assert core_wait_ms() == 2.5


def test_who_asks_is_first_in_line_and_afterwards_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    policies: list[int] = []
    monkeypatch.setattr("os.sched_setscheduler", lambda _pid, policy, _priority: policies.append(policy))
    with first_in_line() as is_first:
        assert is_first
        assert policies == [os.SCHED_FIFO | os.SCHED_RESET_ON_FORK]  # the swarm does not inherit it
    assert policies[1:] == [os.sched_getscheduler(0)]


def test_where_that_is_not_permitted_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.sched_setscheduler", refuse)
    with first_in_line() as is_first:
        assert not is_first
