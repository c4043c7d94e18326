"""Logins, the operators' audit log, and keys that are used once."""

import pytest
import trio

from persistence.errors import Duplicate
from persistence.postgres import Database
from tests.fakes.database_probe import rows
from tests.fakes.schema_breaker import people, reconciliation, refusal, refusal_by_trigger, script

AUDIT = "INSERT INTO admin_audit_log (actor, action, player_id, detail) VALUES "


@pytest.fixture
async def database(database: Database) -> Database:
    """A database with two players, a login of the first, and three entries in the audit log."""
    assert await people(database, 2) == [1, 2]
    await script(
        database,
        "INSERT INTO devices (player_id, device, first_seen_at, last_seen_at) VALUES (1, 'd1', now(), now());"
        "INSERT INTO player_sessions (id, player_id, refresh_hash, client, created_at, expires_at, device_id)"
        " VALUES (gen_random_uuid(), 1, sha256('one'), 'web', now(), 'infinity', 1);"
        "INSERT INTO account_recovery (player_id, code_hash, issued_at, expires_at)"
        " VALUES (1, sha256('code'), now(), now() + interval '30 days')",
    )
    for action in ("player.ban", "player.unban", "backup.make"):
        await script(database, f"""{AUDIT}('root', '{action}', 1, '{{"why": "spam"}}')""")
    return database


# ---- the audit log


@pytest.mark.parametrize(
    ("trigger", "change"),
    [
        ("admin_audit_log_append_only", "UPDATE admin_audit_log SET actor = 'nobody' WHERE id = 2"),
        ("admin_audit_log_append_only", "UPDATE admin_audit_log SET hash = sha256('x') WHERE id = 2"),
        ("admin_audit_log_append_only", "DELETE FROM admin_audit_log WHERE id = 3"),
        ("admin_audit_log_no_truncate", "TRUNCATE admin_audit_log"),
    ],
)
async def test_the_audit_log_is_append_only(database: Database, trigger: str, change: str) -> None:
    before = await rows(database, "SELECT * FROM admin_audit_log ORDER BY id")
    assert "append-only" in str(await refusal_by_trigger(database, trigger, change))
    assert await rows(database, "SELECT * FROM admin_audit_log ORDER BY id") == before
    assert await reconciliation(database) == []


async def test_the_writer_of_the_audit_log_chooses_neither_number_nor_time_nor_hash(database: Database) -> None:
    """admin_audit_log_chain."""
    await script(
        database,
        "INSERT INTO admin_audit_log (id, at, actor, action, previous_hash, hash)"
        " VALUES (77, 'epoch', 'root', 'server.stop', sha256('forged'), sha256('forged'))",
    )
    [(id_, recent, follows, forged)] = await rows(
        database,
        "SELECT a.id, a.at > now() - interval '1 minute', a.previous_hash = b.hash, a.hash = sha256('forged')"
        " FROM admin_audit_log AS a JOIN admin_audit_log AS b ON b.id = 3 WHERE a.action = 'server.stop'",
    )
    assert (id_, recent, follows, forged) == (4, True, True, False)
    assert await rows(database, "SELECT * FROM audit_problems()") == []
    chained = await rows(database, "SELECT array_agg(id ORDER BY id) FROM admin_audit_log")
    assert chained == [([1, 2, 3, 4],)]


@pytest.mark.parametrize(
    ("tampering", "problems"),
    [
        ("UPDATE admin_audit_log SET actor = 'nobody' WHERE id = 2", [(2, "was changed")]),
        ("""UPDATE admin_audit_log SET detail = '{"why": "fun"}' WHERE id = 2""", [(2, "was changed")]),
        ("UPDATE admin_audit_log SET player_id = 2 WHERE id = 2", [(2, "was changed")]),
        ("UPDATE admin_audit_log SET at = at - interval '1 day' WHERE id = 2", [(2, "was changed")]),
        ("DELETE FROM admin_audit_log WHERE id = 2", [(3, "an entry before it is missing")]),
        (
            "DELETE FROM admin_audit_log WHERE id = 1",
            [(2, "an entry before it is missing"), (3, "an entry before it is missing")],
        ),
        (
            (
                "UPDATE admin_audit_log SET actor = 'nobody', hash = audit_hash(previous_hash, id, at,"
                " 'nobody', action, player_id,"
                " detail) WHERE id = 2"
            ),
            [(3, "does not follow the entry before it")],
        ),
    ],
)
async def test_tampering_by_somebody_who_can_disable_triggers_is_found(
    database: Database, tampering: str, problems: list[tuple[int, str]]
) -> None:
    await script(
        database,
        f"ALTER TABLE admin_audit_log DISABLE TRIGGER USER; {tampering}; ALTER TABLE admin_audit_log ENABLE"
        f" TRIGGER USER",
    )
    assert await rows(database, "SELECT id, problem FROM audit_problems() ORDER BY id") == problems
    assert [subject for subject, _, _ in await reconciliation(database)] == [f"entry {id_}" for id_, _ in problems]


@pytest.mark.parametrize("action", ["ban", "player.", "Player.ban", "player.ban it"])
async def test_actions_are_named_by_subject_and_verb(database: Database, action: str) -> None:
    refused = await refusal(database, f"{AUDIT}('root', '{action}', NULL, '{{}}')")
    assert refused.constraint == "admin_audit_log_action_check"


# ---- keys


@pytest.mark.parametrize(
    ("insert", "constraint"),
    [
        ("ledger_keys (key, node_run, batch) VALUES ('k', gen_random_uuid(), 1)", "ledger_keys_pkey"),
        ("player_grants (player_id, key, kind) VALUES (1, 'k', 'full_energy')", "player_grants_key_key"),
        ("write_batches VALUES ('6f2c1b1e-0000-4000-8000-000000000001', 1, 0, 0)", "write_batches_pkey"),
        ("schedules (job, period_start, fired_at) VALUES ('prune', '2026-01-01', now())", "schedules_pkey"),
        (
            (
                "notifications (player_id, key, kind, body, created_at, expires_at)"
                " VALUES (1, 'k', 'level_up', '{}', now(), 'infinity')"
            ),
            "notifications_key_key",
        ),
    ],
)
async def test_a_key_is_used_once(database: Database, insert: str, constraint: str) -> None:
    await script(database, f"INSERT INTO {insert}")
    refused = await refusal(database, f"INSERT INTO {insert}")
    assert isinstance(refused, Duplicate)
    assert refused.constraint == constraint


async def test_a_grant_to_one_player_uses_the_key_up_for_all(database: Database) -> None:
    await script(database, "INSERT INTO player_grants (player_id, key, kind) VALUES (1, 'k', 'full_energy')")
    refused = await refusal(database, "INSERT INTO player_grants (player_id, key, kind) VALUES (2, 'k', 'pool_share')")
    assert refused.constraint == "player_grants_key_key"
    await script(
        database,
        "INSERT INTO notifications (player_id, key, kind, body, created_at, expires_at) VALUES"
        " (1, 'k', 'level_up', '{}', now(), 'infinity'), (2, 'k', 'level_up', '{}', now(), 'infinity')",
    )


async def test_an_answer_is_stored_once(database: Database) -> None:
    cursor = (
        "INSERT INTO operation_cursors (player_id, lineage, applied_seq) VALUES (1, decode(repeat('ab', 16), 'hex'), 9)"
    )
    answer = (
        "INSERT INTO operation_results (player_id, lineage, seq, answer)"
        " VALUES (1, decode(repeat('ab', 16), 'hex'), 9, '\\x80')"
    )
    assert (await refusal(database, answer)).constraint == "operation_results_cursor_fkey"
    await script(database, f"{cursor};{answer}")
    assert (await refusal(database, answer)).constraint == "operation_results_pkey"


# ---- logins


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("player_sessions SET refresh_hash = 'short'", "player_sessions_refresh_hash_check"),
        ("player_sessions SET expires_at = created_at", "player_sessions_expires_check"),
        ("player_sessions SET device_id = 9", "player_sessions_device_id_fkey"),
        ("account_recovery SET expires_at = issued_at + interval '31 days'", "account_recovery_expires_check"),
        ("account_recovery SET used_at = expires_at + interval '1 s'", "account_recovery_used_check"),
        ("devices SET last_seen_at = first_seen_at - interval '1 s'", "devices_seen_check"),
        ("players SET referral_code = 'short'", "players_referral_code_check"),
        ("players SET referral_code = 'Same01234'", "players_referral_code_key"),
        ("players SET banned_until = 'infinity'", "players_ban_reason_check"),
        ("players SET ban_reason = 'spam'", "players_ban_reason_check"),
        ("players SET telegram_id = id, erased_at = now()", "players_erased_check"),
    ],
)
async def test_accounts_in_a_state_that_cannot_be(database: Database, change: str, constraint: str) -> None:
    assert (await refusal(database, f"UPDATE {change}")).constraint == constraint


@pytest.mark.parametrize(
    ("row", "constraint"),
    [
        ("security_logs (at, event, score) VALUES (now(), 'login', 1)", "security_logs_score_event_check"),
        ("security_logs (at, event, detail) VALUES (now(), 'login', '[]')", "security_logs_detail_check"),
        ("rate_limit_logs (at, action, refused, window_s) VALUES (now(), 'tap', 1, 60)", "rate_limit_logs_whom_check"),
        ("analytics_events (at, name) VALUES (now(), 'Opened')", "content_key_check"),
        ("impact_metrics VALUES ('2026-01-01', 'taps', 1, 5)", "impact_metrics_player_check"),
        ("impact_metrics VALUES ('2026-01-01', 'influence', NULL, 5)", "impact_metrics_player_check"),
        (
            "player_daily_stats (player_id, day, play_s, reached_at) VALUES (1, '2026-01-01', 86401, now())",
            "player_daily_stats_play_check",
        ),
        ("schedules (job, period_start, fired_at) VALUES ('Prune', '2026-01-01', now())", "schedules_job_check"),
    ],
)
async def test_log_entries_that_cannot_be(database: Database, row: str, constraint: str) -> None:
    refused = await refusal(database, f"INSERT INTO {row}")
    assert refused.constraint == constraint


async def test_a_figure_of_the_day_is_one_row_for_the_whole_game_too(database: Database) -> None:
    figure = "INSERT INTO impact_metrics VALUES ('2026-01-01', 'taps', NULL, 5)"
    await script(database, figure)
    assert (await refusal(database, figure)).constraint == "impact_metrics_key"


# ---- who is told


@pytest.mark.parametrize(
    ("trigger", "channel", "change"),
    [
        (
            "player_grants_notify",
            "player_grants",
            "INSERT INTO player_grants (player_id, key, kind) VALUES (1, 'a', 'full_energy'), (1, 'b', 'full_energy')",
        ),
        ("content_versions_notify", "content", "INSERT INTO content_versions VALUES ('badges', sha256('x'), 1)"),
    ],
)
async def test_a_change_wakes_who_listens_and_a_statement_wakes_once(
    database: Database, trigger: str, channel: str, change: str
) -> None:
    heard, has_heard = trio.open_memory_channel[None](10)
    async with trio.open_nursery() as nursery:
        await nursery.start(database.listen, channel, lambda _: heard.send_nowait(None))
        has_heard.receive_nowait()  # the call that comes after every connect
        with trio.fail_after(30):
            await script(database, change)
            await has_heard.receive()
            await script(database, f"NOTIFY {channel}")  # what comes after it has waited behind it
            await has_heard.receive()
        assert has_heard.statistics().current_buffer_used == 0
        nursery.cancel_scope.cancel()
    assert await rows(database, "SELECT count(*) FROM pg_trigger WHERE tgname = $1", trigger) == [(1,)]
