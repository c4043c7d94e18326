"""The queue to one socket: bounded, with a grace that runs from the moment the bound was crossed."""

import pytest

from gameserver.clock import ManualClock
from gameserver.edge.outbox import Outbox
from gameserver.wire.ops import OUTBOX_GRACE_S, OUTBOX_MAX_BYTES, OUTBOX_MAX_FRAMES


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def wakes() -> list[int]:
    return []


@pytest.fixture
def outbox(clock: ManualClock, wakes: list[int]) -> Outbox:
    return Outbox(clock, lambda: wakes.append(len(wakes)))


def test_frames_come_out_in_order(outbox: Outbox, wakes: list[int]) -> None:
    for frame in (b"1", b"22", b"333"):
        outbox.push(frame)
    assert (len(outbox), outbox.queued_bytes, len(wakes)) == (3, 6, 3)
    assert [outbox.pop() for _ in range(4)] == [b"1", b"22", b"333", None]
    assert outbox.queued_bytes == 0


@pytest.mark.parametrize(("size_bytes", "at_the_bound"), [(1, OUTBOX_MAX_FRAMES), (1_024, OUTBOX_MAX_BYTES // 1_024)])
def test_grace_runs_while_a_bound_is_passed(
    outbox: Outbox, clock: ManualClock, size_bytes: int, at_the_bound: int
) -> None:
    for _ in range(at_the_bound):
        outbox.push(bytes(size_bytes))
    assert outbox.grace_until_ms == 0
    outbox.push(bytes(size_bytes))
    crossed_ms = clock.now_ms()
    clock.advance(500)
    outbox.push(bytes(size_bytes))
    assert outbox.grace_until_ms == crossed_ms + OUTBOX_GRACE_S * 1_000
    outbox.pop()
    assert outbox.grace_until_ms != 0
    outbox.pop()
    assert outbox.grace_until_ms == 0
    outbox.push(bytes(size_bytes))
    assert outbox.grace_until_ms == clock.now_ms() + OUTBOX_GRACE_S * 1_000


@pytest.mark.parametrize(("size_bytes", "count"), [(1, 2 * OUTBOX_MAX_FRAMES), (1_024, 2 * OUTBOX_MAX_BYTES // 1_024)])
def test_at_twice_the_bound_there_is_no_grace(outbox: Outbox, size_bytes: int, count: int) -> None:
    for _ in range(count):
        outbox.push(bytes(size_bytes))
    assert not outbox.full
    outbox.push(bytes(size_bytes))
    assert outbox.full


def test_after_the_end_nothing_follows(outbox: Outbox) -> None:
    outbox.push(b"before")
    outbox.end(4_000, "why", b"goodbye")
    outbox.push(b"after")
    assert [outbox.pop(), outbox.pop(), outbox.pop()] == [b"before", b"goodbye", None]
    assert outbox.closing == (4_000, "why")


def test_the_end_may_be_silent_and_wakes(outbox: Outbox, wakes: list[int]) -> None:
    outbox.end(1_003, "why", None)
    assert outbox.pop() is None
    assert len(wakes) == 1


def test_what_is_discarded_is_forgotten(outbox: Outbox) -> None:
    for _ in range(OUTBOX_MAX_FRAMES + 1):
        outbox.push(b"x")
    outbox.discard()
    assert (len(outbox), outbox.queued_bytes, outbox.grace_until_ms) == (0, 0, 0)


def test_a_ping_wakes_the_writer(outbox: Outbox, wakes: list[int]) -> None:
    outbox.ping()
    assert outbox.ping_due
    assert len(wakes) == 1
