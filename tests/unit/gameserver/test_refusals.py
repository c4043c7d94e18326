"""What the database refuses, as peers are told."""

import pytest

from gameserver.errors import ErrorCode
from gameserver.refusals import refusal
from persistence.errors import Duplicate, Rejected


@pytest.mark.parametrize(
    ("sqlstate", "constraint", "code"),
    [
        ("23514", "players_balance_check", ErrorCode.INSUFFICIENT),
        ("23514", "players_xp_check", ErrorCode.INVALID_ARGUMENT),
        ("23514", "communities_owner_check", ErrorCode.CONFLICT),
        ("23514", "referrals_acyclic_check", ErrorCode.INVALID_ARGUMENT),
        ("23505", "ledger_keys_pkey", ErrorCode.CONFLICT),
        ("23P01", "viral_events_never_stack", ErrorCode.CONFLICT),
        ("23503", "player_badges_badge_id_fkey", ErrorCode.NOT_FOUND),
        ("23001", "", ErrorCode.FORBIDDEN),
        ("23001", "referrals_write_once", ErrorCode.FORBIDDEN),
        ("23001", "leaderboard_entries_frozen", ErrorCode.CONFLICT),
        ("23001", "players_stay_erased", ErrorCode.NOT_FOUND),
        ("22003", "", ErrorCode.INVALID_ARGUMENT),
        ("42P01", "", ErrorCode.INTERNAL),
        ("", "", ErrorCode.INTERNAL),
    ],
)
def test_each_refusal_has_its_wire_error(sqlstate: str, constraint: str, code: ErrorCode) -> None:
    error = refusal(Rejected("in PostgreSQL's words", sqlstate=sqlstate, constraint=constraint))
    assert error.code is code
    assert error.retry_after_ms == 0
    assert "PostgreSQL" not in error.message


def test_a_duplicate_is_a_conflict_and_anything_else_a_bug() -> None:
    assert refusal(Duplicate("twice", sqlstate="23505")).code is ErrorCode.CONFLICT
    assert refusal(ValueError("a bug")).code is ErrorCode.INTERNAL
