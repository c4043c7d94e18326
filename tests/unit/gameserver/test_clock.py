"""Time never runs backwards."""

import time

import pytest

from gameserver.clock import ManualClock, SystemClock


def test_the_system_clock_is_the_machines() -> None:
    before_ms = time.time_ns() // 1_000_000  # noqa: TID251 - the machine's own time is the subject
    now_ms = SystemClock().now_ms()
    after_ms = time.time_ns() // 1_000_000  # noqa: TID251 - the machine's own time is the subject
    assert before_ms <= now_ms <= after_ms


def test_a_step_backwards_stands_still_until_time_has_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    readings_ms = iter([1_000, 400, 999, 1_000, 1_001])
    monkeypatch.setattr(time, "time_ns", lambda: next(readings_ms) * 1_000_000)
    clock = SystemClock()
    assert [clock.now_ms() for _ in range(5)] == [1_000, 1_000, 1_000, 1_000, 1_001]


def test_the_manual_clock_stands_where_it_is_put() -> None:
    clock = ManualClock(5)
    clock.advance(10)
    assert (clock.now_ms(), clock.now_ms()) == (15, 15)
    clock.advance(-3)
    assert clock.now_ms() == 12
