"""Players and their logins: registration, sessions, refresh tokens.

Registration is one transaction: player, gap-free `join_seq`, generation, session. It is serialised by an advisory lock,
so that a registration that fails leaves no gap and two at once get two numbers.

A session is a refresh-token family: every use of the refresh token replaces it, the hashes of the replaced ones are
kept, and whoever shows one of those again (the thief or the robbed, nobody can tell) ends the whole family.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from persistence.postgres import Connection, Database, Row
from persistence.session_store import NewSession, open_session


@dataclass(frozen=True, slots=True)
class AccountRow:
    """Who logged in."""

    player_id: int
    public_id: UUID
    session_id: UUID
    display_name: str
    created: bool  #: this login registered the player


#: advisory lock of everyone who hands out `join_seq`
REGISTRATION_LOCK = 0x7070_6A5F_6A6F_696E  # "ppj_join"

_FIND_TELEGRAM = "SELECT id, public_id, display_name, premium FROM players WHERE telegram_id = $1"
_FIND_DEV = "SELECT id, public_id, display_name, premium FROM players WHERE dev_name = $1"
_REGISTER = """
    INSERT INTO players
        (telegram_id, dev_name, display_name, premium, join_seq, generation, created_at, energy_at, bucket_at)
    SELECT new.telegram_id, new.dev_name, new.display_name, new.premium, last.join_seq + new.position,
        (SELECT min(g.generation) FROM generations AS g WHERE g.threshold >= last.join_seq + new.position),
        time_from_ms($5), time_from_ms($5), time_from_ms($5)
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[])
        WITH ORDINALITY AS new (telegram_id, dev_name, display_name, premium, position)
    CROSS JOIN (SELECT coalesce(max(join_seq), 0) AS join_seq FROM players) AS last
    ORDER BY new.position
    RETURNING id, public_id, display_name
"""
_ROTATE = """
    SELECT player_id, public_id, session_id, display_name
    FROM rotate_refresh_token($1, $2, time_from_ms($3), time_from_ms($4))
"""


async def register_players(
    connection: Connection,
    *,
    telegram_ids: Sequence[int | None],
    dev_names: Sequence[str | None],
    display_names: Sequence[str],
    premium: Sequence[bool],
    now_ms: int,
) -> Sequence[Row]:
    """Asyncio-flavoured: insert new players with the next numbers; the caller's transaction holds `REGISTRATION_LOCK`.

    The sequences are columns, one entry per player.

    Returns:
        `id, public_id, display_name` of each.
    """
    return await connection.fetch(_REGISTER, telegram_ids, dev_names, display_names, premium, now_ms)


class AccountStore:
    """Accounts in PostgreSQL.

    Every method raises `DatabaseUnavailable` while the database is away. A login may be tried again after that.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def login_by_telegram(
        self, telegram_id: int, display_name: str, premium: bool, session: NewSession
    ) -> AccountRow:
        """Record a login of this Telegram user; registers the player the first time.

        Args:
            telegram_id: Telegram's id of the user.
            display_name: for a new player; a known one keeps its name.
            premium: whether the user has Telegram Premium now.
            session: the login.
        """
        return await self._database.transaction(
            _login, _FIND_TELEGRAM, telegram_id, _Newcomer(telegram_id, None, display_name, premium), session
        )

    async def login_by_dev_name(self, name: str, session: NewSession) -> AccountRow:
        """Record a login without Telegram, 1 … 64 characters; the same name is the same player."""
        return await self._database.transaction(_login, _FIND_DEV, name, _Newcomer(None, name, name, None), session)

    async def rotate_refresh(
        self, old_hash: bytes, new_hash: bytes, now_ms: int, refresh_ttl_s: int
    ) -> AccountRow | None:
        """Replace a refresh token; None: unknown, expired, ended, or used before, which ends its session now.

        Args:
            old_hash: hash of the token shown.
            new_hash: hash of its successor.
            now_ms: the present.
            refresh_ttl_s: how long the successor is good for.
        """
        return await self._database.transaction(_rotate, old_hash, new_hash, now_ms, now_ms + 1000 * refresh_ttl_s)

    async def end_session(self, session_id: UUID) -> None:
        """End a session at its own wish; one that has ended already stays as it is, an unknown one is no error."""
        await self._database.transaction(_end_session, session_id)


@dataclass(frozen=True, slots=True)
class _Newcomer:
    telegram_id: int | None
    dev_name: str | None
    display_name: str
    premium: bool | None  #: None: this way of logging in does not tell


async def _login(
    connection: Connection, find: str, name: int | str, newcomer: _Newcomer, session: NewSession
) -> AccountRow:
    player = await connection.fetchrow(find, name)
    created = False
    if player is None:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", REGISTRATION_LOCK)
        player = await connection.fetchrow(find, name)  # another login of the same may have come first
    if player is None:
        created = True
        [player] = await register_players(
            connection,
            telegram_ids=[newcomer.telegram_id],
            dev_names=[newcomer.dev_name],
            display_names=[newcomer.display_name],
            premium=[newcomer.premium or False],
            now_ms=session.created_at_ms,
        )
    elif newcomer.premium not in (None, player["premium"]):
        await connection.execute("UPDATE players SET premium = $2 WHERE id = $1", player["id"], newcomer.premium)
    await open_session(connection, player["id"], session)
    return AccountRow(player["id"], player["public_id"], session.id, player["display_name"], created)


async def _rotate(
    connection: Connection, old_hash: bytes, new_hash: bytes, now_ms: int, expires_at_ms: int
) -> AccountRow | None:
    row = await connection.fetchrow(_ROTATE, old_hash, new_hash, now_ms, expires_at_ms)
    if row is None:
        return None
    player_id, public_id, session_id, display_name = row
    return AccountRow(player_id, public_id, session_id, display_name, created=False)


async def _end_session(connection: Connection, session_id: UUID) -> None:
    await connection.execute(
        "UPDATE player_sessions SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", session_id
    )
