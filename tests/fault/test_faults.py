"""The schedule of faults."""

from collections import Counter

from tests.fault.faults import ALWAYS, LASTING, MIXTURE, Kind, schedule
from tests.fault.scenarios import SCENARIOS


def test_a_seed_is_a_schedule() -> None:
    assert schedule(7, 60, 2) == schedule(7, 60, 2)
    assert schedule(7, 60, 2) != schedule(8, 60, 2)


def test_faults_come_in_order_and_within_the_run() -> None:
    faults = schedule(7, 60, 2)
    assert [fault.at_s for fault in faults] == sorted(fault.at_s for fault in faults)
    assert faults[0].at_s > 0
    assert faults[-1].at_s < 60


def test_a_kinds_faults_do_not_depend_on_the_others() -> None:
    alone = schedule(7, 60, 2, {Kind.KILL_POSTGRES: MIXTURE[Kind.KILL_POSTGRES]})
    assert alone == [fault for fault in schedule(7, 60, 2) if fault.kind is Kind.KILL_POSTGRES]


def test_every_kind_comes_about_as_often_as_it_should() -> None:
    counts = Counter(fault.kind for fault in schedule(7, 6_000, 2))
    assert set(counts) == set(Kind)
    for kind, mean_s in MIXTURE.items():
        assert 0.5 < counts[kind] * mean_s / 6_000 < 1.5, kind


def test_all_that_takes_no_time_is_in_the_short_run() -> None:
    assert set(Kind) - set(SCENARIOS["short"]) == LASTING


def test_what_always_holds_is_one_fault_of_the_whole_run() -> None:
    [fault] = schedule(7, 60, 2, {Kind.FIGHT: ALWAYS}, first_s=0.5)
    assert (fault.at_s, fault.lasts_s) == (0.5, 59.5)
