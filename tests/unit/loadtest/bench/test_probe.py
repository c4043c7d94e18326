import os

import pytest

from loadtest.bench import probe
from loadtest.bench.probe import FAILED_MS, Probe, Question, core_wait_ms, first_in_line


class SilentProbe(Probe):
    """Asks nothing: a test tells it what came of it."""

    def ask(self) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


@pytest.mark.parametrize(("waited_ms", "is_all"), [(0.0, False), (1_000.0, True)])
def test_what_was_waited_for_the_core_is_a_part_of_the_time(
    monkeypatch: pytest.MonkeyPatch, waited_ms: float, is_all: bool
) -> None:
    waits_ms = iter([500.0, 500.0 + waited_ms])
    monkeypatch.setattr(probe, "core_wait_ms", lambda: next(waits_ms))
    silent = SilentProbe()
    question = Question.now()
    silent.answered(question)
    (found,) = silent.asked
    assert found["at_s"] == question.at_s
    assert 0 < found["took_ms"] < FAILED_MS
    assert found["waited_ms"] == (found["took_ms"] if is_all else 0)


def test_a_failure_counts_as_the_longest_wait() -> None:
    silent = SilentProbe()
    silent.failed(Question.now())
    assert silent.asked[0]["took_ms"] == FAILED_MS


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
