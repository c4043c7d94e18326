"""The sample of refusals: one row for each subject, limit and window, and never more than fits."""

from uuid import UUID

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gameserver.clock import ManualClock
from gameserver.rate_limits import refusal_log
from gameserver.rate_limits.refusal_log import RefusalLog, RefusalLogStatistics
from gameserver.rate_limits.table import Limit, LimitClass, Scope
from persistence.errors import DatabaseUnavailable
from persistence.rate_limit_store import RefusalRow
from tests.fakes.memory_refusals import MemoryRefusals

ADA = UUID(int=1)
PLAYERS = Limit(Scope.PLAYER, LimitClass.HARD, 3, 10, "")
ADDRESSES = Limit(Scope.ADDRESS, LimitClass.LOGIN, 3, 60, "")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_767_225_600_000)  # where windows begin


@pytest.fixture
def store() -> MemoryRefusals:
    return MemoryRefusals()


@pytest.fixture
def log(store: MemoryRefusals, clock: ManualClock) -> RefusalLog:
    return RefusalLog(store, clock)


async def test_the_first_is_written_soon_and_the_sum_when_the_window_is_over(
    log: RefusalLog, store: MemoryRefusals, clock: ManualClock
) -> None:
    clock.advance(1_000)
    log.note(PLAYERS, str(ADA))
    log.note(PLAYERS, str(ADA))
    await log.write()
    assert store.rows == [RefusalRow(clock.now_ms(), ADA, None, "player:hard", 2, 10)]
    for _ in range(40):
        log.note(PLAYERS, str(ADA))
        await log.write()
    assert [row.refused for row in store.rows] == [2], "nothing is written for every refusal"
    clock.advance(9_000)
    await log.write()
    assert [row.refused for row in store.rows] == [42]
    assert store.calls == [1, 1]
    assert log.statistics() == RefusalLogStatistics(rows=0, rows_total=1, dropped_total=0)


async def test_a_row_for_each_subject_limit_and_window(
    log: RefusalLog, store: MemoryRefusals, clock: ManualClock
) -> None:
    for _ in range(2):
        log.note(PLAYERS, str(ADA))
        log.note(PLAYERS, "42")
        log.note(ADDRESSES, "192.0.2.7")
        log.note(ADDRESSES, "2001:db8::/64")
        log.note(Limit(Scope.SESSION, LimitClass.HARD, 3, 10, ""), str(ADA))
    clock.advance(10_000)
    log.note(PLAYERS, str(ADA))
    await log.write()
    assert [(row.player, row.address, row.action, row.refused) for row in store.rows] == [
        (ADA, None, "player:hard", 2),
        (42, None, "player:hard", 2),
        (None, "192.0.2.7", "address:login", 2),
        (None, "2001:db8::/64", "address:login", 2),
        (ADA, None, "session:hard", 2),
        (ADA, None, "player:hard", 1),
    ]


async def test_while_the_database_is_away_rows_wait_until_their_window_is_over(
    log: RefusalLog, store: MemoryRefusals, clock: ManualClock
) -> None:
    store.failure = DatabaseUnavailable("away")
    log.note(PLAYERS, str(ADA))
    log.note(PLAYERS, str(ADA))
    log.note(ADDRESSES, "192.0.2.7")
    await log.write()
    assert log.statistics() == RefusalLogStatistics(rows=2, rows_total=0, dropped_total=0)
    clock.advance(10_000)
    await log.write()
    assert log.statistics() == RefusalLogStatistics(rows=1, rows_total=0, dropped_total=2)
    store.failure = None
    await log.write()
    assert [row.action for row in store.rows] == ["address:login"]


async def test_a_sum_that_cannot_be_written_leaves_the_first(
    log: RefusalLog, store: MemoryRefusals, clock: ManualClock
) -> None:
    log.note(PLAYERS, str(ADA))
    await log.write()
    log.note(PLAYERS, str(ADA))
    clock.advance(10_000)
    store.failure = DatabaseUnavailable("away")
    await log.write()
    assert [row.refused for row in store.rows] == [1]
    assert log.statistics() == RefusalLogStatistics(rows=0, rows_total=1, dropped_total=1)


async def test_memory_and_transactions_are_bounded(
    log: RefusalLog, store: MemoryRefusals, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusal_log, "MAX_ROWS", 25)
    monkeypatch.setattr(refusal_log, "BATCH_ROWS", 10)
    for number in range(100):
        log.note(ADDRESSES, f"192.0.2.{number}")
        log.note(ADDRESSES, f"192.0.2.{number}")
    assert log.statistics() == RefusalLogStatistics(rows=25, rows_total=0, dropped_total=150)
    await log.write()
    log.note(ADDRESSES, "192.0.2.1")
    clock.advance(60_000)
    await log.write()
    assert store.calls == [10, 10, 5, 1]
    log.note(ADDRESSES, "192.0.2.200")
    assert log.statistics().rows == 1


async def test_it_writes_by_itself(
    log: RefusalLog, store: MemoryRefusals, nursery: trio.Nursery, autojump_clock: object
) -> None:
    del autojump_clock
    log.note(PLAYERS, str(ADA))
    nursery.start_soon(log.run)
    await trio.sleep(refusal_log.WRITE_S + 1)
    assert len(store.rows) == 1


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("note"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(0, 15_000)),
        st.tuples(st.just("write"), st.booleans()),
    ),
    max_size=60,
)


@given(moves=MOVES)
async def test_every_refusal_is_in_one_row_or_was_dropped(moves: list[tuple[str, int]]) -> None:
    clock, store = ManualClock(), MemoryRefusals()
    log, noted = RefusalLog(store, clock), 0
    for move, value in moves:
        if move == "note":
            log.note(PLAYERS, str(value))
            noted += 1
        elif move == "wait":
            clock.advance(value)
        else:
            store.failure = DatabaseUnavailable("away") if value else None
            await log.write()
    clock.advance(10_000)
    store.failure = None
    await log.write()
    assert sum(row.refused for row in store.rows) + log.statistics().dropped_total == noted
    assert log.statistics().rows == 0
    windows = [(row.player, row.at_ms // 10_000) for row in store.rows]
    assert len(windows) == len(set(windows))
