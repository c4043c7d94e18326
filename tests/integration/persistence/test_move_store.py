"""Moves to other Telegram accounts: each once, whoever comes at the same time, and whatever happens meanwhile."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID, uuid4

import pytest
import trio

from persistence.account_store import AccountStore, LoginProof
from persistence.caller import Caller
from persistence.errors import Duplicate, LoginEnded
from persistence.move_store import Confirmation, MoveStore
from persistence.postgres import Connection, Database
from persistence.recovery_store import RecoveryStore
from persistence.registration import Newcomer
from persistence.session_store import NewSession
from tests.fakes.database_probe import assert_reconciled, rows
from tests.fakes.flushable_player import AT_MS
from tests.fakes.schema_breaker import script

OLD, NEW = 1_001, 2_002
DAY_MS = 86_400_000
DUE_MS = AT_MS + DAY_MS
COMPLETE = "SELECT complete_moves(time_from_ms($1))"


async def log_in(database: Database, telegram_id: int) -> Caller:
    session = NewSession(uuid4(), uuid4().bytes * 2, AT_MS + 90 * DAY_MS, "test", AT_MS)
    newcomer = Newcomer(f"Player {telegram_id}", telegram_id=telegram_id)
    row = await AccountStore(database).login_by_telegram(newcomer, session, LoginProof("init_data"))
    return Caller(row.public_id, session.id)


async def confirmed(database: Database, caller: Caller, telegram_id: int) -> bytes:
    code, store = uuid4().bytes * 2, MoveStore(database)
    assert await store.offer(caller, code, AT_MS, AT_MS + 1_000)
    assert await store.confirm(code, telegram_id, AT_MS, DUE_MS) is Confirmation.DONE
    return code


async def owner(database: Database, telegram_id: int) -> UUID | None:
    found = await rows(database, "SELECT public_id FROM players WHERE telegram_id = $1", telegram_id)
    return found[0][0] if found else None


@pytest.fixture
async def other_node(database: Database, database_dsn: str) -> AsyncIterator[Database]:
    """The same database, as another process sees it."""
    del database
    async with Database.open(database_dsn) as other:
        yield other


async def test_nodes_that_come_at_once_complete_each_move_once(database: Database, other_node: Database) -> None:
    movers = [await log_in(database, OLD + number) for number in range(6)]
    for number, mover in enumerate(movers):
        await confirmed(database, mover, 5_000 + number)
    completed: list[int] = []

    async def node(of: Database) -> None:
        [(count,)] = await rows(of, COMPLETE, DUE_MS)
        completed.append(count)

    async with trio.open_nursery() as nursery:
        for of in (database, other_node) * 2:
            nursery.start_soon(node, of)
    assert sum(completed) == 6
    for number, mover in enumerate(movers):
        assert await owner(database, 5_000 + number) == mover.player
        assert await owner(database, OLD + number) is None
    audited = await rows(database, "SELECT player_id, count(*) FROM admin_audit_log GROUP BY 1")
    assert [count for _, count in audited] == [1] * 6
    assert await rows(database, "SELECT DISTINCT state::text, telegram_id FROM account_moves") == [("completed", None)]
    await assert_reconciled(database)


async def when_blocked(connection: Connection) -> None:
    """Returns once somebody waits for a lock; to be bounded by a deadline of the caller."""
    while not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
        pass


async def behind(
    database: Database, first: Callable[[Connection], Awaitable[object]], then: Callable[[], Awaitable[None]]
) -> None:
    """Run `then` so that it has to wait for `first`, whose transaction ends only when it does."""

    async def work(connection: Connection) -> None:
        await first(connection)
        holding.set()
        await when_blocked(connection)

    holding = trio.Event()

    async def hold() -> None:
        await database.transaction(work)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold)
            await holding.wait()
            await then()


async def test_what_is_being_cancelled_is_not_completed(database: Database, other_node: Database) -> None:
    ada = await log_in(database, OLD)
    await confirmed(database, ada, NEW)

    async def cancel(connection: Connection) -> None:
        await connection.execute("SELECT FROM players WHERE telegram_id = $1 FOR NO KEY UPDATE", OLD)
        await connection.execute(
            "UPDATE account_moves SET state = 'cancelled', telegram_id = NULL, closed_at = time_from_ms($1)", DUE_MS
        )

    async def complete() -> None:
        assert await rows(other_node, COMPLETE, DUE_MS) == [(0,)]

    await behind(database, cancel, complete)
    assert await owner(database, OLD) == ada.player
    assert await rows(database, "SELECT state::text FROM account_moves") == [("cancelled",)]


async def test_what_is_being_completed_is_not_cancelled(database: Database, other_node: Database) -> None:
    ada = await log_in(database, OLD)
    await confirmed(database, ada, NEW)

    async def complete(connection: Connection) -> None:
        assert await connection.fetchval(COMPLETE, DUE_MS) == 1

    async def cancel() -> None:
        with pytest.raises(LoginEnded):
            await MoveStore(other_node).cancel(ada, DUE_MS)

    await behind(database, complete, cancel)
    assert await owner(database, NEW) == ada.player
    assert await rows(database, "SELECT state::text FROM account_moves") == [("completed",)]


async def test_cancelled_and_completed_at_once_is_one_of_the_two(database: Database, other_node: Database) -> None:
    store = MoveStore(other_node)
    for number in range(8):
        mover = await log_in(database, OLD + number)
        await confirmed(database, mover, 5_000 + number)
        cancelled: list[bool] = []

        async def cancel(mover: Caller = mover, cancelled: list[bool] = cancelled) -> None:
            try:
                cancelled.append(await store.cancel(mover, DUE_MS))
            except LoginEnded:
                cancelled.append(False)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel)
            [(completed,)] = await rows(database, COMPLETE, DUE_MS)
        assert cancelled == [not completed]
        assert await owner(database, 5_000 + number if completed else OLD + number) == mover.player


async def test_two_players_cannot_both_be_about_to_move_to_one_telegram_account(
    database: Database, other_node: Database
) -> None:
    codes = []
    for number in range(2):
        codes.append(uuid4().bytes * 2)
        await MoveStore(database).offer(await log_in(database, OLD + number), codes[-1], AT_MS, AT_MS + 1_000)
    outcomes: list[Confirmation] = []

    async def confirm(of: Database, code: bytes) -> None:
        try:
            outcomes.append(await MoveStore(of).confirm(code, NEW, AT_MS, DUE_MS))
        except Duplicate:
            outcomes.append(Confirmation.EXPECTS_ANOTHER)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(confirm, database, codes[0])
        nursery.start_soon(confirm, other_node, codes[1])
    assert set(outcomes) == {Confirmation.DONE, Confirmation.EXPECTS_ANOTHER}


async def test_a_code_confirmed_twice_at_once_is_confirmed_once(database: Database, other_node: Database) -> None:
    code = uuid4().bytes * 2
    await MoveStore(database).offer(await log_in(database, OLD), code, AT_MS, AT_MS + 1_000)
    outcomes: list[Confirmation] = []

    async def confirm(of: Database, telegram_id: int) -> None:
        outcomes.append(await MoveStore(of).confirm(code, telegram_id, AT_MS, DUE_MS))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(confirm, database, NEW)
        nursery.start_soon(confirm, other_node, NEW + 1)
    assert set(outcomes) == {Confirmation.DONE, Confirmation.UNKNOWN}


async def test_a_move_to_who_has_played_meanwhile_fails_alone(database: Database) -> None:
    ada, bob = await log_in(database, OLD), await log_in(database, OLD + 1)
    await confirmed(database, ada, NEW)
    await confirmed(database, bob, NEW + 1)
    await log_in(database, NEW)
    await rows(database, "UPDATE players SET xp = 1 WHERE telegram_id = $1", NEW)
    assert await rows(database, COMPLETE, DUE_MS) == [(1,)]
    assert (await owner(database, OLD), await owner(database, NEW + 1)) == (ada.player, bob.player)
    states = "SELECT m.state::text FROM account_moves AS m ORDER BY id"
    assert await rows(database, states) == [("failed",), ("completed",)]
    logged = "SELECT event::text FROM security_logs WHERE severity = 'warning' AND event <> 'move_confirmed' ORDER BY 1"
    assert set(await rows(database, logged)) == {("move_failed",), ("account_migrated",)}
    assert await rows(database, COMPLETE, DUE_MS) == [(0,)]
    assert await MoveStore(database).offer(ada, b"n" * 32, AT_MS, AT_MS + 1_000), "and may be tried again"


async def test_a_recovered_player_takes_no_move_along(database: Database) -> None:
    """A move that a thief has begun would take the account away again a day after it was recovered."""
    guards = ("ENABLE", "DISABLE")
    for number, guard in enumerate(guards):
        await script(database, f"ALTER TABLE players {guard} TRIGGER players_moved")
        ada = await log_in(database, OLD + number)
        await confirmed(database, ada, 5_000 + number)
        store = RecoveryStore(database)
        assert await store.set_passphrase(ada, None, "$2b$04$" + "x" * 53, AT_MS)
        found = await store.find(ada.player, "")
        assert found is not None
        assert await store.move_by_passphrase(found, 6_000 + number, address_hash="", now_ms=AT_MS)
        completed = await rows(database, COMPLETE, DUE_MS)
        assert completed == [(guards.index(guard),)], "without the trigger it is carried out"
        assert await owner(database, 6_000 + number) == (ada.player if guard == "ENABLE" else None)
    assert await rows(database, "SELECT count(*) FROM security_logs WHERE event = 'move_cancelled'") == [(1,)]


async def test_an_erased_player_moves_nowhere(database: Database) -> None:
    ada = await log_in(database, OLD)
    code = await confirmed(database, ada, NEW)
    await rows(database, "SELECT erase_account($1, time_from_ms($2), 'test')", ada.player, AT_MS)
    assert await rows(database, COMPLETE, DUE_MS) == [(0,)]
    assert await MoveStore(database).confirm(code, NEW, AT_MS, DUE_MS) is Confirmation.UNKNOWN
    for act in (MoveStore(database).cancel(ada, AT_MS), MoveStore(database).offer(ada, code, AT_MS, DUE_MS)):
        with pytest.raises(LoginEnded):
            await act


async def test_what_nobody_asks_for_again_is_pruned(database: Database) -> None:
    ada = await log_in(database, OLD)
    store = MoveStore(database)
    await confirmed(database, ada, NEW)
    await store.cancel(ada, AT_MS)
    await store.offer(ada, b"o" * 32, AT_MS, AT_MS + 1_000)
    await script(
        database,
        "INSERT INTO account_throttles VALUES (sha256('old'), 1, '2026-01-01', '2026-01-01'),"
        " (sha256('held'), 9, '2026-01-01', '2026-04-01');"
        " INSERT INTO schedules (job, period_start, fired_at) VALUES ('complete_moves', '2026-01-01', now()),"
        " ('roll_up_day', '2026-01-01', now())",
    )
    assert await rows(database, "SELECT prune_accounts('2026-01-01')") == [(0,)]
    assert await rows(database, "SELECT prune_accounts('2026-01-02')") == [(1,)], "the offer that nobody took"
    assert await rows(database, "SELECT prune_accounts('2026-03-01')") == [(2,)], "an old attempt, an old period"
    assert await rows(database, "SELECT prune_accounts('2026-04-02')") == [(1,)], "the closed move"
    assert await rows(database, "SELECT attempts FROM account_throttles") == [(9,)]
    assert await rows(database, "SELECT job FROM schedules") == [("roll_up_day",)]
