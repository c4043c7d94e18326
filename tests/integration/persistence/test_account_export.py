"""An export has everything about its player, and nothing of anybody else or of what must stay a secret."""

import json
from typing import Any
from uuid import uuid4

import pytest

from persistence.account_export import EXPORTS, LEFT_OUT, ExportStore
from persistence.flush_transaction import write_by_steps
from persistence.postgres import Database
from tests.fakes.database_probe import claimed_players, rows
from tests.fakes.flushable_player import AT_MS
from tests.fakes.row_filler import fill
from tests.fakes.schema_breaker import people, script

#: Tables that say something about players: by a foreign key, or by a column that is called so.
_ABOUT_PLAYERS = """
    SELECT DISTINCT c.relname::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0
        AND (a.attname IN ('player_id', 'player_ids', 'inviter_id') OR EXISTS (
            SELECT FROM pg_constraint AS k
            WHERE k.conrelid = c.oid AND k.confrelid = 'players'::regclass AND a.attnum = ANY (k.conkey)
        ))
"""


async def exported(database: Database, player_id: int, *, page_rows: int = 500) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    async for page in ExportStore(database, page_rows=page_rows).pages(player_id, AT_MS):
        found.setdefault(page.name, []).extend(json.loads(row) for row in page.rows)
    return found


async def test_every_table_about_players_is_exported_or_left_out_with_a_reason(database: Database) -> None:
    there = {table for (table,) in await rows(database, _ABOUT_PLAYERS)}
    told = {export.table for export in EXPORTS.values()}
    assert told - {"players"} <= there, "a table that is gone"
    assert there - told - set(LEFT_OUT) == set(), "say in persistence/account_export.py what an export does with these"
    assert set(LEFT_OUT) - there == set()
    assert set(LEFT_OUT) & told == set()
    assert min(map(len, LEFT_OUT.values())) > 20


async def test_every_row_of_a_player_is_in_the_export(database: Database) -> None:
    await people(database, 3)
    every = (
        "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations'"
    )
    tables = [table for (table,) in await rows(database, every)]
    await fill(database, tables)
    filled = 0
    for (player_id,) in await rows(database, "SELECT id FROM players ORDER BY id"):
        found = await exported(database, player_id)
        assert list(found) == list(EXPORTS)
        for name, export in EXPORTS.items():
            [(count,)] = await rows(
                database, f"SELECT count(*) FROM {export.table} AS t WHERE {export.whose}", player_id
            )
            assert len(found[name]) == count, name
            filled += bool(count)
    assert filled > len(EXPORTS), "most sections of a player had rows"


async def test_no_hash_and_no_internal_number_of_a_player_is_handed_out(database: Database) -> None:
    columns = dict.fromkeys(
        await rows(
            database,
            "SELECT c.relname::text, a.attname::text FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND ("
            "  a.atttypid IN ('bytea'::regtype, 'bytea[]'::regtype) OR a.attname ~ 'hash' OR EXISTS ("
            "   SELECT FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.confrelid = 'players'::regclass"
            "   AND a.attnum = ANY (k.conkey)))",
        )
    )
    assert columns
    for name, export in EXPORTS.items():
        secret = {column for table, column in columns if table == export.table}
        assert secret <= {"player_id", *export.without}, name


async def test_a_long_section_comes_in_pages_and_whole(database: Database) -> None:
    player, other = await people(database, 2)
    await script(
        database,
        "INSERT INTO chat_messages (channel, seq, player_id, body, sent_at)"
        f" SELECT 'global', n, CASE n % 3 WHEN 0 THEN {other} ELSE {player} END, 'm' || n, now()"
        " FROM generate_series(1, 30) AS n;"
        " INSERT INTO impact_metrics"
        f" SELECT '2026-01-01'::date + n, 'influence', {player}, n FROM generate_series(1, 9) AS n",
    )
    whole = await exported(database, player)
    assert [message["seq"] for message in whole["chat_messages"]] == [n for n in range(1, 31) if n % 3]
    assert len(whole["metrics"]) == 9
    for page_rows in (1, 2, 3, 20):
        paged = await exported(database, player, page_rows=page_rows)
        assert {**paged, "security_log": []} == {**whole, "security_log": []}, page_rows
    pages = [page.name async for page in ExportStore(database, page_rows=5).pages(player, AT_MS)]
    assert pages.count("chat_messages") == 5, "four full ones and the empty end"
    assert pages.count("metrics") == 2


async def test_the_ledger_of_a_player_is_exported(database: Database) -> None:
    player, *_ = await claimed_players(database, 2)
    player.tap(1_000)
    player.post("taps:1")
    writes = player.take_writes()
    assert writes is not None
    await database.transaction(write_by_steps, uuid4(), 1, [writes])
    [entry] = (await exported(database, player.player_id))["ledger"]
    assert (entry["amount_mpt"], entry["balance_after_mpt"], entry["kind"]) == (1_000, 1_000, "tap_income")
    assert (await exported(database, player.player_id + 1))["ledger"] == []


async def test_what_others_did_and_how_cheats_are_found_is_not_told(database: Database) -> None:
    player, friend, blocker, blocked = await people(database, 4)
    await script(
        database,
        f"INSERT INTO friendships VALUES ({player}, {friend}, 'accepted', {friend}, now()),"
        f" ({player}, {blocker}, 'blocked', {blocker}, now()), ({player}, {blocked}, 'blocked', {player}, now());"
        f" INSERT INTO referrals (player_id, inviter_id, joined_at) VALUES ({friend}, {player}, now());"
        f" UPDATE players SET shadow_limited_at = now() WHERE id = {player};"
        f" INSERT INTO security_logs (at, event, player_id, score) VALUES (now(), 'suspicion', {player}, 50),"
        f" (now(), 'shadow_limited', {player}, 0), (now(), 'login', {player}, 0)",
    )
    public = dict(await rows(database, "SELECT id, public_id::text FROM players"))
    found = await exported(database, player)
    ties = {(tie["other"], tie["state"], tie["acted"]) for tie in found["friendships"]}
    assert ties == {(public[friend], "accepted", False), (public[blocked], "blocked", True)}
    assert [one["invited"] for one in found["invited"]] == [public[friend]]
    assert [one["inviter"] for one in (await exported(database, friend))["invited_by"]] == [public[player]]
    assert [event["event"] for event in found["security_log"]] == ["account_exported", "login"]
    text = json.dumps(found)
    assert "shadow" not in text
    assert "suspicion" not in text
    assert public[blocker] not in text


@pytest.mark.parametrize("name", sorted(EXPORTS))
async def test_a_section_of_who_has_nothing_is_there_and_empty(database: Database, name: str) -> None:
    [player] = await people(database, 1)
    found = await exported(database, player)
    assert (found[name] == []) is (name not in ("profile", "security_log"))
