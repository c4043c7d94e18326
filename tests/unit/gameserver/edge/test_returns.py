"""When whoever is sent away is to come back."""

from dataclasses import dataclass
from itertools import pairwise

import pytest

from gameserver.clock import ManualClock
from gameserver.edge.returns import EARLIEST_MS, FURTHEST_MS, Returns
from gameserver.wire.ops import CloseCode


@dataclass
class FixedLoads:
    """As the test has it."""

    waiting: int = 0
    per_s: float = 1_000.0


class Node:
    """A timetable, and what it goes by."""

    def __init__(self, budget_per_s: int = 2_000) -> None:
        self.clock = ManualClock()
        self.loads = FixedLoads()
        self.returns = Returns(self.clock, self.loads, budget_per_s)

    def send_away(self, count: int, code: CloseCode = CloseCode.OVERLOADED) -> list[int]:
        """How long each is to stay away, beside the shortest time there is for this code."""
        return [self.returns.after_ms(code) - EARLIEST_MS[code] for _ in range(count)]


def test_one_alone_comes_as_early_as_his_code_allows() -> None:
    for code, earliest_ms in EARLIEST_MS.items():
        assert Node().returns.after_ms(code) == earliest_ms


@pytest.mark.parametrize("code", [code for code in CloseCode if code not in EARLIEST_MS])
def test_who_goes_elsewhere_or_nowhere_takes_nobodys_moment(code: CloseCode) -> None:
    node = Node()
    assert [node.returns.after_ms(code) for _ in range(1_000)] == [0] * 1_000
    assert node.send_away(1) == [0]
    assert code == CloseCode.MOVED or not 4_000 <= code < 4_500


def test_a_crowd_comes_back_one_after_the_other_at_the_pace_of_the_loads() -> None:
    node = Node()
    waits_ms = node.send_away(5_000, CloseCode.DRAIN)
    assert waits_ms == list(range(5_000))
    node.loads.per_s = 100.0
    assert node.send_away(3) == [5_000, 5_010, 5_020]


def test_but_not_faster_than_the_budget() -> None:
    node = Node(budget_per_s=50)
    assert node.send_away(4) == [0, 20, 40, 60]


def test_who_waits_to_be_loaded_goes_first() -> None:
    node = Node()
    node.loads.waiting = 3_000
    assert node.send_away(3) == [3_000, 3_001, 3_002]
    node.clock.advance(2_000)
    node.loads.waiting = 1_500
    assert node.send_away(2) == [1_500, 1_501]


def test_moments_that_nobody_was_given_are_gone() -> None:
    node = Node()
    node.send_away(100)
    node.clock.advance(60)
    assert node.send_away(1) == [40]
    node.clock.advance(10_000)
    assert node.send_away(2) == [0, 1]


def test_nobody_is_sent_away_for_too_long_and_further_rounds_are_spread_too() -> None:
    node = Node()
    node.loads.waiting, node.loads.per_s = 100_000, 100.0
    waits_ms = node.send_away(10_000)
    assert min(waits_ms) == FURTHEST_MS // 2
    assert max(waits_ms) == FURTHEST_MS
    rounds = sum(later < earlier for earlier, later in pairwise(waits_ms))
    assert rounds == 10_000 // (FURTHEST_MS // 2 // 10 + 1)
    per_second = [sum(second <= wait_ms // 1_000 < second + 1 for wait_ms in waits_ms) for second in range(15, 30)]
    assert max(per_second) - min(per_second) <= 100


def test_statistics_show_how_far_the_timetable_is_given_away() -> None:
    node = Node()
    assert node.returns.statistics().ahead_ms == 0
    node.send_away(500)
    node.clock.advance(100)
    statistics = node.returns.statistics()
    assert (statistics.told_total, statistics.per_s, statistics.ahead_ms) == (500, 1_000, 400)


def test_those_who_have_to_stay_away_for_long_are_spread_out_beyond_it() -> None:
    node = Node(budget_per_s=100)
    told_ms = [node.returns.after_ms(CloseCode.RATE_LIMITED, 5_000) for _ in range(3)]
    assert told_ms == [5_000, 5_010, 5_020]
    assert node.returns.after_ms(CloseCode.RATE_LIMITED, 1) == EARLIEST_MS[CloseCode.RATE_LIMITED] + 30
