"""The wheel hands every item out once, never early within its span, at most a tick late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gameserver.timing_wheel import TimingWheel


@pytest.mark.parametrize("due_ms", [0, 1, 99, 100, 101, 250, 5_000, 9_800])
def test_an_item_comes_out_once_and_at_most_one_tick_late(due_ms: int) -> None:
    wheel: TimingWheel[str] = TimingWheel(0, tick_ms=100, slots=100)
    wheel.schedule("x", due_ms)
    out = [now_ms for now_ms in range(0, 12_000, 50) for _ in wheel.advance(now_ms)]
    assert len(out) == 1
    assert due_ms <= out[0] <= due_ms + 100
    assert len(wheel) == 0


def test_a_past_deadline_comes_with_the_next_tick() -> None:
    wheel: TimingWheel[str] = TimingWheel(10_000, tick_ms=100, slots=8)
    wheel.schedule("late", 3)
    assert list(wheel.advance(10_099)) == []
    assert list(wheel.advance(10_100)) == ["late"]


def test_what_is_due_beyond_the_span_comes_early_at_its_end() -> None:
    wheel: TimingWheel[str] = TimingWheel(0, tick_ms=100, slots=8)
    wheel.schedule("far", 1_000_000)
    assert [now for now in range(0, 2_000, 100) for _ in wheel.advance(now)] == [700]


def test_items_of_one_tick_keep_their_order() -> None:
    wheel: TimingWheel[int] = TimingWheel(0, tick_ms=100, slots=8)
    for item in range(5):
        wheel.schedule(item, 150)
    assert list(wheel.advance(1_000)) == [0, 1, 2, 3, 4]


def test_a_clock_that_stands_or_goes_back_brings_nothing() -> None:
    wheel: TimingWheel[str] = TimingWheel(1_000, tick_ms=100, slots=8)
    wheel.schedule("x", 1_100)
    assert list(wheel.advance(1_000)) == []
    assert list(wheel.advance(0)) == []
    assert list(wheel.advance(1_200)) == ["x"]


def test_a_jump_over_the_whole_span_brings_everything_once() -> None:
    wheel: TimingWheel[int] = TimingWheel(0, tick_ms=100, slots=8)
    for due_ms in (50, 150, 350, 650):
        wheel.schedule(due_ms, due_ms)
    assert sorted(wheel.advance(60 * 60 * 1_000)) == [50, 150, 350, 650]
    assert len(wheel) == 0


def test_what_is_armed_again_while_the_clock_jumps_is_neither_late_nor_early() -> None:
    wheel: TimingWheel[str] = TimingWheel(0, tick_ms=100, slots=64)
    for index in range(60):
        wheel.schedule("x", index * 100)
    jump_ms = 3_600_000
    handed_out = 0
    for item in wheel.advance(jump_ms):
        handed_out += 1
        wheel.schedule(item, jump_ms + 2_500)
    assert handed_out == 60
    out = [now_ms for now_ms in range(jump_ms, jump_ms + 10_000, 100) for _ in wheel.advance(now_ms)]
    assert out == [jump_ms + 2_600] * 60


@given(
    st.lists(st.integers(0, 30_000), max_size=40),
    st.lists(st.integers(0, 4_000), min_size=1, max_size=40),
)
def test_nothing_is_lost_whatever_the_clock_does(dues_ms: list[int], steps_ms: list[int]) -> None:
    wheel: TimingWheel[int] = TimingWheel(0, tick_ms=100, slots=32)
    waiting = len(dues_ms)
    for due_ms in dues_ms:
        wheel.schedule(due_ms, due_ms)
    now_ms = 0
    for step_ms in steps_ms:
        now_ms += step_ms
        for due_ms in wheel.advance(now_ms):
            if due_ms > now_ms:
                wheel.schedule(due_ms, due_ms)
            else:
                waiting -= 1
    assert len(wheel) == waiting
    assert waiting == 0 or now_ms < max(dues_ms) + 200
