"""Reports and reconciliation: every view can be read, and whatever is wrong is named."""

import pytest

from persistence.operator_store import REPORTS, describe_reports, read_report, reconcile
from persistence.postgres import Database
from tests.fakes.database_probe import claimed_players, rows


async def test_every_report_can_be_read_and_says_what_it_is_for(database: Database) -> None:
    await claimed_players(database, 3)
    meanings = await describe_reports(database)
    assert meanings.keys() == REPORTS.keys()
    for name, report in REPORTS.items():
        found = await read_report(database, report, limit=2)
        assert meanings[name]
        assert len(found.columns) > 2
        assert all(len(row) == len(found.columns) for row in found.rows)


async def test_every_view_is_a_report(database: Database) -> None:
    views = await rows(database, "SELECT viewname::text FROM pg_views WHERE schemaname = 'public'")
    assert {name for (name,) in views} == {report.view for report in REPORTS.values()}


async def test_a_limit_and_one_player(database: Database) -> None:
    await claimed_players(database, 3)
    all_of_them = await read_report(database, REPORTS["players"], limit=3)
    two = await read_report(database, REPORTS["players"], limit=2)
    assert (len(all_of_them.rows), all_of_them.more) == (3, False)
    assert (two.rows, two.more) == (all_of_them.rows[:2], True)
    player = all_of_them.rows[1][all_of_them.columns.index("public_id")]
    one = await read_report(database, REPORTS["players"], limit=3, player=player)  # type: ignore[arg-type]
    assert one.rows == all_of_them.rows[1:2]


async def test_a_game_that_agrees(database: Database) -> None:
    await claimed_players(database, 3)
    assert await reconcile(database) == []


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE players SET balance_mpt = 7 WHERE id = 1", "a player's balance without what is unposted"),
        ("UPDATE players SET balance_mpt = 7 WHERE id = 1", "all balances and the escrow"),
        ("UPDATE players SET generation = 2 WHERE id = 1", "a generation holds the players up to its threshold"),
        ("UPDATE players SET join_seq = 9 WHERE id = 1", "players are numbered without a gap"),
        ("INSERT INTO ledger_keys (key, node_run, batch) VALUES ('k', gen_random_uuid(), 1)", "a key has its entries"),
        (
            "INSERT INTO player_grants (player_id, key, kind, amount_mpt) VALUES (1, 'k', 'transfer_received', 5)",
            "the escrow holds what is on its way",
        ),
        ("UPDATE communities SET member_count = 5", "member_count counts the active members"),
        ("UPDATE chat_channels SET last_seq = 9", "a channel's last number is that of its last message"),
        (
            "ALTER TABLE admin_audit_log DISABLE TRIGGER USER; UPDATE admin_audit_log SET actor = 'nobody'",
            "the audit log is whole",
        ),
        (
            "ALTER TABLE admin_audit_log DISABLE TRIGGER USER; DELETE FROM admin_audit_log WHERE id = 1",
            "the audit log is whole",
        ),
    ],
)
async def test_what_is_wrong_is_named(database: Database, damage: str, named: str) -> None:
    await claimed_players(database, 3)
    for sql in (
        """
        WITH c AS (INSERT INTO communities (name) VALUES ('Tenants') RETURNING id)
        INSERT INTO community_members (community_id, player_id, role, joined_at) SELECT id, 1, 'owner', now() FROM c
        """,
        "INSERT INTO chat_messages (channel, seq, player_id, body, sent_at) VALUES ('lobby', 1, 1, 'Hello', now())",
        "INSERT INTO admin_audit_log (actor, action) VALUES ('a', 'test.one'), ('a', 'test.two')",
    ):
        await rows(database, sql)
    assert await reconcile(database) == []
    for statement in damage.split("; "):
        await rows(database, statement)
    found = await reconcile(database)
    assert any(one.invariant.startswith(named) for one in found), found
    assert all(one.expected != one.found for one in found)
