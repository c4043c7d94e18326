"""Restores: all or nothing, over no other game and no live server, and fenced against servers of the time before."""

import functools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from persistence import player_store
from persistence import restore as restoring
from persistence.backup_file import DUMP_MAGIC, sound_backup
from persistence.contents import Ask, Contents, contents_of
from persistence.errors import BackupUnusable, Rejected, SetupFailed
from persistence.migrations import migrate
from persistence.postgres import Connection, Database
from persistence.records import LoadedPlayer
from tests.fakes.database_probe import add_node, assert_reconciled, claimed_players, rows
from tests.fakes.flushable_player import AT_MS
from tests.fakes.saved_game import bring_back, fingerprint, flush, forged, play, probe, save


@pytest.fixture
async def backup(asyncio_loop: None, database_dsn: str, tmp_path: Path) -> Path:  # noqa: ARG001 - its loop
    """A backup of the game in `database_dsn`, in which people have played on since then."""
    path = tmp_path / "game.backup"
    async with probe(database_dsn) as database:
        await play(database)
        await save(database_dsn, path)
        await play(database, 8)
    return path


@pytest.fixture
async def other(asyncio_loop: None, empty_database_dsn: str) -> AsyncIterator[Database]:  # noqa: ARG001 - its loop
    """A database that is empty at first."""
    async with probe(empty_database_dsn) as database:
        yield database


async def refused(
    dsn: str, path: Path, sentence: str, *, force: bool = True, error: type[Exception] = SetupFailed
) -> None:
    """It is refused, and every row of the target and its schema are as they were."""
    before = await fingerprint(dsn)
    with pytest.raises(error, match=sentence) as caught:
        await bring_back(dsn, path, force=force)
    assert str(caught.value).endswith((".", ")"))
    assert await fingerprint(dsn) == before


async def test_a_database_that_is_not_empty_wants_force(backup: Path, database_dsn: str) -> None:
    await refused(database_dsn, backup, "is not empty; --force replaces the game", force=False)
    async with probe(database_dsn) as database:
        await rows(database, "CREATE TABLE later (id int)")
        await rows(database, "CREATE VIEW onto AS SELECT later.id FROM later, players")
        assert await rows(database, "SELECT count(*) FROM players") == [(8,)]
    await bring_back(database_dsn, backup, force=True)
    async with probe(database_dsn) as database:
        assert await rows(database, "SELECT count(*) FROM players") == [(5,)]
        assert await rows(database, "SELECT to_regclass('later')::text, to_regclass('onto')::text") == [(None, None)]
        await migrate.check(database)
        await assert_reconciled(database)
        with pytest.raises(Rejected, match="append-only"):
            await rows(database, "DELETE FROM token_transactions")
    assert (await bring_back(database_dsn, backup, force=True)).contents.rows["players"] == 5


async def test_force_leaves_alone_what_is_not_the_games(backup: Path, other: Database, empty_database_dsn: str) -> None:
    for statement in (
        "CREATE SCHEMA reports",
        "CREATE TABLE reports.sums (id int)",
        "CREATE EXTENSION citext",
    ):
        await rows(other, statement)
    await bring_back(empty_database_dsn, backup)
    await bring_back(empty_database_dsn, backup, force=True)
    assert await rows(other, "SELECT to_regclass('reports.sums')::text, 'A'::citext = 'a'") == [("reports.sums", True)]


async def test_a_database_of_something_else_is_refused_with_force_too(
    backup: Path, other: Database, empty_database_dsn: str
) -> None:
    await rows(other, "CREATE TABLE articles (id int)")
    await rows(other, "CREATE TABLE schema_migrations (version text)")
    await refused(empty_database_dsn, backup, "holds something else than this game", force=False)
    await refused(empty_database_dsn, backup, "holds something else than this game")


async def test_a_drifted_schema_is_what_restores_are_for(backup: Path, database_dsn: str) -> None:
    async with probe(database_dsn) as database:
        await rows(database, "UPDATE schema_migrations SET checksum = 'other'")
        await bring_back(database_dsn, backup, force=True)
        await migrate.check(database)


async def test_a_live_server_is_refused(backup: Path, database_dsn: str) -> None:
    async with probe(database_dsn) as database:
        await add_node(database, "node-7", lease_s=60)
        await refused(database_dsn, backup, r"A server is live on .* \(node-7\); stop it first")
        await add_node(database, "node-7", lease_s=-1)
    async with Database.open(database_dsn):
        await refused(database_dsn, backup, "Another gameserver process is connected to .*; stop it first")
    await bring_back(database_dsn, backup, force=True)


async def test_a_server_that_appears_meanwhile_is_refused_at_the_end(
    backup: Path, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await fingerprint(database_dsn)
    opened = Database.open(database_dsn)

    async def look_while_it_appears(ask: Ask) -> Contents:
        await opened.__aenter__()
        return await contents_of(ask)

    monkeypatch.setattr(restoring, "contents_of", look_while_it_appears)
    with pytest.raises(SetupFailed, match="Another gameserver process is connected"):
        await bring_back(database_dsn, backup, force=True)
    await opened.__aexit__(None, None, None)
    assert await fingerprint(database_dsn) == before


async def test_somebody_who_reads_the_tables_is_waited_for_and_then_refused(
    backup: Path, database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "LOCK_S", 0.2)
    async with probe(database_dsn) as database, database.dedicated("reader") as reader:

        async def read(connection: Connection) -> None:
            await connection.execute("BEGIN")
            await connection.execute("SELECT count(*) FROM players")

        await reader.run(read)
        await refused(database_dsn, backup, "Somebody else is using the tables .* close that connection and try again")
    await bring_back(database_dsn, backup, force=True)


async def test_a_backup_that_does_not_hold_what_it_says_changes_nothing(backup: Path, database_dsn: str) -> None:
    with sound_backup(backup) as sound:
        contents = sound.manifest.contents
    rows_ = contents.rows | {"players": 6}
    lying = forged(backup, contents=type(contents)(contents.revisions, rows_, 0, contents.unreconciled_sha256))
    await refused(database_dsn, lying, r"did not restore to what it says \(table players: 5 rows instead of 6 rows\)")
    lying = forged(backup, contents=type(contents)(contents.revisions, contents.rows, 1, "x"))
    await refused(database_dsn, lying, "ledger_reconciliation has other rows: 0 instead of 1")
    lying = forged(backup, contents=type(contents)(contents.revisions[:1], contents.rows, 0, ""))
    await refused(database_dsn, lying, "its schema revisions are others")


async def test_a_dump_that_breaks_off_changes_nothing(
    backup: Path, database_dsn: str, other: Database, empty_database_dsn: str
) -> None:
    with sound_backup(backup) as sound:
        sound.file.seek(0)
        dump = sound.file.read(sound.manifest.dump_bytes)
    for size in (len(DUMP_MAGIC), 2_000, len(dump) // 2):
        broken = forged(backup, dump=dump[:size])
        await refused(database_dsn, broken, "pg_restore failed|changed nothing")
        await refused(empty_database_dsn, broken, "pg_restore failed|changed nothing", force=False)
    assert await migrate.is_empty(other)


def damages(backup: Path) -> list[Callable[[], object]]:
    """Ways to spoil the file, each from what it was at first."""
    sound = backup.read_bytes()
    middle = len(sound) // 2
    flipped = sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :]
    spoilt = (sound[:middle], flipped, b"", b"a text\n", sound[:-1])
    return [functools.partial(backup.write_bytes, content) for content in spoilt]


async def test_damaged_and_foreign_files_change_nothing(backup: Path, database_dsn: str) -> None:
    for damaged in damages(backup):
        damaged()
        await refused(database_dsn, backup, str(backup), error=BackupUnusable)


async def test_a_newer_postgresql_or_schema_is_refused(backup: Path, database_dsn: str) -> None:
    newer = forged(backup, postgres_major=99)
    await refused(database_dsn, newer, "was made on PostgreSQL 99 and the target is", error=BackupUnusable)
    with sound_backup(backup) as sound:
        contents = sound.manifest.contents
    first = contents.revisions[0]
    for revision, sentence in (
        (type(first)("9999", "future", "x"), "schema revision 9999, which this server does not know"),
        (type(first)("0001", "core", "x"), "schema revision 0001 from another text"),
    ):
        other = type(contents)((revision,), contents.rows, 0, contents.unreconciled_sha256)
        await refused(database_dsn, forged(backup, contents=other), sentence, error=BackupUnusable)


async def test_servers_of_the_time_before_write_nothing_into_it(backup: Path, database_dsn: str) -> None:
    async with probe(database_dsn) as database:
        old = await claimed_players(database, 8, node="node-1")
        run = (await rows(database, "SELECT run FROM nodes"))[0][0]
        await add_node(database, "node-1", lease_s=-1)
    await bring_back(database_dsn, backup, force=True)
    async with probe(database_dsn) as database:
        for player in old:
            player.tap(1_000_000)
        assert await flush(database, old) == frozenset()
        assert await rows(database, "SELECT count(*) FROM nodes WHERE run = $1 OR lease_until > now()", run) == [(0,)]
        # who was claimed before the backup is free, and who is new is nobody whom an old server knows
        names = await player_store.create_load_test_players(database, 8, now_ms=AT_MS)
        await add_node(database, "node-2")
        loaded = await player_store.claim_and_load(database, names, node="node-2")
        epochs = {player.id: player.owner_epoch for player in loaded if isinstance(player, LoadedPlayer)}
        assert len(epochs) == 8
        assert [player.player_id for player in old if epochs.get(player.player_id, 0) == player.owner_epoch] == []
        assert sorted(epochs)[5] > max(player.player_id for player in old)
        assert max(player.owner_epoch for player in old) < min(epochs[id_] for id_ in sorted(epochs)[:5])
        await add_node(database, "node-2", lease_s=-1)
        await bring_back(database_dsn, backup, force=True)
        [(lowest,)] = await rows(database, "SELECT min(owner_epoch) FROM players")
        assert lowest > max(epochs.values())


async def test_a_restore_that_is_cancelled_changes_nothing(backup: Path, database_dsn: str) -> None:
    before = await fingerprint(database_dsn)
    psql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()"
    async with probe(database_dsn) as database:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def cancel_when_it_is_under_way() -> None:
                    while await rows(database, psql, restoring.APPLICATION) == [(0,)]:
                        await trio.lowlevel.checkpoint()
                    scope.cancel()

                nursery.start_soon(cancel_when_it_is_under_way)
                await bring_back(database_dsn, backup, force=True)
        assert scope.cancelled_caught
        assert await rows(database, psql, restoring.APPLICATION) == [(0,)]
    assert await fingerprint(database_dsn) == before
