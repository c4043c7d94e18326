"""The dirty set: order, urgency, identity."""

import math

import trio
from trio.testing import MockClock

from persistence.dirty_set import LOOK_EVERY, DirtySet, Flushable
from tests.fakes.flushable_player import FlushablePlayer


def filled(count: int) -> tuple[DirtySet, list[FlushablePlayer]]:
    dirty = DirtySet()
    players = [FlushablePlayer(number) for number in range(count)]
    for number, player in enumerate(players):
        dirty.since_s[player] = float(number)
    return dirty, players


def test_the_longest_waiting_come_first() -> None:
    dirty, players = filled(5)
    assert dirty.take(2) == ([players[0], players[1]], 0.0)
    assert (len(dirty), dirty.oldest_s) == (3, 2.0)
    dirty.since_s[players[0]] = 9.0
    assert dirty.take(10) == ([players[2], players[3], players[4], players[0]], 2.0)
    assert dirty.oldest_s == math.inf
    assert dirty.take(10) == ([], math.inf)


async def test_the_clock_is_looked_at_now_and_then_and_nobody_seems_to_wait_shorter_than_he_does(
    autojump_clock: MockClock,  # noqa: ARG001 - no real time
) -> None:
    dirty = DirtySet()
    players = [FlushablePlayer(number) for number in range(LOOK_EVERY + 2)]
    added_s: dict[Flushable, float] = {}
    for number, player in enumerate(players, start=1):
        added_s[player] = trio.current_time()
        assert dirty.add(player) == number
        assert dirty.add(player) == 0
        await trio.sleep(1)
    assert list(dirty.since_s) == players
    assert set(dirty.since_s.values()) == {added_s[players[0]], added_s[players[LOOK_EVERY]]}
    assert all(since_s <= added_s[player] for player, since_s in dirty.since_s.items())
    dirty.take(LOOK_EVERY + 2)
    dirty.add(players[0])
    assert dirty.oldest_s == trio.current_time()


async def test_urgent_ones_come_before_them_and_are_urgent_once() -> None:
    dirty, players = filled(5)
    dirty.hurry(players[3])
    dirty.hurry(players[4])
    assert dirty.take(3) == ([players[3], players[4], players[0]], 0.0)
    assert dirty.hurried_s == math.inf
    assert dirty.take(3) == ([players[1], players[2]], 1.0)


async def test_more_urgent_ones_than_fit_stay_urgent() -> None:
    dirty, players = filled(3)
    for player in players[::-1]:
        dirty.hurry(player)
    assert dirty.take(2) == ([players[2], players[1]], 1.0)
    assert dirty.hurried_s < math.inf
    assert dirty.take(2) == ([players[0]], 0.0)
    assert dirty.hurried_s == math.inf


async def test_who_is_not_waited_for_may_be_left_for_later() -> None:
    dirty, players = filled(3)
    dirty.hurry(players[1])
    assert dirty.take(3, only_urgent=True) == ([players[1]], 1.0)
    assert dirty.take(3, only_urgent=True) == ([], math.inf)
    assert dirty.take(3) == ([players[0], players[2]], 0.0)


def test_two_actors_of_one_player_are_two() -> None:
    dirty = DirtySet()
    old, new = FlushablePlayer(7, owner_epoch=1), FlushablePlayer(7, owner_epoch=2)
    dirty.since_s[old] = 1.0
    assert old in dirty
    assert new not in dirty
