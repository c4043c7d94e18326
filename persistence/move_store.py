"""Moves of players to other Telegram accounts, confirmed on both sides.

The old side offers a code, the new side confirms with it, and after a time in which the old side may cancel, the
schedule completes it (`complete_moves`).
"""

import enum

from persistence.caller import Caller, player_of
from persistence.postgres import Connection, Database

_CONFIRMED = "SELECT EXISTS (SELECT FROM account_moves WHERE player_id = $1 AND state = 'confirmed')"
_CANCEL = """
    UPDATE account_moves SET state = 'cancelled', telegram_id = NULL,
        closed_at = greatest(time_from_ms($2), offered_at, confirmed_at)
    WHERE player_id = $1 AND closed_at IS NULL
"""
_OFFER = """
    INSERT INTO account_moves (player_id, code_hash, offered_at, expires_at)
    VALUES ($1, $2, time_from_ms($3), time_from_ms($4))
"""
_FIND = "SELECT player_id FROM account_moves WHERE code_hash = $1"
_LOCK = "SELECT FROM players WHERE id = $1 FOR NO KEY UPDATE"
_IS_OPEN = """
    SELECT p.telegram_id IS NOT DISTINCT FROM $2 FROM account_moves AS m JOIN players AS p ON p.id = m.player_id
    WHERE m.code_hash = $1 AND m.state = 'offered' AND time_from_ms($3) BETWEEN m.offered_at AND m.expires_at
"""
# `migrate_account` decides it in the end; this says so a day earlier.
_HAS_PLAYED = """
    SELECT EXISTS (
        SELECT FROM players AS p WHERE p.telegram_id = $1 AND (p.xp > 0 OR p.balance_mpt > 0
            OR EXISTS (SELECT FROM referrals AS r WHERE r.inviter_id = p.id))
    )
"""
_EXPECTED = "SELECT EXISTS (SELECT FROM account_moves WHERE telegram_id = $1 AND state = 'confirmed')"
_CONFIRM = """
    UPDATE account_moves SET state = 'confirmed', telegram_id = $2, confirmed_at = time_from_ms($3),
        due_at = time_from_ms($4)
    WHERE code_hash = $1
"""
_TELL = """
    INSERT INTO notifications (player_id, key, kind, body, created_at, expires_at)
    SELECT m.player_id, 'account_move:' || m.id, 'account_move', jsonb_build_object('due_at_ms', $2::bigint),
        m.confirmed_at, m.due_at
    FROM account_moves AS m WHERE m.code_hash = $1
"""
_LOG = """
    INSERT INTO security_logs (at, event, severity, player_id)
    VALUES (time_from_ms($1), $2::text::security_event, $3::text::severity, $4)
"""


class Confirmation(enum.Enum):
    """What came of a confirmation."""

    DONE = "done"
    UNKNOWN = "unknown"  #: no such code, or it has expired or was taken back or used
    SAME = "same"  #: the player belongs to this Telegram account already
    PLAYED = "played"  #: the Telegram account has a player who has played
    EXPECTS_ANOTHER = "expects_another"  #: another player is about to move there


class MoveStore:
    """Moves in PostgreSQL.

    Every method raises `DatabaseUnavailable` while the database is away; those that are given a caller raise
    `LoginEnded` where it is logged in no more.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def offer(self, caller: Caller, code_hash: bytes, now_ms: int, expires_at_ms: int) -> bool:
        """Offer the caller's player under a code; an offer from before is good no more.

        Returns:
            False: a move has been confirmed and not yet completed; it has to be cancelled first.
        """
        return await self._database.transaction(_offer, caller, code_hash, now_ms, expires_at_ms)

    async def confirm(self, code_hash: bytes, telegram_id: int, now_ms: int, due_at_ms: int) -> Confirmation:
        """Say that this Telegram account is where the player of the code goes; the old side is told."""
        return await self._database.transaction(_confirm, code_hash, telegram_id, now_ms, due_at_ms)

    async def cancel(self, caller: Caller, now_ms: int) -> bool:
        """Cancel the caller's move; False: none is open, or it was completed just now."""
        return await self._database.transaction(_cancel, caller, now_ms)


async def _offer(connection: Connection, caller: Caller, code_hash: bytes, now_ms: int, expires_at_ms: int) -> bool:
    player_id = await player_of(connection, caller, to_change=True)
    if await connection.fetchval(_CONFIRMED, player_id):
        return False
    await connection.execute(_CANCEL, player_id, now_ms)
    await connection.execute(_OFFER, player_id, code_hash, now_ms, expires_at_ms)
    await connection.execute(_LOG, now_ms, "move_offered", "info", player_id)
    return True


async def _confirm(
    connection: Connection, code_hash: bytes, telegram_id: int, now_ms: int, due_at_ms: int
) -> Confirmation:
    player_id = await connection.fetchval(_FIND, code_hash)
    await connection.execute(_LOCK, player_id)
    is_same = await connection.fetchval(_IS_OPEN, code_hash, telegram_id, now_ms)
    if is_same is None:
        return Confirmation.UNKNOWN
    if is_same:
        return Confirmation.SAME
    if await connection.fetchval(_HAS_PLAYED, telegram_id):
        return Confirmation.PLAYED
    if await connection.fetchval(_EXPECTED, telegram_id):
        return Confirmation.EXPECTS_ANOTHER
    await connection.execute(_CONFIRM, code_hash, telegram_id, now_ms, due_at_ms)
    await connection.execute(_TELL, code_hash, due_at_ms)
    await connection.execute(_LOG, now_ms, "move_confirmed", "warning", player_id)
    return Confirmation.DONE


async def _cancel(connection: Connection, caller: Caller, now_ms: int) -> bool:
    player_id = await player_of(connection, caller, to_change=True)
    if await connection.execute(_CANCEL, player_id, now_ms) == "UPDATE 0":
        return False
    await connection.execute(_LOG, now_ms, "move_cancelled", "info", player_id)
    return True
