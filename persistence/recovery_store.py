"""Getting an account back: the passphrase, one-time codes, and the move that either of them allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from persistence.caller import Caller, player_of
from persistence.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class Recoverable:
    """An account, and what would recover it."""

    player_id: int
    player: UUID  #: public id
    passphrase_hash: str | None


_OF_CALLER = """
    SELECT p.id, p.public_id, w.hash FROM players AS p LEFT JOIN recovery_passphrases AS w ON w.player_id = p.id
    WHERE p.id = $1
"""
_HASH = "SELECT hash FROM recovery_passphrases WHERE player_id = $1"
_INSERT = """
    INSERT INTO recovery_passphrases (player_id, hash, set_at) VALUES ($1, $2, time_from_ms($3)) ON CONFLICT DO NOTHING
"""
_REPLACE = """
    UPDATE recovery_passphrases SET hash = $2, set_at = time_from_ms($3) WHERE player_id = $1 AND hash = $4
"""
_LOG = """
    INSERT INTO security_logs (at, event, severity, player_id, detail)
    VALUES (time_from_ms($1), $2::text::security_event, $3::text::severity, $4,
        jsonb_strip_nulls(jsonb_build_object('address_hash', nullif($5::text, ''))))
"""
_END_CODES = "DELETE FROM account_recovery WHERE player_id = $1 AND used_at IS NULL"
_ISSUE = """
    INSERT INTO account_recovery (player_id, code_hash, issued_at, expires_at)
    SELECT $1, hash, time_from_ms($3), time_from_ms($4) FROM unnest($2::bytea[]) AS hash
"""
_FIND = """
    SELECT p.id, p.public_id, w.hash FROM players AS p LEFT JOIN recovery_passphrases AS w ON w.player_id = p.id
    WHERE p.erased_at IS NULL AND (p.public_id = $1 OR p.referral_code = $2)
"""
_IS_GOOD = """
    SELECT EXISTS (
        SELECT FROM account_recovery WHERE code_hash = $1 AND player_id = $2 AND used_at IS NULL
            AND time_from_ms($3) BETWEEN issued_at AND expires_at
    )
"""
# Both players of the move, in the order in which `migrate_account` takes them: nobody waits in a circle.
_LOCK = "SELECT FROM players WHERE id = $1 OR telegram_id = $2 ORDER BY id FOR UPDATE"
_MIGRATE = "SELECT migrate_account(public_id, $2, time_from_ms($3), 'player') FROM players WHERE id = $1"
_REDEEM = "SELECT redeem_recovery_code($1, $2, time_from_ms($3), 'player')"


class RecoveryStore:
    """Recovery in PostgreSQL.

    Every method raises `DatabaseUnavailable` while the database is away; those that are given a caller raise
    `LoginEnded` where it is logged in no more.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_caller(self, caller: Caller) -> Recoverable:
        """The caller's own account."""
        return await self._database.transaction(_of_caller, caller)

    async def set_passphrase(self, caller: Caller, old_hash: str | None, new_hash: str, now_ms: int) -> bool:
        """Set or replace the caller's passphrase; False: it is not `old_hash` any more, and nothing was changed."""
        return await self._database.transaction(_set_passphrase, caller, old_hash, new_hash, now_ms)

    async def issue_codes(self, caller: Caller, code_hashes: Sequence[bytes], now_ms: int, expires_at_ms: int) -> None:
        """Keep these codes for the caller; unused ones from before are good no more."""
        await self._database.transaction(_issue_codes, caller, code_hashes, now_ms, expires_at_ms)

    async def find(self, player: UUID | None, referral_code: str) -> Recoverable | None:
        """The account of a public id, or else of a referral code."""
        return await self._database.run(_find, player, referral_code)

    async def refused(self, player_id: int | None, *, proof: str, address_hash: str, now_ms: int) -> None:
        """Note in the security log that somebody could not prove whose an account is.

        Args:
            player_id: of the account; None: there is none such.
            proof: `passphrase` or `code`: what was wrong.
            address_hash: where it came from; "" = unknown.
            now_ms: the present.
        """
        event = "recovery_code_refused" if proof == "code" else "passphrase_refused"
        await self._database.transaction(_note, now_ms, event, "warning", player_id, address_hash)

    async def move_by_passphrase(
        self, account: Recoverable, telegram_id: int, *, address_hash: str, now_ms: int
    ) -> bool:
        """Move an account whose passphrase was shown; False: it has another one, or is erased, by now.

        Raises:
            Duplicate: the Telegram account has a player who has played; nothing was changed.
        """
        return await self._database.transaction(_move_by_passphrase, account, telegram_id, address_hash, now_ms)

    async def move_by_code(
        self, account: Recoverable, code_hash: bytes, telegram_id: int, *, address_hash: str, now_ms: int
    ) -> bool:
        """Use up a code of this account and move it; False: the code is another's, unknown, used or expired.

        Raises:
            Duplicate: the Telegram account has a player who has played; the code stays good.
        """
        return await self._database.transaction(_move_by_code, account, code_hash, telegram_id, address_hash, now_ms)


async def _of_caller(connection: Connection, caller: Caller) -> Recoverable:
    row = await connection.fetchrow(_OF_CALLER, await player_of(connection, caller))
    assert row is not None, "the row of a player is never removed"
    return Recoverable(*row)


async def _set_passphrase(
    connection: Connection, caller: Caller, old_hash: str | None, new_hash: str, now_ms: int
) -> bool:
    player_id = await player_of(connection, caller, to_change=True)
    if old_hash is None:
        tag = await connection.execute(_INSERT, player_id, new_hash, now_ms)
    else:
        tag = await connection.execute(_REPLACE, player_id, new_hash, now_ms, old_hash)
    if tag.endswith(" 0"):
        return False
    await _note(connection, now_ms, "passphrase_set", "info", player_id, "")
    return True


async def _issue_codes(
    connection: Connection, caller: Caller, code_hashes: Sequence[bytes], now_ms: int, expires_at_ms: int
) -> None:
    player_id = await player_of(connection, caller, to_change=True)
    await connection.execute(_END_CODES, player_id)
    await connection.execute(_ISSUE, player_id, code_hashes, now_ms, expires_at_ms)
    await _note(connection, now_ms, "recovery_code_issued", "info", player_id, "")


async def _find(connection: Connection, player: UUID | None, referral_code: str) -> Recoverable | None:
    row = await connection.fetchrow(_FIND, player, referral_code)
    return None if row is None else Recoverable(*row)


async def _move_by_passphrase(
    connection: Connection, account: Recoverable, telegram_id: int, address_hash: str, now_ms: int
) -> bool:
    await connection.execute(_LOCK, account.player_id, telegram_id)
    if await connection.fetchval(_HASH, account.player_id) != account.passphrase_hash:
        return False
    if not await connection.fetchval(_MIGRATE, account.player_id, telegram_id, now_ms):
        return False
    await _note(connection, now_ms, "account_recovered", "warning", account.player_id, address_hash)
    return True


async def _move_by_code(
    connection: Connection,
    account: Recoverable,
    code_hash: bytes,
    telegram_id: int,
    address_hash: str,
    now_ms: int,
) -> bool:
    await connection.execute(_LOCK, account.player_id, telegram_id)
    if not await connection.fetchval(_IS_GOOD, code_hash, account.player_id, now_ms):
        return False
    await connection.execute(_REDEEM, code_hash, telegram_id, now_ms)
    await _note(connection, now_ms, "account_recovered", "warning", account.player_id, address_hash)
    return True


async def _note(
    connection: Connection, now_ms: int, event: str, severity: str, player_id: int | None, address_hash: str
) -> None:
    await connection.execute(_LOG, now_ms, event, severity, player_id, address_hash)
