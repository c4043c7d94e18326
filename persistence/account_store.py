"""Players and their logins: sessions, refresh tokens, the log of logins.

The first login registers the player in the same transaction (`persistence.registration`). Each proof of who somebody is
leads to one entry in the log, however often it is shown.

A session is a refresh-token family: every use of the refresh token replaces it, the hashes of the replaced ones are
kept, and whoever shows one of those again (the thief or the robbed, nobody can tell) ends the whole family.
"""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from persistence.postgres import Connection, Database
from persistence.registration import Newcomer, lock_registration, register_players
from persistence.session_store import NewSession, note_session, open_session


@dataclass(frozen=True, slots=True)
class LoginProof:
    """What somebody logged in with."""

    kind: Literal["init_data", "widget", "dev"]
    digest: bytes = b""  #: the same when the same proof is shown again; empty where every login is a new one
    not_before_ms: int = 0  #: it cannot have been shown earlier


@dataclass(frozen=True, slots=True)
class AccountRow:
    """Who logged in."""

    player_id: int
    public_id: UUID
    session_id: UUID
    display_name: str
    created: bool  #: this login registered the player


_FIND_TELEGRAM = "SELECT id, public_id, display_name, premium FROM players WHERE telegram_id = $1"
_FIND_DEV = "SELECT id, public_id, display_name, premium FROM players WHERE dev_name = $1"
_LOG_LOGIN = """
    INSERT INTO security_logs (at, event, player_id, detail)
    SELECT time_from_ms($1), 'login', $2, jsonb_strip_nulls(jsonb_build_object(
        'session', $3::uuid, 'kind', $4::text, 'proof', $5::text, 'address_hash', nullif($7::text, '')))
    WHERE $5 = '' OR NOT EXISTS (
        SELECT FROM security_logs AS earlier
        WHERE earlier.player_id = $2 AND earlier.at >= time_from_ms($6) AND earlier.event = 'login'
            AND earlier.detail ->> 'proof' = $5
    )
"""
# What the function has noted just now does not say who it was.
_LOG_REUSER = """
    UPDATE security_logs AS l
    SET detail = l.detail || jsonb_build_object('reason', 'a used refresh token was shown', 'address_hash', $3::text)
    FROM player_sessions AS s
    WHERE l.event = 'refresh_reuse' AND l.at = time_from_ms($2) AND l.player_id = s.player_id
        AND s.previous_hashes @> ARRAY[$1::bytea] AND l.detail ->> 'session' = s.id::text
"""
_ROTATE = """
    SELECT player_id, public_id, session_id, display_name
    FROM rotate_refresh_token($1, $2, time_from_ms($3), time_from_ms($4))
"""


class AccountStore:
    """Accounts in PostgreSQL.

    Every method raises `DatabaseUnavailable` while the database is away. A login may be tried again after that.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def login_by_telegram(self, user: Newcomer, session: NewSession, proof: LoginProof) -> AccountRow:
        """Record a login of this Telegram user; registers the player the first time.

        Args:
            user: with `telegram_id`.
            session: the login.
            proof: what they showed; shown again it is the same login in the log.
        """
        return await self._database.transaction(_login, _FIND_TELEGRAM, user.telegram_id, user, session, proof)

    async def login_by_dev_name(self, name: str, session: NewSession) -> AccountRow:
        """Record a login without Telegram, 1 … 64 characters; the same name is the same player."""
        newcomer, proof = Newcomer(name, dev_name=name), LoginProof("dev")
        return await self._database.transaction(_login, _FIND_DEV, name, newcomer, session, proof)

    async def rotate_refresh(
        self,
        old_hash: bytes,
        new_hash: bytes,
        now_ms: int,
        refresh_ttl_s: int,
        address: str = "",
        address_hash: str = "",
    ) -> AccountRow | None:
        """Replace a refresh token; None: unknown, expired, ended, or used before, which ends its session now.

        Args:
            old_hash: hash of the token shown.
            new_hash: hash of its successor.
            now_ms: the present.
            refresh_ttl_s: how long the successor is good for.
            address: where from; "" = unknown.
            address_hash: the same in the security log.
        """
        expires_at_ms = now_ms + 1000 * refresh_ttl_s
        return await self._database.transaction(
            _rotate, old_hash, new_hash, now_ms, expires_at_ms, address, address_hash
        )

    async def end_session(self, session_id: UUID) -> None:
        """End a session at its own wish; one that has ended already stays as it is, an unknown one is no error."""
        await self._database.transaction(_end_session, session_id)


async def _login(
    connection: Connection,
    find: str,
    name: int | str | None,
    newcomer: Newcomer,
    session: NewSession,
    proof: LoginProof,
) -> AccountRow:
    if proof.digest:  # one after the other, so that the second sees that the first is in the log
        key = int.from_bytes(proof.digest[:8], "big", signed=True)
        await connection.execute("SELECT pg_advisory_xact_lock($1)", key)
    player = await connection.fetchrow(find, name)
    created = False
    if player is None:
        await lock_registration(connection)
        player = await connection.fetchrow(find, name)  # another login of the same may have come first
    if player is None:
        created = True
        [player] = await register_players(connection, [newcomer], now_ms=session.created_at_ms)
    elif newcomer.premium not in (None, player["premium"]):
        await connection.execute("UPDATE players SET premium = $2 WHERE id = $1", player["id"], newcomer.premium)
    await open_session(connection, player["id"], session)
    await connection.execute(
        _LOG_LOGIN,
        *(session.created_at_ms, player["id"], session.id, proof.kind, proof.digest.hex(), proof.not_before_ms),
        session.address_hash,
    )
    return AccountRow(player["id"], player["public_id"], session.id, player["display_name"], created)


async def _rotate(
    connection: Connection,
    old_hash: bytes,
    new_hash: bytes,
    now_ms: int,
    expires_at_ms: int,
    address: str,
    address_hash: str,
) -> AccountRow | None:
    row = await connection.fetchrow(_ROTATE, old_hash, new_hash, now_ms, expires_at_ms)
    if row is None:
        await connection.execute(_LOG_REUSER, old_hash, now_ms, address_hash)
        return None
    player_id, public_id, session_id, display_name = row
    await note_session(connection, session_id, now_ms, address)
    return AccountRow(player_id, public_id, session_id, display_name, created=False)


async def _end_session(connection: Connection, session_id: UUID) -> None:
    await connection.execute(
        "UPDATE player_sessions SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", session_id
    )
