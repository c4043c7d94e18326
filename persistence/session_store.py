"""Logins and devices of players, as their owners see and end them.

A login's refresh tokens are `account_store`'s and `rotate_refresh_token`'s business. Ending one, however it happens,
fires a trigger that tells every node (`barred_store`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from persistence.postgres import Connection, Database

MAX_SESSIONS = 10  #: live logins of a player; beyond them the one that was seen longest ago ends
MAX_DEVICES = 20  #: devices of a player that are remembered; beyond them the one that was seen longest ago is not


@dataclass(frozen=True, slots=True)
class NewSession:
    """A login to be recorded."""

    id: UUID
    refresh_hash: bytes  #: hash of the refresh token, 32 bytes; the token itself is never stored
    expires_at_ms: int  #: when the refresh token ends
    client: str  #: what the client calls itself
    created_at_ms: int
    address: str = ""  #: where from; "" = unknown
    address_hash: str = ""  #: the same in the security log


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A live login."""

    id: UUID
    name: str  #: what the player calls it
    client: str  #: what the client calls itself
    device: str  #: as the client names it; "" = it has not yet
    address: str  #: where it was last seen from; "" = unknown
    created_at_ms: int
    last_seen_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """What a player has played on."""

    id: int
    device: str  #: as the client names it
    client: str
    address: str  #: where it was last seen from; "" = unknown
    first_seen_at_ms: int
    last_seen_at_ms: int
    sessions: int  #: live logins on it


@dataclass(frozen=True, slots=True)
class Sighting:
    """A login that was used over a socket."""

    session: UUID
    device: str  #: "" = the client names none
    client: str
    address: str  #: "" = unknown
    at_ms: int


_INSERT = """
    INSERT INTO player_sessions (id, player_id, refresh_hash, client, created_at, expires_at, last_seen_at, address)
    VALUES ($1, $2, $3, $4, time_from_ms($5), time_from_ms($6), time_from_ms($5), nullif($7, '')::inet)
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('ppj_sessions:' || $1::bigint, 0))"
_END_SURPLUS = """
    WITH surplus AS (
        UPDATE player_sessions SET revoked_at = time_from_ms($2)
        WHERE id IN (
            SELECT id FROM player_sessions
            WHERE player_id = $1 AND revoked_at IS NULL AND expires_at > time_from_ms($2)
            ORDER BY last_seen_at DESC, created_at DESC, id OFFSET $3
        ) RETURNING id
    )
    INSERT INTO security_logs (at, event, player_id, detail)
    SELECT time_from_ms($2), 'session_revoked', $1, jsonb_build_object('reason', 'limit', 'session', id) FROM surplus
"""
_LIST = """
    SELECT s.id, s.name, s.client, coalesce(d.device, ''), coalesce(host(s.address), ''),
        ms_from_time(s.created_at), ms_from_time(s.last_seen_at), ms_from_time(s.expires_at)
    FROM player_sessions AS s JOIN players AS p ON p.id = s.player_id LEFT JOIN devices AS d ON d.id = s.device_id
    WHERE p.public_id = $1 AND s.revoked_at IS NULL AND s.expires_at > time_from_ms($2)
    ORDER BY s.last_seen_at DESC, s.id
"""
_RENAME = """
    UPDATE player_sessions AS s SET name = $3 FROM players AS p
    WHERE p.id = s.player_id AND p.public_id = $1 AND s.id = $2 AND s.revoked_at IS NULL
"""
# $2 NULL: all of them; $3: but this one.
_REVOKE = """
    WITH ended AS (
        UPDATE player_sessions AS s SET revoked_at = time_from_ms($4) FROM players AS p
        WHERE p.id = s.player_id AND p.public_id = $1 AND s.revoked_at IS NULL
            AND ($2::uuid IS NULL OR s.id = $2) AND ($3::uuid IS NULL OR s.id <> $3)
            AND ($6::bigint IS NULL OR s.device_id = $6)
        RETURNING s.id, s.player_id
    ), logged AS (
        INSERT INTO security_logs (at, event, player_id, detail)
        SELECT time_from_ms($4), 'session_revoked', player_id, jsonb_strip_nulls(
            jsonb_build_object('reason', $5::text, 'session', id, 'address_hash', nullif($7::text, '')))
        FROM ended
    )
    SELECT count(*) FROM ended
"""
_DEVICES = """
    SELECT d.id, d.device, d.client, coalesce(host(d.address), ''), ms_from_time(d.first_seen_at),
        ms_from_time(d.last_seen_at), count(s.id)
    FROM devices AS d JOIN players AS p ON p.id = d.player_id
    LEFT JOIN player_sessions AS s ON s.device_id = d.id AND s.revoked_at IS NULL AND s.expires_at > time_from_ms($2)
    WHERE p.public_id = $1 GROUP BY d.id ORDER BY d.last_seen_at DESC, d.id
"""
_FORGET = "DELETE FROM devices AS d USING players AS p WHERE p.id = d.player_id AND p.public_id = $1 AND d.id = $2"
# Devices in the order of their key, and sessions after them: two nodes that note the same ones wait for each other.
_NOTE_DEVICES = """
    INSERT INTO devices AS known (player_id, device, client, address, first_seen_at, last_seen_at)
    SELECT DISTINCT ON (s.player_id, seen.device) s.player_id, seen.device, seen.client,
        nullif(seen.address, '')::inet, time_from_ms(seen.at_ms), time_from_ms(seen.at_ms)
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[])
        AS seen (session, device, client, address, at_ms)
    JOIN player_sessions AS s ON s.id = seen.session
    WHERE seen.device <> ''
    ORDER BY s.player_id, seen.device, seen.at_ms DESC
    ON CONFLICT (player_id, device) DO UPDATE SET client = excluded.client,
        address = coalesce(excluded.address, known.address),
        last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
    RETURNING known.player_id
"""
_NOTE_SESSIONS = """
    WITH seen AS (
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS seen (session, device, address, at_ms)
    ), locked AS (
        SELECT s.id, s.player_id FROM player_sessions AS s WHERE s.id = ANY ($1::uuid[]) ORDER BY s.id FOR UPDATE
    )
    UPDATE player_sessions AS s SET last_seen_at = greatest(s.last_seen_at, time_from_ms(seen.at_ms)),
        address = coalesce(nullif(seen.address, '')::inet, s.address),
        device_id = coalesce(
            (SELECT d.id FROM devices AS d WHERE d.player_id = s.player_id AND d.device = seen.device), s.device_id)
    FROM seen JOIN locked ON locked.id = seen.session
    WHERE s.id = locked.id
"""
_FORGET_SURPLUS = """
    DELETE FROM devices WHERE id IN (
        SELECT id FROM (
            SELECT id, row_number() OVER (PARTITION BY player_id ORDER BY last_seen_at DESC, id DESC) AS place
            FROM devices WHERE player_id = ANY ($1::bigint[])
        ) AS ranked WHERE place > $2
    )
"""


async def open_session(connection: Connection, player_id: int, session: NewSession) -> None:
    """Asyncio-flavoured: record a login in the caller's transaction; of too many, those seen longest ago end."""
    await connection.execute(_LOCK, player_id)  # so that several at once do not all count before any is there
    await connection.execute(
        _INSERT,
        *(session.id, player_id, session.refresh_hash, session.client),
        *(session.created_at_ms, session.expires_at_ms, session.address),
    )
    await connection.execute(_END_SURPLUS, player_id, session.created_at_ms, MAX_SESSIONS)


async def note_session(connection: Connection, session: UUID, now_ms: int, address: str) -> None:
    """Asyncio-flavoured: a login was used just now, from `address` ("" = unknown)."""
    await connection.execute(_NOTE_SESSIONS, [session], [""], [address], [now_ms])


class SessionStore:
    """Logins and devices in PostgreSQL.

    Every method raises `DatabaseUnavailable` while the database is away, and may be tried again after that.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sessions(self, player: UUID, now_ms: int) -> list[SessionRow]:
        """The live logins of a player (public id), the latest seen first."""

        async def read(connection: Connection) -> list[SessionRow]:
            return [SessionRow(*row) for row in await connection.fetch(_LIST, player, now_ms)]

        return await self._database.run(read)

    async def rename(self, player: UUID, session: UUID, name: str) -> bool:
        """Give a login a name of at most 64 characters; False: the player has no such login."""

        async def write(connection: Connection) -> bool:
            return await connection.execute(_RENAME, player, session, name) == "UPDATE 1"

        return await self._database.transaction(write)

    async def revoke(self, player: UUID, session: UUID, now_ms: int, *, reason: str, address_hash: str = "") -> bool:
        """End a login; False: the player has no such login, or it has ended already.

        Args:
            player: public id.
            session: which.
            now_ms: the present.
            reason: for the security log.
            address_hash: who did it, for the security log; "" = unknown.
        """
        return bool(
            await self._database.transaction(_revoke, player, session, None, now_ms, reason, None, address_hash)
        )

    async def revoke_others(self, player: UUID, kept: UUID, now_ms: int, *, address_hash: str = "") -> int:
        """End every login of the player but one; returns how many."""
        return await self._database.transaction(_revoke, player, None, kept, now_ms, "others", None, address_hash)

    async def devices(self, player: UUID, now_ms: int) -> list[DeviceRow]:
        """What a player has played on, the latest seen first."""

        async def read(connection: Connection) -> list[DeviceRow]:
            return [DeviceRow(*row) for row in await connection.fetch(_DEVICES, player, now_ms)]

        return await self._database.run(read)

    async def forget_device(self, player: UUID, device: int, now_ms: int, *, address_hash: str = "") -> bool:
        """End all logins on a device and forget it; False: the player has no such device."""

        async def write(connection: Connection) -> bool:
            await _revoke(connection, player, None, None, now_ms, "device", device, address_hash)
            return await connection.execute(_FORGET, player, device) == "DELETE 1"

        return await self._database.transaction(write)

    async def note(self, sightings: Sequence[Sighting]) -> None:
        """Write when, where from and on which device logins were last used; logins that are no more are left out.

        Args:
            sightings: at most one per login; at most some thousand.
        """
        if sightings:
            await self._database.transaction(_note, sightings)


async def _revoke(
    connection: Connection,
    player: UUID,
    session: UUID | None,
    kept: UUID | None,
    now_ms: int,
    reason: str,
    device: int | None,
    address_hash: str,
) -> int:
    ended: int = await connection.fetchval(_REVOKE, player, session, kept, now_ms, reason, device, address_hash)
    return ended


async def _note(connection: Connection, sightings: Sequence[Sighting]) -> None:
    ids = [seen.session for seen in sightings]
    devices = [seen.device for seen in sightings]
    addresses = [seen.address for seen in sightings]
    at_ms = [seen.at_ms for seen in sightings]
    clients = [seen.client for seen in sightings]
    owners = {row[0] for row in await connection.fetch(_NOTE_DEVICES, ids, devices, clients, addresses, at_ms)}
    await connection.execute(_NOTE_SESSIONS, ids, devices, addresses, at_ms)
    if owners:
        await connection.execute(_FORGET_SURPLUS, list(owners), MAX_DEVICES)
