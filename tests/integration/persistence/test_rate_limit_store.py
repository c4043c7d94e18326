"""Who was held back, against a real PostgreSQL."""

from uuid import UUID, uuid4

import pytest

from gameserver.clock import ManualClock
from gameserver.rate_limits.refusal_log import RefusalLog
from gameserver.rate_limits.table import TABLE, Scope
from persistence.account_store import AccountStore, LoginProof
from persistence.postgres import Database
from persistence.rate_limit_store import RateLimitStore, RefusalRow
from persistence.registration import Newcomer
from persistence.session_store import NewSession
from tests.fakes.database_probe import rows
from tests.fakes.flushable_player import AT_MS

FOUND = """
    SELECT ms_from_time(at), player_id, text(address), action, refused, window_s FROM rate_limit_logs
    ORDER BY at, action
"""


def session() -> NewSession:
    new = uuid4()
    return NewSession(new, new.bytes * 2, AT_MS + 1_000, "a client/1", AT_MS, "")


@pytest.fixture
async def ada(database: Database) -> UUID:
    """Registered by Telegram, as player 1 with Telegram's id 42."""
    proof = LoginProof("init_data", bytes(32), not_before_ms=1)
    row = await AccountStore(database).login_by_telegram(
        Newcomer("Ada", telegram_id=42, premium=None, invited_by=""), session(), proof
    )
    assert row.player_id == 1
    return row.public_id


async def test_rows_are_written_and_summed_up(database: Database, ada: UUID) -> None:
    store = RateLimitStore(database)
    ids = await store.note(
        [
            RefusalRow(AT_MS, None, "192.0.2.7/32", "address:login", 1, 60),
            RefusalRow(AT_MS, uuid4(), None, "player:hard", 1, 10),
            RefusalRow(AT_MS + 1, ada, None, "player:hard", 2, 10),
            RefusalRow(AT_MS + 2, 42, None, "player:login", 3, 60),
            RefusalRow(AT_MS + 3, 43, None, "player:login", 3, 60),
            RefusalRow(AT_MS + 4, None, "2001:db8::/64", "address:hello", 4, 60),
        ]
    )
    assert sorted(set(ids)) == sorted(ids)
    assert await rows(database, FOUND) == [
        (AT_MS, None, "192.0.2.7/32", "address:login", 1, 60),
        (AT_MS + 1, 1, None, "player:hard", 2, 10),
        (AT_MS + 2, 1, None, "player:login", 3, 60),
        (AT_MS + 4, None, "2001:db8::/64", "address:hello", 4, 60),
    ]
    await store.sum_up([(ids[2], AT_MS + 1, 200), (ids[4], AT_MS + 3, 300), (ids[5], AT_MS + 4, 400)])
    assert [row[4] for row in await rows(database, FOUND)] == [1, 200, 3, 400]
    await rows(database, "SELECT erase_account($1, now(), 'test')", ada)
    assert [row[1] for row in await rows(database, FOUND)] == [None, None]
    await store.sum_up([(ids[2], AT_MS + 1, 500)])  # whoever has been erased stays so
    assert len(await rows(database, FOUND)) == 2


async def test_the_log_of_a_node_ends_up_there(database: Database, ada: UUID) -> None:
    clock = ManualClock()
    log = RefusalLog(RateLimitStore(database), clock)
    for limit in TABLE:
        for _ in range(3):
            log.note(limit, "203.0.113.7" if limit.scope is Scope.ADDRESS else str(ada))
    await log.write()
    found = await rows(database, FOUND)
    assert [(row[1], row[3], row[4], row[5]) for row in found] == sorted(
        ((None if limit.scope is Scope.ADDRESS else 1, limit.name, 3, limit.window_s) for limit in TABLE),
        key=lambda row: row[1],
    )
    for limit in TABLE:
        log.note(limit, "203.0.113.7" if limit.scope is Scope.ADDRESS else str(ada))
    clock.advance(601_000)
    await log.write()
    assert {row[4] for row in await rows(database, FOUND)} == {4}
    assert log.statistics().dropped_total == 0
