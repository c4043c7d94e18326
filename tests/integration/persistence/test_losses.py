"""What `down` would lose, said before it is done."""

import pytest

from persistence.errors import DatabaseUnavailable, SchemaMismatch, SetupFailed
from persistence.migrations import migrate
from persistence.migrations.losses import losses
from persistence.migrations.migrate import Revision
from persistence.postgres import Connection, Database
from tests.fakes.database_probe import rows

ONE = Revision("0001", "one", "CREATE TABLE one (id int); CREATE TABLE few (id int)", "DROP TABLE few, one")
TWO = Revision(
    "0002",
    "two",
    "CREATE TABLE two (id int) PARTITION BY LIST (id); CREATE TABLE two_7 PARTITION OF two FOR VALUES IN (7);"
    " ALTER TABLE one ADD COLUMN note text",
    "DROP TABLE two; ALTER TABLE one DROP COLUMN note",
)
BOTH = (ONE, TWO)


async def test_rows_of_tables_and_values_of_columns_that_would_go(empty_database: Database) -> None:
    await migrate.up(empty_database, revisions=BOTH)
    assert await losses(empty_database, "base", revisions=BOTH) == {}
    await rows(empty_database, "INSERT INTO one VALUES (1, 'kept'), (2, NULL)")
    await rows(empty_database, "INSERT INTO two VALUES (7), (7), (7)")
    assert await losses(empty_database, "0002", revisions=BOTH) == {}
    assert await losses(empty_database, "0001", revisions=BOTH) == {"two": 3, "one.note": 1}
    assert await losses(empty_database, "base", revisions=BOTH) == {"two": 3, "one": 2}
    assert await rows(empty_database, "SELECT id, note FROM one ORDER BY id") == [(1, "kept"), (2, None)]
    assert await rows(empty_database, "SELECT count(*) FROM two") == [(3,)]
    await migrate.check(empty_database, revisions=BOTH)


async def test_what_is_not_applied_is_not_lost(empty_database: Database) -> None:
    assert await losses(empty_database, "base", revisions=BOTH) == {}
    await migrate.up(empty_database, "0001", revisions=BOTH)
    assert await losses(empty_database, "base", revisions=BOTH) == {}
    with pytest.raises(SetupFailed, match=r"There is no schema revision 0009; choose from base, 0001, 0002"):
        await losses(empty_database, "0009", revisions=BOTH)
    with pytest.raises(SchemaMismatch, match="newer than this server knows"):
        await losses(empty_database, "base", revisions=())


async def test_it_waits_for_no_long_transaction(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOCK_TIMEOUT_S": 0.05, "LOCK_PAUSE_S": 0.01, "LOCK_TRIES": 2}.items():
        monkeypatch.setattr(migrate, name, value)
    await migrate.up(empty_database, revisions=BOTH)

    async def begin(connection: Connection) -> None:
        await connection.execute("BEGIN; SELECT FROM one")

    async with empty_database.dedicated("report") as report:
        await report.run(begin)
        with pytest.raises(
            DatabaseUnavailable, match="Finding out what would be lost did not get its locks in 2 tries"
        ):
            await losses(empty_database, "base", revisions=BOTH)
