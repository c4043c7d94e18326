"""The sliding-window counter: how much it lets through, and what it tells who has to wait."""

from types import ModuleType
from typing import Any

import pytest


def admitted(window: Any, now_ms: int, asked: int) -> int:
    return sum(window.acquire(now_ms) == 0 for _ in range(asked))


def test_a_burst_is_admitted_up_to_the_limit(rate_limit: ModuleType) -> None:
    window = rate_limit.SlidingWindow(5, 1_000)
    assert [window.acquire(10_000) for _ in range(7)] == [0, 0, 0, 0, 0, 1_000, 1_000]


def test_the_window_before_counts_by_what_is_left_of_it(rate_limit: ModuleType) -> None:
    window = rate_limit.SlidingWindow(10, 1_000)
    assert admitted(window, 10_999, 20) == 10
    # At a quarter of the next window three quarters of the ten still count, rounded down.
    assert admitted(window, 11_250, 20) == 3
    assert admitted(window, 11_500, 20) == 3
    # Two windows on, only what was admitted in the last one counts.
    assert admitted(window, 12_000, 20) == 5


def test_two_windows_of_silence_forget_everything(rate_limit: ModuleType) -> None:
    window = rate_limit.SlidingWindow(3, 1_000)
    assert admitted(window, 0, 9) == 3
    assert admitted(window, 2_000, 9) == 3


@pytest.mark.parametrize(
    ("limit", "at_ms", "wait_ms"), [(1, 0, 1_000), (1, 999, 1), (2, 0, 1_000), (2, 999, 1), (10, 300, 700)]
)
def test_the_wait_is_exact(rate_limit: ModuleType, limit: int, at_ms: int, wait_ms: int) -> None:
    def full() -> Any:
        window = rate_limit.SlidingWindow(limit, 1_000)
        assert admitted(window, at_ms, limit) == limit
        return window

    assert full().acquire(at_ms) == wait_ms
    assert full().acquire(at_ms + wait_ms - 1) == 1
    assert full().acquire(at_ms + wait_ms) == 0


def test_a_wait_may_end_inside_the_present_window(rate_limit: ModuleType) -> None:
    window = rate_limit.SlidingWindow(4, 1_000)
    assert admitted(window, 500, 4) == 4
    assert window.acquire(1_100) == 0
    assert window.acquire(1_100) == 150
    assert window.acquire(1_249) == 1
    assert window.acquire(1_250) == 0


def test_refused_events_do_not_count(rate_limit: ModuleType) -> None:
    window = rate_limit.SlidingWindow(2, 1_000)
    assert admitted(window, 0, 100) == 2
    assert [window.acquire(999), window.acquire(1_000)] == [1, 0]


def test_a_look_counts_nothing(rate_limit: ModuleType) -> None:
    window = rate_limit.SlidingWindow(1, 1_000)
    assert [window.wait_ms(0) for _ in range(3)] == [0, 0, 0]
    assert window.acquire(0) == 0
    assert [window.wait_ms(400) for _ in range(3)] == [600, 600, 600]


def test_it_is_idle_until_something_counts_and_when_nothing_does_any_more(rate_limit: ModuleType) -> None:
    window = rate_limit.SlidingWindow(2, 1_000)
    assert window.idle(0)
    window.acquire(500)
    assert not window.idle(500)
    assert not window.idle(1_999)
    assert window.idle(2_000)


@pytest.mark.parametrize("back_to_ms", [9_500, 9_000, 0])
def test_a_clock_that_goes_back_locks_nobody_out(rate_limit: ModuleType, back_to_ms: int) -> None:
    window = rate_limit.SlidingWindow(3, 1_000)
    assert admitted(window, 10_000, 3) == 3
    wait_ms = window.acquire(back_to_ms)
    assert 0 < wait_ms <= 1_000
    assert window.acquire(back_to_ms + wait_ms) == 0
    assert admitted(window, back_to_ms + 10_000, 9) == 3


def test_the_largest_limits_do_not_overflow(rate_limit: ModuleType) -> None:
    window = rate_limit.SlidingWindow(rate_limit.MAX_LIMIT, rate_limit.MAX_WINDOW_MS)
    assert window.acquire(2**62 - 1) == 0
    single = rate_limit.SlidingWindow(1, rate_limit.MAX_WINDOW_MS)
    assert single.acquire(0) == 0
    assert single.acquire(0) == rate_limit.MAX_WINDOW_MS
    for _ in range(rate_limit.MAX_LIMIT):
        window.acquire(0)
    assert window.acquire(0) == rate_limit.MAX_WINDOW_MS
    assert window.acquire(rate_limit.MAX_WINDOW_MS) == 0
    assert window.acquire(rate_limit.MAX_WINDOW_MS) == 86  # a day over a million, less what rounding down gives


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5, None, 2**70])
def test_an_argument_out_of_range_is_named(rate_limit: ModuleType, wrong: object) -> None:
    with pytest.raises(ValueError, match="limit must be an integer from 1 to 1000000"):
        rate_limit.SlidingWindow(wrong, 1_000)
    with pytest.raises(ValueError, match="window_ms must be an integer from 1 to 86400000"):
        rate_limit.SlidingWindow(5, wrong)
