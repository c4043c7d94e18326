"""Where flushes go; PostgreSQL itself: `tests/integration/persistence/test_write_behind.py`."""

from uuid import uuid4

import trio

from persistence.flush_sink import NullSink
from persistence.write_behind import WriteBehind
from tests.fakes.flushable_player import FlushablePlayer


async def test_the_null_sink_says_that_everything_is_written() -> None:
    lags_s: list[float] = []
    holds_s: list[float] = []
    write_behind = WriteBehind(
        NullSink(),
        node_run=uuid4(),
        lanes=2,
        flush_ms=1,
        observe_flush_lag_s=lags_s.append,
        observe_hold_s=holds_s.append,
    )
    players = [FlushablePlayer(number) for number in range(1_200)]
    async with trio.open_nursery() as nursery:
        await nursery.start(write_behind.run)
        for player in players:
            player.tap()
            write_behind.mark_dirty(player)
        assert await write_behind.drain(trio.current_time() + 10)
        nursery.cancel_scope.cancel()
    assert {tuple(player.told) for player in players} == {("committed",)}
    assert write_behind.statistics().rows == 1_200
    assert len(lags_s) == write_behind.statistics().batches == 4
    assert len(holds_s) == 2 * 4
    assert min(holds_s) > 0
