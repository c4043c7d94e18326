"""An erased player: nothing personal is left anywhere, nothing of the ledger is lost, and nobody comes back."""

from uuid import UUID, uuid4

import pytest

from persistence.account_store import AccountStore, LoginProof
from persistence.flush_transaction import write_by_steps
from persistence.postgres import Connection, Database
from persistence.registration import Newcomer
from persistence.session_store import NewSession
from tests.fakes.database_probe import claimed_players, rows
from tests.fakes.flushable_player import AT_MS
from tests.fakes.schema_breaker import people, reconciliation, refusal, refusal_by_trigger, script

MARKER = "Zaphod"  #: in every text that can hold something personal
ADDRESS = "203.0.113.77"
TELEGRAM_ID = 7_777_000_111
CODE = "Zaphod42x"
OLD_PUBLIC_ID = UUID("2aff0d00-0000-4000-8000-00002aff0d00")
HASH = "sha256('Zaphod')"

ERASE = "SELECT erase_account('2aff0d00-0000-4000-8000-00002aff0d00', '2026-02-01 00:00Z', 'root')"

#: Everything that is written down about player 1, in every table that can hold something personal; 2 and 3 are others.
TRACES = f"""
    UPDATE players SET public_id = '{OLD_PUBLIC_ID}', telegram_id = {TELEGRAM_ID}, dev_name = NULL,
        display_name = '{MARKER}', premium = true, referral_code = '{CODE}', banned_until = 'infinity',
        ban_reason = 'calls himself {MARKER}' WHERE id = 1;
    INSERT INTO devices (player_id, device, client, address, first_seen_at, last_seen_at)
        VALUES (1, '{MARKER}s phone', '{MARKER}/1', '{ADDRESS}', now(), now());
    INSERT INTO player_sessions (id, player_id, refresh_hash, previous_hashes, client, created_at, expires_at,
        device_id)
        VALUES (gen_random_uuid(), 1, {HASH}, ARRAY[{HASH}], '{MARKER}/1', now(), 'infinity', 1);
    INSERT INTO game_sessions (player_id, device_id, started_at, ended_at) VALUES (1, 1, now(), now());
    INSERT INTO account_recovery (player_id, code_hash, issued_at, expires_at)
        VALUES (1, {HASH}, now(), now() + interval '1 day');
    INSERT INTO security_logs (at, event, player_id, address, detail) VALUES
        (now(), 'login', 1, '{ADDRESS}', '{{"client": "{MARKER}"}}'),
        ('2020-01-01', 'login', 1, '{ADDRESS}', '{{"client": "{MARKER}"}}');
    INSERT INTO rate_limit_logs (at, player_id, address, action, refused, window_s) VALUES (now(), 1,
        '{ADDRESS}', 'tap', 1, 60);
    INSERT INTO analytics_events (at, name, player_id, properties) VALUES (now(), 'opened', 1, '{{"as": "{MARKER}"}}');
    INSERT INTO notifications (player_id, key, kind, body, created_at, expires_at)
        VALUES (1, 'hello:{MARKER}', 'hello', '{{"text": "Hello {MARKER}"}}', now(), 'infinity');
    INSERT INTO notification_outbox (notification_id, next_try_at, last_error) VALUES (1, now(), '{MARKER} blocked us');
    INSERT INTO chat_messages (channel, seq, player_id, body, sent_at) VALUES
        ('global', 1, 2, 'hello', now()), ('global', 2, 1, 'I am {MARKER} of {ADDRESS}', now());
    INSERT INTO friendships VALUES (1, 2, 'accepted', 1, now()), (1, 3, 'blocked', 3, now());
    INSERT INTO emotional_investments VALUES (1, 'character', '{MARKER}', 10, '2026-01-01');
    INSERT INTO social_shares VALUES (1, 'x', '2026-01-01', 0, '2026-01-01 10:00Z');
    INSERT INTO operation_cursors (player_id, lineage, applied_seq) VALUES (1, '{MARKER}----------', 5);
    INSERT INTO operation_results (player_id, lineage, seq, answer) VALUES (1, '{MARKER}----------', 5, '{MARKER}');
    INSERT INTO write_dead_letters (node_run, batch, player_ids, writes, sqlstate, error) VALUES
        (gen_random_uuid(), 1, '{{1}}', '{{"name": "{MARKER}"}}', '23514', 'Failing row contains {MARKER}'),
        (gen_random_uuid(), 2, '{{1, 2}}', '{{"1": [5]}}', '23514', 'Failing row contains {MARKER}');
    INSERT INTO communities (name, description) VALUES ('{MARKER}s fans', 'We like {MARKER}');
    INSERT INTO communities (name) VALUES ('The Bells');
    INSERT INTO community_members (community_id, player_id, role, joined_at) VALUES
        (1, 1, 'owner', '2026-01-01'), (2, 2, 'owner', '2026-01-01');
    INSERT INTO community_members (community_id, player_id, state, joined_at) VALUES (2, 1, 'applied', '2026-01-01');
    INSERT INTO player_influence VALUES (1, 1, 0, 50, 2, now());
    INSERT INTO player_settings (player_id, locale, renamed_at) VALUES (1, 'de', now());
    INSERT INTO recovery_passphrases VALUES (1, '$2b$04$' || repeat('{MARKER}x', 7) || 'xxxx', now());
    INSERT INTO account_moves (player_id, code_hash, state, telegram_id, offered_at, expires_at, confirmed_at, due_at)
        VALUES (1, {HASH}, 'confirmed', {TELEGRAM_ID}, '2026-01-01', '2026-01-02', '2026-01-01', '2026-01-03');
"""


@pytest.fixture
async def database(database: Database) -> Database:
    """A database in which player 1, who has played and earned, has left traces everywhere."""
    player, *_ = await claimed_players(database, 3)
    assert player.player_id == 1
    player.tap(1_000)
    player.post("taps:1")
    player.tap(500)
    writes = player.take_writes()
    assert writes is not None
    assert await database.transaction(write_by_steps, uuid4(), 1, [writes]) == frozenset({0})
    await script(database, TRACES)
    assert await reconciliation(database) == []
    return database


async def traces(database: Database) -> set[str]:
    """Where a marker stands: `table.column` of every text, JSON, array, address, uuid and bytes, and every number."""
    columns = await rows(
        database,
        "SELECT c.relname::text, a.attname::text FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped",
    )
    [(digest,)] = await rows(database, f"SELECT encode({HASH}, 'hex')")
    marks = [MARKER, MARKER.encode().hex(), ADDRESS, str(TELEGRAM_ID), CODE, str(OLD_PUBLIC_ID), digest]
    found = set()
    for table, column in columns:
        any_row = f'SELECT EXISTS (SELECT FROM {table} WHERE "{column}"::text ILIKE ANY ($1::text[]))'
        if await rows(database, any_row, [f"%{mark}%" for mark in marks]) == [(True,)]:
            found.add(f"{table}.{column}")
    return found


async def test_nothing_personal_of_an_erased_player_is_left_in_any_column(database: Database) -> None:
    assert await traces(database) >= {
        "players.display_name",
        "players.telegram_id",
        "players.public_id",
        "players.referral_code",
        "players.ban_reason",
        "player_sessions.refresh_hash",
        "player_sessions.previous_hashes",
        "account_recovery.code_hash",
        "recovery_passphrases.hash",
        "account_moves.code_hash",
        "account_moves.telegram_id",
        "security_logs_default.detail",
        "operation_results.answer",
        "notification_outbox.last_error",
        "write_dead_letters.error",
        "communities.name",
    }
    assert await rows(database, ERASE) == [(True,)]
    assert await traces(database) == set()


async def test_the_ledger_of_an_erased_player_is_whole(database: Database) -> None:
    entries = await rows(database, "SELECT * FROM token_transactions ORDER BY transaction_id, account")
    await rows(database, ERASE)
    assert await reconciliation(database) == []
    assert await rows(database, "SELECT * FROM token_transactions ORDER BY transaction_id, account") == entries
    assert await rows(database, "SELECT balance_mpt, unposted_mpt FROM players WHERE id = 1") == [(1_500, 500)]


async def test_what_stays_has_no_name_and_what_others_need_stays(database: Database) -> None:
    await rows(database, ERASE)
    player = "SELECT display_name, telegram_id, premium, ban_reason, owner_node, owner_epoch FROM players WHERE id = 1"
    assert await rows(database, player) == [("erased player", None, False, "banned before it was erased", None, 2)]
    assert await rows(database, "SELECT seq, body, removed_at IS NOT NULL FROM chat_messages ORDER BY seq") == [
        (1, "hello", False),
        (2, "(removed)", True),
    ]
    letters = "SELECT writes::text, state::text, error FROM write_dead_letters ORDER BY id"
    assert await rows(database, letters) == [
        ("{}", "discarded", "(of an erased player)"),
        ('{"1": [5]}', "open", "(of an erased player)"),
    ]
    communities = "SELECT name, closed_at IS NOT NULL, member_count FROM communities ORDER BY id"
    assert await rows(database, communities) == [("closed community", True, 0), ("The Bells", False, 1)]
    assert await rows(database, "SELECT actor, action, player_id FROM admin_audit_log") == [
        ("root", "account.erase", 1)
    ]
    assert await rows(database, "SELECT count(*) FROM player_influence") == [(0,)]


async def test_whoever_marks_a_player_as_erased_erases_the_traces_too(database: Database) -> None:
    """players_erased."""
    await script(
        database,
        "UPDATE players SET erased_at = now(), telegram_id = NULL, display_name = 'x', ban_reason = 'x',"
        " referral_code = random_referral_code(), public_id = gen_random_uuid() WHERE id = 1;"
        "UPDATE communities SET closed_at = now() WHERE id = 1",
    )
    assert await traces(database) == {"communities.name", "communities.description"}  # which erase_account sees to


@pytest.mark.parametrize(
    ("members", "heir"),
    [
        ("(1, 2, 'member', 'active', '2026-01-02', NULL), (1, 3, 'officer', 'active', '2026-01-03', NULL)", 3),
        ("(1, 2, 'member', 'active', '2026-01-03', NULL), (1, 3, 'member', 'active', '2026-01-02', NULL)", 3),
        ("(1, 2, 'member', 'applied', '2026-01-02', NULL), (1, 3, 'member', 'active', '2026-01-03', NULL)", 3),
    ],
    ids=["officer before member", "the senior one", "not who only applied"],
)
async def test_a_community_passes_on(database: Database, members: str, heir: int) -> None:
    await script(
        database,
        "UPDATE communities SET closed_at = now() WHERE id = 2; DELETE FROM community_members WHERE player_id = 2;"
        f"INSERT INTO community_members (community_id, player_id, role, state, joined_at, left_at) VALUES {members}",
    )
    await rows(database, ERASE)
    owner = "SELECT player_id FROM community_members WHERE community_id = 1 AND role = 'owner'"
    assert await rows(database, owner) == [(heir,)]
    assert await rows(database, "SELECT closed_at, name FROM communities WHERE id = 1") == [(None, f"{MARKER}s fans")]
    assert await reconciliation(database) == []


async def test_whoever_marks_a_player_as_erased_erases_the_choices_too(database: Database) -> None:
    await script(database, "UPDATE communities SET closed_at = now() WHERE id = 1")
    mark = "UPDATE players SET erased_at = now(), telegram_id = NULL WHERE id = 1"
    left = "SELECT count(*) FROM (SELECT player_id FROM player_settings UNION ALL SELECT player_id FROM"
    left += " recovery_passphrases UNION ALL SELECT player_id FROM account_moves) AS chosen"
    assert await rows(database, left) == [(3,)]

    async def unguarded(connection: Connection) -> None:
        await connection.execute("ALTER TABLE players DISABLE TRIGGER players_erased_choices")
        await connection.execute(mark)
        assert await connection.fetchval(left) == 3
        raise LookupError

    with pytest.raises(LookupError):
        await database.transaction(unguarded)
    await script(database, mark)
    assert await rows(database, left) == [(0,)]


async def test_erased_stays_erased(database: Database) -> None:
    await rows(database, ERASE)
    for change in ("erased_at = NULL", f"telegram_id = {TELEGRAM_ID}", "dev_name = 'again'"):
        refused = await refusal(database, f"UPDATE players SET {change} WHERE id = 1")
        assert refused.constraint == "players_stay_erased"
    refused = await refusal_by_trigger(
        database, "players_stay_erased", "UPDATE players SET erased_at = NULL, telegram_id = 5 WHERE id = 1"
    )
    assert refused.constraint == "players_stay_erased"
    assert await rows(database, ERASE) == [(False,)]


async def test_the_same_telegram_account_is_a_new_player_afterwards(database: Database) -> None:
    somebody = Newcomer("Z", telegram_id=TELEGRAM_ID)
    session = NewSession(uuid4(), b"h" * 32, AT_MS + 1_000, "web", AT_MS)
    before = await AccountStore(database).login_by_telegram(somebody, session, LoginProof("init_data"))
    assert (before.player_id, before.created) == (1, False)
    await rows(database, ERASE)
    session = NewSession(uuid4(), b"i" * 32, AT_MS + 1_000, "web", AT_MS)
    after = await AccountStore(database).login_by_telegram(somebody, session, LoginProof("init_data"))
    assert after.created
    assert after.player_id not in (1, 2, 3)
    assert after.public_id != OLD_PUBLIC_ID


async def test_nobody_claims_an_erased_player(database: Database) -> None:
    await rows(database, ERASE)
    [(public_id,)] = await rows(database, "SELECT public_id FROM players WHERE id = 1")
    assert await rows(database, "SELECT id FROM claim_players($1, 'node-1')", [public_id]) == []


# ---- moving to another Telegram account

MOVE = f"SELECT migrate_account('{OLD_PUBLIC_ID}', 5, '2026-02-01 00:00Z', 'root')"


async def test_an_account_moves_with_everything_and_all_logins_end(database: Database) -> None:
    assert await rows(database, MOVE) == [(True,)]
    player = "SELECT telegram_id, balance_mpt, owner_epoch, owner_node FROM players WHERE id = 1"
    assert await rows(database, player) == [(5, 1_500, 2, None)]
    assert await rows(database, "SELECT count(*) FROM player_sessions WHERE revoked_at IS NULL") == [(0,)]
    assert await rows(database, "SELECT action FROM admin_audit_log") == [("account.migrate",)]


async def test_a_blank_player_of_the_new_account_makes_room(database: Database) -> None:
    [blank] = await people(database, 1)
    await script(database, f"UPDATE players SET telegram_id = 5, display_name = 'blank' WHERE id = {blank}")
    assert await rows(database, MOVE) == [(True,)]
    assert await rows(database, f"SELECT erased_at IS NOT NULL FROM players WHERE id = {blank}") == [(True,)]
    assert await rows(database, "SELECT id FROM players WHERE telegram_id = 5") == [(1,)]


@pytest.mark.parametrize(
    "played", ["UPDATE players SET xp = 1 WHERE id = 4", "INSERT INTO referrals VALUES (5, 4, false, now())"]
)
async def test_a_player_who_has_played_is_not_overwritten(database: Database, played: str) -> None:
    assert await people(database, 2) == [4, 5]
    await script(database, f"UPDATE players SET telegram_id = 5 WHERE id = 4; {played}")
    refused = await refusal(database, MOVE)
    assert refused.constraint == "players_telegram_id_key"
    assert await rows(database, "SELECT owner_epoch FROM players WHERE id = 1") == [(1,)]


async def test_a_recovery_code_is_good_once(database: Database) -> None:
    redeem = f"SELECT redeem_recovery_code({HASH}, 5, now(), 'recovery')"
    assert await rows(database, redeem) == [(OLD_PUBLIC_ID,)]
    assert await rows(database, redeem) == [(None,)]
    assert await rows(database, redeem.replace("Zaphod", "guess")) == [(None,)]
    events = "SELECT event::text, player_id FROM security_logs WHERE event::text LIKE 'recovery%' ORDER BY id"
    assert await rows(database, events) == [
        ("recovery_code_used", 1),
        ("recovery_code_refused", 1),
        ("recovery_code_refused", None),
    ]
