"""Attempts to break an invariant, made in SQL: the database refuses, and the server has the right wire error for it."""

from uuid import uuid4

import pytest

from gameserver.errors import ErrorCode
from gameserver.refusals import refusal
from persistence.errors import Rejected
from persistence.flush_transaction import write_by_steps
from persistence.postgres import Connection, Database
from tests.fakes.database_probe import claimed_players, rows

FURNITURE = (
    "INSERT INTO referrals (player_id, inviter_id, joined_at) VALUES (2, 1, now())",
    """
    WITH c AS (INSERT INTO communities (name) VALUES ('Tenants') RETURNING id)
    INSERT INTO community_members (community_id, player_id, role, joined_at)
    SELECT id, player, role::community_role, now() FROM c, (VALUES (1, 'owner'), (2, 'member')) AS m (player, role)
    """,
    """
    INSERT INTO leaderboards (board, period, period_start, snapshot_at, frozen_at)
    VALUES ('taps', 'day', '2026-01-01', now(), now())
    """,
    """
    INSERT INTO competitions (title, state, entry_fee_mpt, bonus_mpt, opens_at, starts_at, ends_at)
    VALUES ('Round', 'running', 0, 0, '2026-01-01', '2026-01-01', '2026-01-02')
    """,
    """
    INSERT INTO player_competitions (competition_id, player_id, fee_mpt, entered_at, reached_at)
    VALUES (1, 1, 0, now(), now())
    """,
    "UPDATE competitions SET state = 'frozen', frozen_at = now()",
    """
    INSERT INTO viral_events (tier, activations, event_bp, started_at, ends_at)
    VALUES (1, 100, 1000, '2026-01-01 00:00', '2026-01-01 01:00')
    """,
    "SELECT erase_account(public_id, now(), 'test') FROM players WHERE id = 3",
)


@pytest.fixture
async def furnished(database: Database) -> Database:
    """Three players: one invited the other, owns a community and has an entry in the ledger; the third is erased."""
    [first, *_] = await claimed_players(database, 3)
    first.tap(1_000)
    first.post("taps:1")
    writes = first.take_writes()
    assert writes is not None
    assert await database.transaction(write_by_steps, uuid4(), 1, [writes])
    for sql in FURNITURE:
        await rows(database, sql)
    return database


@pytest.mark.parametrize(
    ("attempt", "code"),
    [
        ("UPDATE players SET balance_mpt = -1, unposted_mpt = -1 WHERE id = 1", ErrorCode.INSUFFICIENT),
        ("UPDATE communities SET treasury_mpt = -1", ErrorCode.INSUFFICIENT),
        ("UPDATE token_transactions SET amount_mpt = 7", ErrorCode.FORBIDDEN),
        ("DELETE FROM ledger_keys", ErrorCode.FORBIDDEN),
        ("UPDATE referrals SET inviter_id = 3", ErrorCode.FORBIDDEN),
        ("INSERT INTO referrals (player_id, inviter_id, joined_at) VALUES (1, 2, now())", ErrorCode.INVALID_ARGUMENT),
        ("INSERT INTO referrals (player_id, inviter_id, joined_at) VALUES (3, 3, now())", ErrorCode.INVALID_ARGUMENT),
        ("UPDATE community_members SET role = 'owner' WHERE player_id = 2", ErrorCode.CONFLICT),
        ("UPDATE community_members SET role = 'member' WHERE player_id = 1", ErrorCode.CONFLICT),
        ("UPDATE communities SET member_count = 10001", ErrorCode.CONFLICT),
        (
            """
            INSERT INTO leaderboard_entries (leaderboard_id, rank, player_id, score, reached_at)
            SELECT id, 1, 1, 1, now() FROM leaderboards
            """,
            ErrorCode.CONFLICT,
        ),
        ("UPDATE leaderboards SET frozen_at = NULL", ErrorCode.CONFLICT),
        ("UPDATE player_competitions SET score = 7", ErrorCode.CONFLICT),
        ("UPDATE competitions SET state = 'open', frozen_at = NULL", ErrorCode.CONFLICT),
        ("UPDATE competitions SET bonus_mpt = 7", ErrorCode.CONFLICT),
        (
            "INSERT INTO ledger_keys (key, node_run, batch) VALUES ('taps:1', gen_random_uuid(), 2)",
            ErrorCode.CONFLICT,
        ),
        (
            """
            INSERT INTO viral_events (tier, activations, event_bp, started_at, ends_at)
            VALUES (2, 200, 2000, '2026-01-01 00:30', '2026-01-01 01:30')
            """,
            ErrorCode.CONFLICT,
        ),
        ("INSERT INTO player_badges VALUES (1, 4711, now())", ErrorCode.NOT_FOUND),
        ("UPDATE players SET telegram_id = 5 WHERE id = 3", ErrorCode.NOT_FOUND),
        ("UPDATE players SET combo = -1 WHERE id = 1", ErrorCode.INVALID_ARGUMENT),
        ("UPDATE players SET taps = 9223372036854775808 WHERE id = 1", ErrorCode.INVALID_ARGUMENT),
    ],
)
async def test_the_database_refuses_and_the_peer_is_told_why(
    furnished: Database, attempt: str, code: ErrorCode
) -> None:
    with pytest.raises(Rejected) as caught:
        await rows(furnished, attempt)
    error = refusal(caught.value)
    assert error.code is code, (caught.value, caught.value.constraint)
    assert str(caught.value) not in error.message


async def test_an_unbalanced_transaction_is_a_bug_of_ours(furnished: Database) -> None:
    async def forge(connection: Connection) -> None:
        run = uuid4()
        await connection.execute("INSERT INTO write_batches VALUES ($1, 1, 0, 0)", run)
        await connection.execute(
            """
            WITH k AS (INSERT INTO ledger_keys (key, node_run, batch) VALUES ('forged', $1, 1) RETURNING transaction_id)
            INSERT INTO token_transactions SELECT transaction_id, now(), 'player', 1, 'tap_income', 7, 1007 FROM k
            """,
            run,
        )

    with pytest.raises(Rejected) as caught:
        await furnished.transaction(forge)
    assert refusal(caught.value).code is ErrorCode.INTERNAL
