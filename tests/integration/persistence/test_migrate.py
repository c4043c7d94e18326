"""The schema's revisions up and down, runners at once, drift, older, newer."""

import dataclasses
from pathlib import Path

import pytest
import trio

from persistence.errors import Rejected, SchemaMismatch, SetupFailed
from persistence.migrations import migrate
from persistence.migrations.migrate import REVISIONS, Revision
from persistence.postgres import Database
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
    before = await objects(empty_database)
    assert await migrate.down(empty_database, "base") == everything[::-1]
    assert await objects(empty_database) == {"schema_migrations"}
    assert not await migrate.is_empty(empty_database)
    assert await migrate.up(empty_database) == everything
    assert await objects(empty_database) == before
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
        ((ONE,), "revision 0002, newer than"),
        (drifted, "revision 0002 was applied from another"),
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


@pytest.mark.parametrize("names", [["0002_a.up.sql", "0002_a.down.sql"], ["0001_a.up.sql"], ["first.up.sql"]])
def test_files_that_are_no_revisions_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(ValueError, match="is not revision 0001"):
        migrate.load_revisions(tmp_path)
