"""Who waits for a load, for whom there is no room, and how fast it goes."""

import contextlib

import pytest
import trio
from trio.testing import MockClock

from gameserver.actors.load_queue import BATCH_KEYS, HALVINGS, MAX_PER_S, MIN_PER_S, QUEUE_S, LoadQueue
from gameserver.errors import Busy
from tests.fakes.trio_time_clock import TrioTimeClock

FULLEST = int(MAX_PER_S * QUEUE_S)


def queue_by(clock: MockClock) -> LoadQueue[int]:
    return LoadQueue(TrioTimeClock(clock))


def fill(queue: LoadQueue[int], count: int) -> int:
    """How many of so many find room."""
    before = queue.refused_total
    for number in range(count):
        with contextlib.suppress(Busy):
            queue.put(number)
    return count - (queue.refused_total - before)


async def load(queue: LoadQueue[int], for_s: float, *, failed: bool = False) -> int:
    batch = await queue.next_batch()
    await trio.sleep(for_s)
    queue.landed(failed=failed)
    return len(batch)


async def test_at_first_there_is_room_for_what_the_fastest_would_load_in_time(autojump_clock: MockClock) -> None:
    queue = queue_by(autojump_clock)
    assert queue.per_s == MAX_PER_S
    assert fill(queue, FULLEST + 10) == FULLEST
    assert (queue.waiting, queue.refused_total) == (FULLEST, 10)


async def test_a_slow_load_leaves_room_for_less_and_a_fast_one_for_more(
    autojump_clock: MockClock,
) -> None:
    queue = queue_by(autojump_clock)
    queue.put(1)
    assert await load(queue, 0.5) == 1
    assert queue.per_s == pytest.approx(BATCH_KEYS / 0.5, rel=0.02)
    assert fill(queue, FULLEST) == pytest.approx(BATCH_KEYS / 0.5 * QUEUE_S, rel=0.02)
    assert await load(queue, 0.01) == BATCH_KEYS
    assert queue.per_s == MAX_PER_S


async def test_a_load_that_does_not_come_back_slows_the_pace_down_while_it_lasts(autojump_clock: MockClock) -> None:
    queue = queue_by(autojump_clock)
    queue.put(1)
    await queue.next_batch()
    paces: list[float] = []
    for _ in range(5):
        await trio.sleep(2)
        paces.append(round(queue.per_s))
    assert paces == pytest.approx([500, 250, 167, 125, 100], rel=0.01)
    assert fill(queue, 3 * BATCH_KEYS) == BATCH_KEYS  # the next batch may wait, whatever the pace
    assert queue.waiting == 1 + BATCH_KEYS
    await trio.sleep(3_600)
    assert queue.per_s == MIN_PER_S


async def test_each_failure_in_a_row_halves_the_pace_and_a_success_ends_the_row(autojump_clock: MockClock) -> None:
    queue = queue_by(autojump_clock)
    paces: list[float] = []
    for _ in range(20):
        queue.put(1)
        await load(queue, 0, failed=True)
        paces.append(queue.per_s)
    assert paces[:4] == [MAX_PER_S / 2, MAX_PER_S / 4, MAX_PER_S / 8, MAX_PER_S / 16]
    assert paces[-1] == paces[HALVINGS - 1] == MAX_PER_S / 16
    queue.put(1)
    await load(queue, 5, failed=True)  # one that is slow to fail tells its pace by that
    assert queue.per_s == pytest.approx(BATCH_KEYS / 5, rel=0.01)
    queue.put(1)
    await load(queue, 0)
    assert queue.per_s == MAX_PER_S


async def test_who_is_being_loaded_waits_until_that_is_over(autojump_clock: MockClock) -> None:
    queue = queue_by(autojump_clock)
    fill(queue, 3)
    await queue.next_batch()
    fill(queue, 2)
    assert queue.waiting == 5
    queue.landed(failed=False)
    assert queue.waiting == 2
