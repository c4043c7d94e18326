"""The door to PostgreSQL: transactions, errors, cancellation, connections, notices."""

from collections.abc import AsyncIterator

import pytest
import trio

from persistence.errors import DatabaseUnavailable, Duplicate, Rejected, SetupFailed
from persistence.postgres import Connection, Database
from tests.fakes.database_probe import rows

_TABLE = "CREATE TABLE things (id int PRIMARY KEY, size int CONSTRAINT things_size_check CHECK (size > 0))"


async def insert(connection: Connection, id_: int, size: int = 1) -> str:
    return await connection.execute("INSERT INTO things VALUES ($1, $2)", id_, size)


@pytest.fixture
async def things(empty_database: Database) -> Database:
    await rows(empty_database, _TABLE)
    return empty_database


async def test_a_transaction_commits_whole_and_returns_what_its_work_returned(things: Database) -> None:
    async def two(connection: Connection) -> list[str]:
        return [await insert(connection, 1), await insert(connection, 2)]

    assert await things.transaction(two) == ["INSERT 0 1", "INSERT 0 1"]
    assert await rows(things, "SELECT id FROM things ORDER BY id") == [(1,), (2,)]


async def test_whatever_a_work_raises_rolls_back_and_comes_out(things: Database) -> None:
    async def break_down(connection: Connection) -> None:
        await insert(connection, 1)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await things.transaction(break_down)
    assert await rows(things, "SELECT * FROM things") == []


@pytest.mark.parametrize(
    ("id_", "size", "kind", "constraint"),
    [(1, 1, Duplicate, "things_pkey"), (2, 0, Rejected, "things_size_check"), (2**40, 1, Rejected, "")],
)
async def test_a_refusal_names_the_constraint_and_the_connection_stays_good(
    things: Database, id_: int, size: int, kind: type[Rejected], constraint: str
) -> None:
    await things.transaction(insert, 1)
    with pytest.raises(kind) as caught:
        await things.transaction(insert, id_, size)
    assert caught.value.constraint == constraint
    before = things.statistics()
    assert await things.transaction(insert, 3) == "INSERT 0 1"
    assert things.statistics() == before


async def test_a_refusal_at_commit_is_a_refusal(things: Database) -> None:
    await rows(things, "ALTER TABLE things ADD CONSTRAINT late UNIQUE (size) DEFERRABLE INITIALLY DEFERRED")

    async def twice(connection: Connection) -> None:
        await insert(connection, 1)
        await insert(connection, 2)

    with pytest.raises(Duplicate) as caught:
        await things.transaction(twice)
    assert caught.value.constraint == "late"
    assert await rows(things, "SELECT * FROM things") == []


async def test_going_on_after_a_failed_statement_is_our_bug(things: Database) -> None:
    async def go_on(connection: Connection) -> None:
        with pytest.raises(Rejected):
            await insert(connection, 1, 0)

    with pytest.raises(RuntimeError, match="went on after one of its statements had failed"):
        await things.transaction(go_on)


async def test_cancelling_rolls_back_frees_the_slot_and_stops_the_query(things: Database) -> None:
    async def slow(connection: Connection) -> None:
        await insert(connection, 1)
        started.set()
        await connection.execute("SELECT pg_sleep(600)")

    for _ in range(6):  # more often than there are slots
        started = trio.Event()
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(things.transaction, slow)
                await started.wait()
                nursery.cancel_scope.cancel()
    assert await rows(things, "SELECT * FROM things") == []
    with trio.fail_after(10):
        while await rows(things, "SELECT FROM pg_stat_activity WHERE state = 'active' AND query ~ '^SELECT pg_sleep'"):
            await trio.lowlevel.checkpoint()
    statistics = things.statistics()
    assert statistics.borrowed_connections == 0
    assert statistics.waiting_tasks == 0


async def test_two_deadlocked_transactions_one_may_try_again(things: Database) -> None:
    await things.transaction(insert, 1)
    await things.transaction(insert, 2)
    outcomes: list[str] = []
    first_locked, second_locked = trio.Event(), trio.Event()

    async def update(first: int, second: int, mine: trio.Event, other: trio.Event) -> None:
        async with things.dedicated("deadlock") as connection:
            await connection.run(lock, first)
            mine.set()
            await other.wait()
            try:
                await connection.run(lock, second)
            except DatabaseUnavailable as error:
                outcomes.append(str(error))

    async def lock(connection: Connection, id_: int) -> None:
        if id_ == 1:
            await connection.execute("BEGIN") if not first_locked.is_set() else None
        else:
            await connection.execute("BEGIN") if not second_locked.is_set() else None
        await connection.execute("UPDATE things SET size = 2 WHERE id = $1", id_)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(update, 1, 2, first_locked, second_locked)
            nursery.start_soon(update, 2, 1, second_locked, first_locked)
    [deadlock] = outcomes
    assert deadlock.startswith("40P01")


async def test_no_more_connections_than_allowed(asyncio_loop: None, empty_database_dsn: str) -> None:  # noqa: ARG001 - its loop
    async with Database.open(empty_database_dsn, max_connections=2) as database:

        async def look(connection: Connection) -> None:
            found = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            seen.append(found)

        seen: list[int] = []
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(database.run, look)
        assert len(seen) == 20
        assert max(seen) <= 2
        assert database.statistics().connects == 2


async def test_connections_carry_names_and_limits(empty_database: Database) -> None:
    async def settings(connection: Connection) -> tuple[object, ...]:
        sql = "SELECT current_setting('application_name'), current_setting('statement_timeout')"
        row = await connection.fetchrow(sql)
        assert row is not None
        return tuple(row)

    async with empty_database.dedicated("lease") as lease, empty_database.dedicated("m", patient=True) as patient:
        assert await lease.run(settings) == ("gameserver lease", "10s")
        assert await patient.run(settings) == ("gameserver m", "0")


async def test_text_is_copied(things: Database) -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield b"1\t5\n"
        yield b"2\t6\n"

    async def copy(connection: Connection) -> str:
        return await connection.copy_text("things", columns=["id", "size"], blocks=blocks())

    assert await things.transaction(copy) == "COPY 2"
    assert await rows(things, "SELECT sum(size) FROM things") == [(11,)]


async def test_notices_are_heard_also_after_the_connection_was_lost(empty_database: Database) -> None:
    heard = trio.Event()

    def on_notice(_: str) -> None:
        heard.set()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(empty_database.listen, "bell", on_notice)
            for cut in (False, True):
                if cut:
                    heard = trio.Event()
                    await rows(
                        empty_database,
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'listen bell'",
                    )
                    await heard.wait()  # it listens again
                heard = trio.Event()
                await rows(empty_database, "NOTIFY bell")
                await heard.wait()
            nursery.cancel_scope.cancel()
    assert heard.is_set()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("/test_", "/nothing_like_test_"), "refuses us"),
        (("postgres@", "nobody_known@"), "refuses us"),
        (("postgresql://", "mysql://"), "cannot be used"),
    ],
)
async def test_a_wrong_address_is_one_sentence(
    asyncio_loop: None,  # noqa: ARG001 - its loop
    empty_database_dsn: str,
    change: tuple[str, str],
    sentence: str,
) -> None:
    with pytest.raises(SetupFailed, match=sentence):
        async with Database.open(empty_database_dsn.replace(*change)):
            raise AssertionError("opened")
