"""The hour's emission: set before the node serves, renewed each hour, kept while the database is away."""

from collections.abc import Callable

import trio
from trio.testing import MockClock

from gameserver.actors.schedule import HOUR_MS, keep_emission
from hotpath.player_state import World
from persistence.errors import DatabaseUnavailable
from tests.fakes.trio_time_clock import TrioTimeClock


class Hours:
    """The table of hours: who asks first fixes one."""

    def __init__(self) -> None:
        self.minted_mpt = 0
        self.away = False
        self.asked: list[int] = []

    async def fix(self, hour: int, rule: Callable[[int], int]) -> int:
        self.asked.append(hour)
        if self.away:
            raise DatabaseUnavailable("away")
        return rule(self.minted_mpt)


async def test_emission_follows_what_was_minted_each_hour(autojump_clock: MockClock) -> None:
    world, hours = World(), Hours()
    hours.minted_mpt = 250_000_000 * 1_000
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: keep_emission(
                world, hours.fix, scale_pt=10**9, clock=TrioTimeClock(autojump_clock), task_status=task_status
            )
        )
        assert world.emission_bp == 8_000
        hours.minted_mpt = 10**9 * 1_000
        await trio.sleep(HOUR_MS / 1_000 - 10)
        assert world.emission_bp == 8_000
        await trio.sleep(20)
        assert world.emission_bp == 5_000
        assert [hour - hours.asked[0] for hour in hours.asked] == [0, 1]
        nursery.cancel_scope.cancel()


async def test_while_the_database_is_away_the_previous_hour_applies(autojump_clock: MockClock) -> None:
    world, hours = World(), Hours()
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: keep_emission(
                world, hours.fix, scale_pt=10**9, clock=TrioTimeClock(autojump_clock), task_status=task_status
            )
        )
        hours.away, hours.minted_mpt = True, 10**9 * 1_000
        await trio.sleep(HOUR_MS / 1_000 + 60)
        assert world.emission_bp == 10_000
        hours.away = False
        await trio.sleep(10)
        assert world.emission_bp == 5_000
        nursery.cancel_scope.cancel()


async def test_a_node_does_not_start_before_the_hour_is_known(autojump_clock: MockClock) -> None:
    world, hours = World(), Hours()
    hours.away = True
    with trio.move_on_after(60) as waiting:
        async with trio.open_nursery() as nursery:
            await nursery.start(
                lambda task_status: keep_emission(
                    world, hours.fix, scale_pt=10**9, clock=TrioTimeClock(autojump_clock), task_status=task_status
                )
            )
    assert waiting.cancelled_caught
    assert len(hours.asked) > 5
