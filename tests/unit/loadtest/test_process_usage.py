import os

import pytest

from loadtest.process_usage import core_busy_s, own_core, parse_core, parse_stat, usage_of

STAT = "7 (a (bad) name) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 100 9999 321 18446744073709551615"
CORES = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 10 50 9000 40 0 30 10 60 0\ncpu1 1 1 1 1 1 1 1 1 0 0\nintr 5\n"


def test_cpu_and_memory_stand_behind_the_name_whatever_it_holds() -> None:
    assert parse_stat(STAT) == (300, 321)


def test_a_core_is_busy_with_everything_but_idling_and_waiting() -> None:
    assert parse_core(CORES, 0) == pytest.approx(200 / os.sysconf("SC_CLK_TCK"))
    assert parse_core(CORES, 7) is None


def test_this_process_uses_cpu_and_memory() -> None:
    before = usage_of(os.getpid())
    sum(range(3_000_000))
    after = usage_of(os.getpid())
    assert after.cpu_s > before.cpu_s
    assert after.at_s > before.at_s
    assert after.rss_bytes > 1 << 20
    assert core_busy_s(min(os.sched_getaffinity(0))) is not None


def test_who_may_run_on_several_cores_has_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cores: dict[int, set[int]] = {1: {0, 1}, 2: {1}}
    monkeypatch.setattr("os.sched_getaffinity", cores.__getitem__)
    assert own_core(1) is None
    assert own_core(2) == 1


def test_a_process_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError, match="No such file"):
        usage_of(2**30)
