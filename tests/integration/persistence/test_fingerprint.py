"""What counts as a change of the schema, and what does not."""

import os
from pathlib import Path

import psutil
import pytest
import trio

from persistence.embedded import Embedded
from persistence.errors import SchemaMismatch
from persistence.migrations import migrate
from persistence.migrations.fingerprint import differences, fingerprint_of, read_objects
from persistence.migrations.migrate import Revision
from persistence.postgres import Connection, Database
from tests.fakes.database_probe import rows


async def run(database: Database, sql: str) -> None:
    async def execute(connection: Connection) -> None:
        await connection.execute(sql)

    await database.run(execute)


QUIET = "CREATE OR REPLACE FUNCTION notify_content() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
UNGUARDED = "ALTER TABLE token_transactions DROP CONSTRAINT token_transactions_amount_check"

CHANGES = {
    "DROP INDEX players_generation_idx": "index players_generation_idx of players is missing",
    "DROP TRIGGER player_grants_notify ON player_grants": "trigger player_grants_notify of player_grants is missing",
    "ALTER TABLE ledger_keys DISABLE TRIGGER ALL": "trigger ledger_keys_append_only of ledger_keys is different",
    "ALTER TABLE players DROP CONSTRAINT players_xp_check": "constraint players_xp_check of players is missing",
    UNGUARDED: "constraint token_transactions_amount_check of token_transactions is missing",
    "ALTER DOMAIN reward_mpt DROP CONSTRAINT reward_mpt_check": "constraint reward_mpt_check of reward_mpt is missing",
    "ALTER TABLE players DROP COLUMN double_until": "column players.double_until is missing",
    "ALTER TABLE players ADD COLUMN extra int": "column players.extra is new",
    "ALTER TABLE players ALTER COLUMN premium SET DEFAULT true": "column players.premium is different",
    "ALTER TABLE players ALTER COLUMN display_name DROP NOT NULL": "column players.display_name is different",
    "ALTER TABLE content_versions ALTER COLUMN entries TYPE bigint": "column content_versions.entries is different",
    "DROP TABLE content_versions": "table content_versions is missing",
    "CREATE TABLE notes (id int PRIMARY KEY, CHECK (id > 0))": "table notes is new",
    "DROP VIEW ledger_reconciliation": "view ledger_reconciliation is missing",
    QUIET: "function notify_content() is different",
    "CREATE RULE quiet AS ON DELETE TO players DO INSTEAD NOTHING": "rule quiet of players is new",
    "ALTER TYPE play_state ADD VALUE 'paused'": "enum play_state is different",
    "ALTER SEQUENCE players_id_seq INCREMENT BY 2": "sequence players_id_seq is different",
    "CREATE TYPE span AS RANGE (subtype = float8)": "range span is new",
}
#: changes of one thing that show in others too
WIDER = ("ALTER TABLE ledger_keys DISABLE TRIGGER ALL", UNGUARDED)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_by_hand_is_found_and_named(database: Database, change: str) -> None:
    await migrate.check(database)
    await run(database, change)
    found = await migrate.drift(database)
    assert CHANGES[change] in found
    assert len(found) == 1 or change in WIDER
    commands = r"changed by hand \(.*`gameserver migrate status`.*`gameserver migrate accept`"
    with pytest.raises(SchemaMismatch, match=commands):
        await migrate.check(database)


async def test_a_partition_that_is_none_any_more_is_found_and_a_long_list_is_cut_short(database: Database) -> None:
    await run(database, "ALTER TABLE token_transactions DETACH PARTITION token_transactions_default")
    assert "table token_transactions_default is different" in await migrate.drift(database)
    with pytest.raises(SchemaMismatch, match=r"changed by hand \([^,]*, [^,]*, [^,]* and \d+ more\)"):
        await migrate.check(database)


@pytest.mark.parametrize(
    "change",
    [
        "SELECT create_ledger_partitions('2040-01-01', 12)",
        "SELECT maintain_partitions('2041-05-01'); SELECT prune('2050-01-01')",
        "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION btree_gist",
        "COMMENT ON TABLE players IS 'people'",
        "ALTER TABLE players SET (autovacuum_vacuum_scale_factor = 0.2)",
        "CREATE STATISTICS players_statistics ON generation, premium FROM players; ANALYZE players",
        "CREATE SCHEMA reports CREATE TABLE totals (id int)",
    ],
)
async def test_what_is_no_change_of_the_schema(database: Database, change: str) -> None:
    await run(database, change)
    assert await migrate.drift(database) == []
    await migrate.check(database)


async def test_the_settings_of_a_database_make_no_difference(database: Database, database_dsn: str) -> None:
    objects = await database.transaction(read_objects)
    for setting in (
        "search_path TO pg_catalog, public",
        "\"DateStyle\" TO 'German'",
        "\"IntervalStyle\" TO 'iso_8601'",
        "extra_float_digits TO 0",
        "quote_all_identifiers TO on",
    ):
        [(name,)] = await rows(database, "SELECT current_database()")
        await run(database, f"ALTER DATABASE {name} SET {setting}")
    async with Database.open(database_dsn) as other:
        assert await rows(other, "SELECT current_setting('quote_all_identifiers')") == [("on",)]
        assert await other.transaction(read_objects) == objects
        await migrate.check(other)


async def test_an_enum_value_added_by_a_revision_is_no_drift(empty_database: Database) -> None:
    one = Revision(
        "0001", "one", "CREATE TYPE one AS ENUM ('a'); CREATE TABLE of_one (v one)", "DROP TABLE of_one; DROP TYPE one"
    )
    two = Revision("0002", "two", "ALTER TYPE one ADD VALUE 'b'; CREATE TABLE two ()", "DROP TABLE two")
    await migrate.up(empty_database, revisions=(one, two))
    await migrate.check(empty_database, revisions=(one, two))
    assert await migrate.down(empty_database, "0001", revisions=(one, two)) == ["0002"]
    await migrate.check(empty_database, revisions=(one,))


async def test_a_dump_that_is_restored_has_the_same_fingerprint(
    database: Database, database_dsn: str, empty_database_dsn: str, postgres_server: Embedded, tmp_path: Path
) -> None:
    programs = Path(psutil.Process(postgres_server.pid).exe()).parent
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    for program, *arguments in (
        ("pg_dump", "-Fc", "-f", str(tmp_path / "dump"), database_dsn),
        ("pg_restore", "--exit-on-error", "-d", empty_database_dsn, str(tmp_path / "dump")),
    ):
        await trio.run_process([programs / program, *arguments], env=environment)
    objects = await database.transaction(read_objects)
    async with Database.open(empty_database_dsn) as restored:
        assert differences(objects, await restored.transaction(read_objects)) == []
        await migrate.check(restored)


def test_differences_in_words() -> None:
    before = {"table a": "1", "column a.id": "1", "index a_i of a": "1", "view v": "1", "enum e": "1"}
    now = {"table b": "1", "constraint b_c of b": "1", "view v": "2", "enum e": "1", "column c.id": "1"}
    assert differences(before, now) == [
        "column c.id is new",
        "table a is missing",
        "table b is new",
        "view v is different",
    ]
    assert differences(now, now) == []
    assert fingerprint_of(before) == fingerprint_of(dict(reversed(before.items()))) != fingerprint_of(now)
