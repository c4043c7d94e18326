"""The schema's revisions up and down, runners at once, drift, older, newer."""

import dataclasses
from pathlib import Path

import pytest
import trio

from persistence.errors import DatabaseUnavailable, Rejected, SchemaMismatch, SetupFailed
from persistence.migrations import migrate
from persistence.migrations.fingerprint import differences, read_objects
from persistence.migrations.migrate import REVISIONS, Revision
from persistence.postgres import Connection, Database
from tests.fakes.database_probe import rows

ONE = Revision("0001", "one", "CREATE TABLE one (id int)", "DROP TABLE one")
TWO = Revision("0002", "two", "CREATE TABLE two (id int); INSERT INTO two VALUES (1)", "DROP TABLE two")
BAD = Revision("0003", "bad", "CREATE TABLE bad (id int); SELECT 1 / 0", "DROP TABLE bad")

_OBJECTS = """
    SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S')
    UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT typname::text FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
"""


async def objects(database: Database) -> set[str]:
    return {name for (name,) in await rows(database, _OBJECTS)}


async def test_empty_up_down_up(empty_database: Database) -> None:
    assert await migrate.is_empty(empty_database)
    everything = [revision.id for revision in REVISIONS]
    assert await migrate.up(empty_database) == everything
    before = await empty_database.transaction(read_objects)
    assert await migrate.down(empty_database, "base") == everything[::-1]
    assert await empty_database.transaction(read_objects) == {}
    assert await objects(empty_database) == {"schema_migrations"}
    assert not await migrate.is_empty(empty_database)
    assert await migrate.up(empty_database) == everything
    assert differences(before, await empty_database.transaction(read_objects)) == []
    await migrate.check(empty_database)
    assert not await migrate.is_empty(empty_database)


async def test_up_and_down_to_a_revision(empty_database: Database) -> None:
    revisions = (ONE, TWO)
    assert await migrate.up(empty_database, "0001", revisions=revisions) == ["0001"]
    with pytest.raises(SchemaMismatch, match=r"lacks schema revision 0002; run `gameserver migrate up`"):
        await migrate.check(empty_database, revisions=revisions)
    assert await migrate.up(empty_database, revisions=revisions) == ["0002"]
    assert await migrate.up(empty_database, revisions=revisions) == []
    assert await migrate.down(empty_database, "0001", revisions=revisions) == ["0002"]
    assert await objects(empty_database) == {"schema_migrations", "one"}
    with pytest.raises(SetupFailed, match=r"There is no schema revision 0009; choose from base, 0001, 0002"):
        await migrate.up(empty_database, "0009", revisions=revisions)


async def test_status_of_applied_missing_and_unknown_revisions(empty_database: Database) -> None:
    await migrate.up(empty_database, revisions=(ONE,))
    known = {status.id: status for status in await migrate.status(empty_database, revisions=(ONE, TWO))}
    assert known["0001"].applied_at_ms > 0
    assert (known["0001"].drifted, known["0002"].applied_at_ms) == (False, 0)
    [unknown] = await migrate.status(empty_database, revisions=())
    assert (unknown.name, unknown.known) == ("one", False)


async def test_an_empty_database_lacks_the_first_revision(empty_database: Database) -> None:
    with pytest.raises(SchemaMismatch, match="lacks schema revision 0001"):
        await migrate.check(empty_database)


async def test_a_newer_schema_and_a_drifted_one_are_refused(empty_database: Database) -> None:
    await migrate.up(empty_database, revisions=(ONE, TWO))
    drifted = (ONE, dataclasses.replace(TWO, up_sql="CREATE TABLE two (id bigint)"))
    for refused, sentence in (
        ((ONE,), "revision 0002, newer than .* run `gameserver migrate down 0001`"),
        (drifted, "revision 0002 was applied from another .* `gameserver migrate status`"),
    ):
        with pytest.raises(SchemaMismatch, match=sentence):
            await migrate.check(empty_database, revisions=refused)
        with pytest.raises(SchemaMismatch, match=sentence):
            await migrate.up(empty_database, revisions=refused)
        with pytest.raises(SchemaMismatch, match=sentence):
            await migrate.down(empty_database, "base", revisions=refused)
    assert await objects(empty_database) == {"schema_migrations", "one", "two"}


async def test_a_revision_that_fails_leaves_nothing_of_itself(empty_database: Database) -> None:
    with pytest.raises(Rejected, match="division by zero"):
        await migrate.up(empty_database, revisions=(ONE, TWO, BAD))
    assert await objects(empty_database) == {"schema_migrations", "one", "two"}


async def test_runners_at_once_apply_everything_once(asyncio_loop: None, empty_database_dsn: str) -> None:  # noqa: ARG001 - its loop
    applied: list[str] = []

    async def runner() -> None:
        async with Database.open(empty_database_dsn) as database:
            applied.extend(await migrate.up(database, revisions=(ONE, TWO)))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(runner)
    assert sorted(applied) == ["0001", "0002"]
    async with Database.open(empty_database_dsn) as database:
        assert await rows(database, "SELECT * FROM two") == [(1,)]


async def test_a_change_by_hand_stops_everything_until_it_is_undone_or_accepted(empty_database: Database) -> None:
    revisions = (ONE, TWO)
    await migrate.up(empty_database, "0001", revisions=revisions)
    await rows(empty_database, "CREATE INDEX one_id_idx ON one (id)")
    index = "index one_id_idx of one is new"
    for refused in (
        migrate.check(empty_database, revisions=(ONE,)),
        migrate.up(empty_database, revisions=revisions),
        migrate.down(empty_database, "base", revisions=revisions),
    ):
        with pytest.raises(SchemaMismatch, match=rf"changed by hand \({index}\)"):
            await refused
    await rows(empty_database, "DROP INDEX one_id_idx")
    await migrate.check(empty_database, revisions=(ONE,))
    await rows(empty_database, "CREATE INDEX one_id_idx ON one (id)")
    assert await migrate.accept(empty_database, revisions=(ONE,)) == [index]
    assert await migrate.accept(empty_database, revisions=(ONE,)) == []
    await migrate.check(empty_database, revisions=(ONE,))
    assert await migrate.up(empty_database, revisions=revisions) == ["0002"]
    await migrate.check(empty_database, revisions=revisions)


async def test_a_table_of_the_runner_from_before_fingerprints_is_completed(empty_database: Database) -> None:
    await migrate.up(empty_database, revisions=(ONE,))
    await rows(
        empty_database,
        "ALTER TABLE schema_migrations DROP COLUMN server_major, DROP COLUMN fingerprint, DROP COLUMN objects",
    )
    await migrate.check(empty_database, revisions=(ONE,))
    await rows(empty_database, "ALTER TABLE one ADD COLUMN unknown int")
    await migrate.check(empty_database, revisions=(ONE,))  # nothing to compare with
    assert await migrate.up(empty_database, revisions=(ONE,)) == []
    await rows(empty_database, "ALTER TABLE one DROP COLUMN unknown")
    assert await migrate.drift(empty_database) == ["column one.unknown is missing"]


async def test_the_words_of_another_postgresql_are_not_compared(empty_database: Database) -> None:
    await migrate.up(empty_database, revisions=(ONE,))
    await rows(empty_database, "UPDATE schema_migrations SET server_major = 14, fingerprint = 'other'")
    await migrate.check(empty_database, revisions=(ONE,))
    assert await migrate.up(empty_database, revisions=(ONE,)) == []
    assert await rows(empty_database, "SELECT count(*) FROM schema_migrations WHERE fingerprint = 'other'") == [(0,)]
    await migrate.check(empty_database, revisions=(ONE,))


SLOW = Revision("0002", "slow", "CREATE TABLE slow (id int); SELECT pg_sleep(60)", "DROP TABLE slow")
WIDER = Revision("0002", "wider", "CREATE TABLE wider (); ALTER TABLE one ADD COLUMN wide int", "DROP TABLE wider")


async def until(database: Database, condition: str) -> None:
    with trio.fail_after(20):
        while not await rows(
            database, f"SELECT FROM pg_stat_activity WHERE datname = current_database() AND {condition}"
        ):
            await trio.lowlevel.checkpoint()


async def in_use(connection: Connection) -> None:
    await connection.execute("BEGIN; SELECT FROM one")


async def free_again(connection: Connection) -> None:
    await connection.execute("COMMIT")


async def test_a_terminated_migration_leaves_nothing_and_says_what_to_do(empty_database: Database) -> None:
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _terminate() -> None:
            await until(empty_database, "query LIKE '%pg_sleep(60)%' AND wait_event = 'PgSleep'")
            await rows(
                empty_database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event = 'PgSleep'",
            )

        with pytest.raises(
            DatabaseUnavailable, match=r"revision 0002 lost the connection .* `gameserver migrate status`"
        ):
            await migrate.up(empty_database, revisions=(ONE, SLOW))
    assert await objects(empty_database) == {"schema_migrations", "one"}
    assert await migrate.up(empty_database, revisions=(ONE, TWO)) == ["0002"]


async def test_a_revision_that_waits_for_a_lock_gives_way_and_tries_again(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"LOCK_TIMEOUT_S": 0.1, "LOCK_PAUSE_S": 0.01}.items():
        monkeypatch.setattr(migrate, name, value)
    applied: list[str] = []
    async with empty_database.dedicated("report") as report, trio.open_nursery() as nursery:
        await migrate.up(empty_database, revisions=(ONE,))
        await report.run(in_use)

        @nursery.start_soon
        async def _migrate() -> None:
            applied.extend(await migrate.up(empty_database, revisions=(ONE, WIDER)))

        await until(empty_database, "application_name LIKE '% migrate' AND wait_event_type = 'Lock'")
        with trio.fail_after(5):  # behind it in the queue, while the report goes on
            await rows(empty_database, "INSERT INTO one VALUES (1)")
        assert applied == []
        await report.run(free_again)
    assert applied == ["0002"]


async def test_a_lock_that_is_never_given_up(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOCK_TIMEOUT_S": 0.05, "LOCK_PAUSE_S": 0.01, "LOCK_TRIES": 2}.items():
        monkeypatch.setattr(migrate, name, value)
    await migrate.up(empty_database, revisions=(ONE,))
    sentence = r"revision 0002 did not get its locks in 2 tries of 0\.05 s: end the long transaction"
    async with empty_database.dedicated("report") as report:
        await report.run(in_use)
        with pytest.raises(DatabaseUnavailable, match=sentence):
            await migrate.up(empty_database, revisions=(ONE, WIDER))
    assert await objects(empty_database) == {"schema_migrations", "one"}


async def test_who_asks_during_a_migration_waits_for_its_end(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate.up(empty_database, revisions=(ONE,))
    revisions = (ONE, WIDER)
    async with empty_database.dedicated("report") as report, trio.open_nursery() as nursery:
        await report.run(in_use)
        nursery.start_soon(lambda: migrate.up(empty_database, revisions=revisions))
        await until(empty_database, "application_name LIKE '% migrate' AND wait_event_type = 'Lock'")
        monkeypatch.setattr(migrate, "MIGRATION_S", 0.05)
        with pytest.raises(SchemaMismatch, match=r"wait until `gameserver migrate check` succeeds"):
            await migrate.check(empty_database, revisions=revisions)
        monkeypatch.setattr(migrate, "MIGRATION_S", 60)
        nursery.start_soon(lambda: migrate.check(empty_database, revisions=revisions))
        await until(empty_database, "application_name LIKE '% check' AND wait_event = 'advisory'")
        await report.run(free_again)


@pytest.mark.parametrize("names", [["0002_a.up.sql", "0002_a.down.sql"], ["0001_a.up.sql"], ["first.up.sql"]])
def test_files_that_are_no_revisions_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(ValueError, match="is not revision 0001"):
        migrate.load_revisions(tmp_path)
