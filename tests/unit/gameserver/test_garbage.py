"""What lives long is out of the collector's sight, and garbage is found all the same."""

import gc
import weakref
from collections.abc import Iterator

import pytest
import trio

from gameserver.edge.lifecycle import State
from gameserver.garbage import BEAT_S, Garbage, GarbageStatistics
from tests.bench.gc_cost import Crowd

GROWTH_OBJECTS = 2_000


class Cycle:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.me = self


def cycles(count: int) -> list[Cycle]:
    return [Cycle() for _ in range(count)]


def left(watched: "list[weakref.ref[Cycle]]") -> int:
    return sum(cycle() is not None for cycle in watched)


@pytest.fixture(autouse=True)
def only_we_collect() -> Iterator[None]:
    """No collection but those that are asked for; nothing stays frozen, nothing stays registered."""
    callbacks = list(gc.callbacks)
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    assert gc.callbacks == callbacks
    assert gc.get_freeze_count() == 0


async def test_what_outlives_a_beat_is_not_looked_at_again(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    del autojump_clock
    garbage = Garbage(lambda *_: None)
    before = Cycle()
    await nursery.start(garbage.run)
    assert not any(thing is before for thing in gc.get_objects())
    kept = Cycle()
    assert any(thing is kept for thing in gc.get_objects())
    await trio.sleep(1.5 * BEAT_S)
    assert not any(thing is kept for thing in gc.get_objects())
    assert garbage.statistics().settled_objects > 1_000
    nursery.cancel_scope.cancel()


async def test_garbage_of_the_last_beat_is_found_at_the_next(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    del autojump_clock
    await nursery.start(Garbage(lambda *_: None).run)
    watched = [weakref.ref(cycle) for cycle in cycles(10)]
    assert left(watched) == 10
    await trio.sleep(1.5 * BEAT_S)
    assert left(watched) == 0
    nursery.cancel_scope.cancel()


async def test_garbage_that_was_settled_is_found_once_there_is_much_of_it(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    del autojump_clock
    garbage = Garbage(lambda *_: None, growth_objects=GROWTH_OBJECTS)
    await nursery.start(garbage.run)
    assert garbage.statistics().full_looks_total == 1
    watched: list[weakref.ref[Cycle]] = []
    most = 0
    for _ in range(20):
        young = cycles(GROWTH_OBJECTS // 4)
        watched += [weakref.ref(cycle) for cycle in young]
        await trio.sleep(BEAT_S)
        del young  # settled by now
        most = max(most, left(watched))
    looks = garbage.statistics().full_looks_total
    assert looks > 1
    assert GROWTH_OBJECTS // 4 < most <= 3 * GROWTH_OBJECTS
    assert left(watched) < len(watched) // 2
    nursery.cancel_scope.cancel()


async def test_what_comes_and_goes_without_cycles_is_no_reason_to_look(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    del autojump_clock
    garbage = Garbage(lambda *_: None, growth_objects=GROWTH_OBJECTS)
    await nursery.start(garbage.run)
    for _ in range(20):
        young = [[None] for _ in range(GROWTH_OBJECTS // 2)]
        await trio.sleep(BEAT_S)
        del young
    assert garbage.statistics().full_looks_total == 1
    nursery.cancel_scope.cancel()


async def test_after_the_players_have_gone_growth_is_counted_from_there(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    del autojump_clock
    garbage = Garbage(lambda *_: None, growth_objects=GROWTH_OBJECTS)
    players = [[None] for _ in range(10 * GROWTH_OBJECTS)]
    await nursery.start(garbage.run)
    many = garbage.statistics().settled_objects
    players.clear()
    churn = [[None] for _ in range(GROWTH_OBJECTS)]
    await trio.sleep(1.5 * BEAT_S)
    assert garbage.statistics().settled_objects < many - 5 * GROWTH_OBJECTS
    churn += [[None] for _ in range(2 * GROWTH_OBJECTS)]
    await trio.sleep(1.5 * BEAT_S)
    assert garbage.statistics().full_looks_total == 2
    nursery.cancel_scope.cancel()


async def test_each_pause_is_observed(nursery: trio.Nursery) -> None:
    seen: list[tuple[int, float]] = []
    await nursery.start(Garbage(lambda generation, pause_s: seen.append((generation, pause_s))).run)
    gc.collect(0)
    gc.collect(1)
    assert [generation for generation, _ in seen] == [2, 0, 1]
    assert all(0 < pause_s < 60 for _, pause_s in seen)
    nursery.cancel_scope.cancel()


def test_before_the_start_nothing_is_settled() -> None:
    assert Garbage(lambda *_: None).statistics() == GarbageStatistics(0, 0)


def test_sessions_and_their_players_go_without_the_collector() -> None:
    crowd = Crowd()

    def come_and_go() -> None:
        players = [crowd.connect() for _ in range(50)]
        assert all(session.state is State.LIVE for session, _ in players)
        for session, _ in players:
            session.gone()

    for _ in range(2):  # the first time, whatever is made once is made
        come_and_go()
        crowd.wait(60_000)
        gc.collect()
    before = len(gc.get_objects())
    come_and_go()
    assert len(gc.get_objects()) > before + 50, "the wheel still holds them"
    crowd.wait(60_000)
    assert len(gc.get_objects()) < before + 50
    assert gc.collect() == 0
