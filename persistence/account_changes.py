"""What happens to an account as a whole: moved, recovered with a code, banned, limited, erased.

The functions of the database do it (revisions 0004, 0009, 0010), note it in the security log, and in the operators'
audit log who did it. Where the player becomes another's or nobody's they raise its epoch first, so that a node which
has it in memory writes nothing any more.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from persistence.errors import Duplicate, SetupFailed
from persistence.postgres import Connection, Database

CODE_BYTES = 15  #: of a recovery code: 120 random bits, which nobody guesses; so a plain hash keeps it well enough
_ISSUE = """
    WITH issued AS (
        INSERT INTO account_recovery (player_id, code_hash, issued_at, expires_at)
        SELECT id, $2, $3, $4 FROM players WHERE public_id = $1 AND erased_at IS NULL
        RETURNING player_id
    ), logged AS (
        INSERT INTO security_logs (at, event, player_id) SELECT $3, 'recovery_code_issued', player_id FROM issued
    ), audited AS (
        INSERT INTO admin_audit_log (actor, action, player_id) SELECT $5, 'account.issue_code', player_id FROM issued
    )
    SELECT count(*) FROM issued
"""


def hash_of_code(code: str) -> bytes:
    """What is kept of a code that was drawn at random."""
    return hashlib.sha256(code.encode()).digest()


async def erase_account(database: Database, player: UUID, *, now_ms: int, actor: str) -> None:
    """Erase everything personal of a player, for good; what the ledger needs stays without a name.

    Args:
        database: where.
        player: public id.
        now_ms: the present.
        actor: who does it, for the audit log.

    Raises:
        SetupFailed: there is no such player.
        DatabaseUnavailable: nothing was done; try again.
    """
    if not await _ask(database, "SELECT erase_account($1, $2, $3)", player, _time(now_ms), actor):
        raise _unknown(player)


async def migrate_account(database: Database, player: UUID, telegram_id: int, *, now_ms: int, actor: str) -> None:
    """Move a player to another Telegram account and end all logins.

    Args:
        database: where.
        player: public id.
        telegram_id: Telegram's id of the new account; a player of its own that has not played is erased.
        now_ms: the present.
        actor: who does it, for the audit log.

    Raises:
        SetupFailed: there is no such player, or the Telegram account has a player who has played.
        DatabaseUnavailable: nothing was done; try again.
    """
    try:
        moved = await _ask(
            database, "SELECT migrate_account($1, $2, $3, $4)", player, telegram_id, _time(now_ms), actor
        )
    except Duplicate as error:
        raise _taken(telegram_id) from error
    if not moved:
        raise _unknown(player)


async def issue_recovery_code(database: Database, player: UUID, *, days: int, now_ms: int, actor: str) -> str:
    """Draw a code that moves this account to another Telegram account, once.

    Args:
        database: where.
        player: public id.
        days: how long it is good for, 1 … 30.
        now_ms: the present.
        actor: who does it, for the audit log.

    Returns:
        The code, which is stored only as a hash.

    Raises:
        SetupFailed: there is no such player.
        DatabaseUnavailable: nothing was done; try again.
    """
    code = secrets.token_urlsafe(CODE_BYTES)
    now = _time(now_ms)
    if not await _ask(database, _ISSUE, player, hash_of_code(code), now, now + timedelta(days=days), actor):
        raise _unknown(player)
    return code


async def redeem_recovery_code(database: Database, code: str, telegram_id: int, *, now_ms: int, actor: str) -> UUID:
    """Move the account that a code was issued for to a Telegram account.

    Args:
        database: where.
        code: as `issue_recovery_code` returned it.
        telegram_id: Telegram's id of the new account.
        now_ms: the present.
        actor: who does it, for the audit log.

    Returns:
        The account's public id.

    Raises:
        SetupFailed: the code is unknown, used or expired, or the Telegram account has a player who has played; in the
            latter case the code stays good.
        DatabaseUnavailable: nothing was done; try again.
    """
    redeem = "SELECT redeem_recovery_code($1, $2, $3, $4)"
    try:
        account: UUID | None = await _ask(database, redeem, hash_of_code(code), telegram_id, _time(now_ms), actor)
    except Duplicate as error:
        raise _taken(telegram_id) from error
    if account is None:
        raise SetupFailed("This recovery code is unknown, used or expired; issue a new one.")
    return account


async def ban_account(
    database: Database, player: UUID, *, days: int | None, reason: str, now_ms: int, actor: str
) -> None:
    """Keep a player from playing; sockets that are open are closed at once, on whichever node.

    Args:
        database: where.
        player: public id.
        days: for how long; None = for good.
        reason: why, for operators; 1 … 500 characters.
        now_ms: the present.
        actor: who does it, for the audit log.

    Raises:
        SetupFailed: there is no such player.
        DatabaseUnavailable: nothing was done; try again.
    """
    now = _time(now_ms)
    until = "infinity" if days is None else (now + timedelta(days=days)).isoformat()
    sql = "SELECT set_ban($1, $2::text::timestamptz, $3, $4, $5)"
    if not await _ask(database, sql, player, until, reason, now, actor):
        raise _unknown(player)


async def lift_ban(database: Database, player: UUID, *, now_ms: int, actor: str) -> None:
    """Let a banned player play again.

    Args:
        database: where.
        player: public id.
        now_ms: the present.
        actor: who does it, for the audit log.

    Raises:
        SetupFailed: there is no such player.
        DatabaseUnavailable: nothing was done; try again.
    """
    if not await _ask(database, "SELECT set_ban($1, NULL, NULL, $2, $3)", player, _time(now_ms), actor):
        raise _unknown(player)


async def judge_suspicion(database: Database, player: UUID, *, guilty: bool, now_ms: int, actor: str) -> None:
    """Set a player's shadow limit or lift it, and close the case in the operators' queue, whoever plays meanwhile.

    Args:
        database: where.
        player: public id.
        guilty: whether others are not to see the player on boards; if not, no signal limits it for 30 days.
        now_ms: the present.
        actor: who does it, for the audit log.

    Raises:
        SetupFailed: there is no such player.
        DatabaseUnavailable: nothing was done; try again.
    """
    sql = "SELECT judge_suspicion($1, $2::text::suspicion_state, $3, $4)"
    if not await _ask(database, sql, player, "confirmed" if guilty else "cleared", _time(now_ms), actor):
        raise _unknown(player)


async def _ask(database: Database, sql: str, *args: object) -> Any:
    async def ask(connection: Connection) -> Any:
        return await connection.fetchval(sql, *args)

    return await database.transaction(ask)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _unknown(player: UUID) -> SetupFailed:
    return SetupFailed(f"There is no player {player}; `gameserver report players` lists them with their public ids.")


def _taken(telegram_id: int) -> SetupFailed:
    return SetupFailed(
        f"Telegram account {telegram_id} has a player of its own who has played; erase that one first, or choose "
        "another Telegram account."
    )
