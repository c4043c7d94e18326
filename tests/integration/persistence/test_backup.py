"""Backups: of one instant, verified by restoring them, and never half."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from persistence.backup_file import sound_backup
from persistence.errors import SchemaMismatch, SetupFailed
from persistence.migrations import migrate
from persistence.postgres import Database
from tests.fakes.database_probe import assert_reconciled, rows
from tests.fakes.saved_game import (
    FENCED,
    bring_back,
    databases_for_verification,
    fingerprint,
    flush,
    play,
    probe,
    save,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def size_of(path: Path) -> int:
    return path.stat().st_size


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "game.backup"


@pytest.fixture
async def game(asyncio_loop: None, database_dsn: str) -> AsyncIterator[Database]:  # noqa: ARG001 - its loop
    """A game with players and a ledger; nothing of a backup is left on the server at the end."""
    async with probe(database_dsn) as database:
        await play(database)
        before = await databases_for_verification(database)
        yield database
        assert await databases_for_verification(database) == before


@pytest.fixture
async def empty(asyncio_loop: None, empty_database_dsn: str) -> AsyncIterator[Database]:  # noqa: ARG001 - its loop
    """A database without a game."""
    async with probe(empty_database_dsn) as database:
        yield database


async def test_there_and_back(game: Database, database_dsn: str, empty_database_dsn: str, path: Path) -> None:
    assert await rows(game, "SELECT count(*) FROM players") == [(5,)]
    report = await save(database_dsn, path)
    assert (size_of(path), mode_of(path)) == (report.size_bytes, 0o600)
    assert names_in(path.parent) == [path.name]
    assert report.contents.rows["players"] == 5
    assert report.contents.rows["ledger_keys"] == 5
    assert report.contents.unreconciled_rows == 0
    with sound_backup(path) as backup:
        assert backup.manifest.contents == report.contents
        assert backup.manifest.server_version == "1.2.3"

    restored = await bring_back(empty_database_dsn, path)
    assert restored.contents == report.contents
    before = await fingerprint(database_dsn, without=FENCED)
    after = await fingerprint(empty_database_dsn, without=FENCED)
    assert after.pop("players_id_seq") > before.pop("players_id_seq")
    assert after == before
    async with probe(empty_database_dsn) as database:
        await migrate.check(database)
        await assert_reconciled(database)
        assert await rows(database, "SELECT reltuples FROM pg_class WHERE relname = 'players'") == [(5,)]  # analysed


async def test_a_backup_is_of_one_instant_while_flushes_go_on(game: Database, database_dsn: str, path: Path) -> None:
    players = await play(game, 50)
    flushed = 0
    ending = False

    async def go_on() -> None:
        nonlocal flushed
        while not ending:
            for player in players:
                player.tap(1_000)
                player.post(f"more:{flushed}:{player.player_id}")
            assert await flush(game, players) == frozenset(range(50))
            flushed += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go_on)
        report = await save(database_dsn, path)
        ending = True
    [(batches,)] = await rows(game, "SELECT count(*) FROM write_batches")
    assert report.contents.rows["write_batches"] < batches
    assert report.contents.unreconciled_rows == 0
    keys = report.contents.rows["ledger_keys"]
    partitions = [count for name, count in report.contents.rows.items() if name.startswith("token_transactions")]
    assert sum(partitions) == 2 * keys


async def test_a_ledger_that_is_wrong_is_backed_up_as_it_is(
    game: Database, database_dsn: str, empty_database_dsn: str, path: Path
) -> None:
    await rows(game, "UPDATE players SET balance_mpt = balance_mpt + 1 WHERE join_seq = 1")
    report = await save(database_dsn, path)
    assert report.contents.unreconciled_rows == 2
    assert (await bring_back(empty_database_dsn, path)).contents == report.contents


async def test_an_older_schema_can_be_backed_up_and_restored(
    empty: Database, empty_database_dsn: str, path: Path
) -> None:
    await migrate.up(empty, "0001")
    report = await save(empty_database_dsn, path)
    assert [revision.revision for revision in report.contents.revisions] == ["0001"]
    await bring_back(empty_database_dsn, path, force=True)
    await migrate.up(empty)
    await migrate.check(empty)


#: This dumps and does not restore: the function looks for a table that the search path of pg_restore has not.
UNRESTORABLE = (
    "CREATE FUNCTION any_node() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT true FROM nodes); END'",
    "CREATE TABLE picky (id integer CHECK (any_node()))",
    "INSERT INTO picky VALUES (1)",
)


async def test_a_backup_that_does_not_restore_is_thrown_away_and_the_one_before_stays(
    game: Database, database_dsn: str, path: Path
) -> None:
    await save(database_dsn, path)
    before = content_of(path)
    for statement in UNRESTORABLE:
        await rows(game, statement)
    with pytest.raises(SetupFailed, match=r'pg_restore failed \(relation "nodes" does not exist\)\.'):
        await save(database_dsn, path)
    assert content_of(path) == before
    assert names_in(path.parent) == [path.name]
    await save(database_dsn, path, verify=False)
    assert content_of(path) != before


async def test_a_schema_that_this_server_does_not_know_is_refused(
    game: Database, database_dsn: str, path: Path
) -> None:
    await rows(game, "INSERT INTO schema_migrations (revision, name, checksum) VALUES ('9999', 'future', 'x')")
    with pytest.raises(SchemaMismatch, match=r"schema revision 9999, newer .* back it up with the server that"):
        await save(database_dsn, path)
    await rows(game, "DELETE FROM schema_migrations WHERE revision = '9999'")
    await rows(game, "UPDATE schema_migrations SET checksum = 'other' WHERE revision = '0001'")
    with pytest.raises(SchemaMismatch, match=r"revision 0001 was applied from another text"):
        await save(database_dsn, path)
    assert names_in(path.parent) == []


async def test_nothing_to_back_up(empty: Database, empty_database_dsn: str, path: Path) -> None:
    with pytest.raises(SetupFailed, match="holds nothing of this game"):
        await save(empty_database_dsn, path)
    await migrate.up(empty, "0001")
    await migrate.down(empty, migrate.BASE)
    with pytest.raises(SetupFailed, match="holds nothing of this game"):
        await save(empty_database_dsn, path)


async def test_a_place_that_is_none_for_a_backup(game: Database, database_dsn: str, tmp_path: Path) -> None:
    del game
    other = tmp_path / "notes.txt"
    other.write_text("not a backup")
    for place, sentence in (
        (other, "is something else than a backup; name another file"),
        (tmp_path, "is not a file"),
        (tmp_path / "none" / "game.backup", "There is no folder .*none for the backup"),
        (Path("/dev/null"), "is not a file"),
    ):
        with pytest.raises(SetupFailed, match=sentence):
            await save(database_dsn, place)
    assert other.read_text() == "not a backup"
    link = tmp_path / "latest"
    link.symlink_to(tmp_path / "game.backup")
    await save(database_dsn, link, verify=False)
    assert link.is_symlink()
    assert (tmp_path / "game.backup").is_file()


async def test_a_role_that_may_not_create_databases(game: Database, database_dsn: str, path: Path) -> None:
    role = f"limited_{os.getpid()}"
    await rows(game, f"CREATE ROLE {role} LOGIN IN ROLE pg_read_all_data")
    dsn = database_dsn.replace("//postgres@", f"//{role}@")
    try:
        with pytest.raises(SetupFailed, match=r"give it CREATEDB, or use --no-verify\.$"):
            await save(dsn, path)
        assert names_in(path.parent) == []
        report = await save(dsn, path, verify=False)
    finally:
        await rows(game, f"DROP ROLE {role}")
    assert report.contents.rows["players"] == 5


async def test_what_a_killed_backup_left_behind_goes_with_the_next_and_what_is_in_use_stays(
    game: Database, database_dsn: str, path: Path
) -> None:
    [(oid,)] = await rows(game, "SELECT oid FROM pg_database WHERE datname = current_database()")
    left, used, other = f"ppj_verify_{oid}_left", f"ppj_verify_{oid}_used", "ppj_verify_1_other"
    for name in (left, used, other):
        await rows(game, f"CREATE DATABASE {name} TEMPLATE template0")
    async with probe(database_dsn) as user:
        await rows(user, "SELECT pg_advisory_lock(hashtextextended($1, 0))", used)
        await save(database_dsn, path)
        assert set(await databases_for_verification(game)) >= {used, other}
        assert left not in await databases_for_verification(game)
    for name in (used, other):
        await rows(game, f"DROP DATABASE {name}")


async def test_a_backup_that_is_cancelled_leaves_nothing(game: Database, database_dsn: str, path: Path) -> None:
    before = await databases_for_verification(game)
    async with trio.open_nursery() as nursery, probe(database_dsn) as other:

        async def cancel_when_it_is_under_way() -> None:
            while await databases_for_verification(other) == before:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

        nursery.start_soon(cancel_when_it_is_under_way)
        await save(database_dsn, path)
    assert nursery.cancel_scope.cancelled_caught
    assert names_in(path.parent) == []
