"""The queue to one socket: bounded, with a grace that runs from the moment the bound was crossed."""

import pytest

from gameserver.clock import ManualClock
from gameserver.wire.ops import OUTBOX_GRACE_S, OUTBOX_MAX_BYTES, OUTBOX_MAX_FRAMES
from hotpath import _outbox_py
from hotpath import outbox as compiled
from hotpath.outbox import Outbox


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def wakes() -> list[int]:
    return []


@pytest.fixture(params=[compiled, _outbox_py], ids=["compiled", "readable"])
def outbox(request: pytest.FixtureRequest, clock: ManualClock, wakes: list[int]) -> Outbox:
    outbox: Outbox = request.param.Outbox(lambda: wakes.append(len(wakes)))
    outbox.bound(clock, OUTBOX_MAX_FRAMES, OUTBOX_MAX_BYTES, OUTBOX_GRACE_S * 1_000)
    return outbox


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
    crossed_ms = clock.uptime_ms()
    clock.advance(500)
    outbox.push(bytes(size_bytes))
    assert outbox.grace_until_ms == crossed_ms + OUTBOX_GRACE_S * 1_000
    outbox.pop()
    assert outbox.grace_until_ms != 0
    outbox.pop()
    assert outbox.grace_until_ms == 0
    outbox.push(bytes(size_bytes))
    assert outbox.grace_until_ms == clock.uptime_ms() + OUTBOX_GRACE_S * 1_000


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


def test_without_bounds_everything_is_kept() -> None:
    for unbounded in (Outbox(), _outbox_py.Outbox()):
        for _ in range(3 * OUTBOX_MAX_FRAMES):
            unbounded.push(bytes(1_024))
        assert (unbounded.grace_until_ms, unbounded.full, len(unbounded)) == (0, False, 3 * OUTBOX_MAX_FRAMES)


def test_text_and_binary_frames_keep_their_kind(outbox: Outbox) -> None:
    outbox.push("text")
    outbox.push(b"bytes")
    assert [outbox.pop(), outbox.pop()] == ["text", b"bytes"]


def test_of_conflated_frames_the_latest_of_each_key_comes_after_the_others(outbox: Outbox, wakes: list[int]) -> None:
    for key, frame in (("a", b"a1"), ("b", b"b1"), ("a", b"a2")):
        outbox.conflate(key, frame)
    outbox.push(b"first")
    assert (len(outbox), outbox.queued_bytes, len(wakes)) == (3, 5, 4)
    assert [outbox.pop() for _ in range(4)] == [b"first", b"a2", b"b1", None]


def test_conflated_frames_count_in_no_bound_and_go_with_the_rest(outbox: Outbox) -> None:
    for key in range(3 * OUTBOX_MAX_FRAMES):
        outbox.conflate(key, bytes(1_024))
    assert (outbox.grace_until_ms, outbox.full) == (0, False)
    outbox.end(1_000, "", None)
    outbox.conflate("late", b"x")
    assert outbox.pop() is None


def test_what_is_discarded_includes_conflated_frames(outbox: Outbox) -> None:
    outbox.conflate("key", b"x")
    outbox.discard()
    assert (len(outbox), outbox.pop()) == (0, None)


def test_the_ring_grows_wherever_it_begins(outbox: Outbox) -> None:
    expected: list[bytes] = []
    for round_number in range(40):
        for at in range(round_number):
            expected.append(b"%d:%d" % (round_number, at))
            outbox.push(expected[-1])
        for _ in range(round_number // 2):
            assert outbox.pop() == expected.pop(0)
    while expected:
        assert outbox.pop() == expected.pop(0)
    assert outbox.pop() is None
