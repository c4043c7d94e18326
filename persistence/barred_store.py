"""Who is barred from playing, as the database knows it: logins that have ended before their time, banned players.

Triggers notify the channel `CHANNEL` of each change: `session <id>`, `player <public id>`.
"""

from dataclasses import dataclass
from uuid import UUID

from persistence.postgres import Connection, Database

CHANNEL = "barred"

_SESSIONS = "SELECT id FROM player_sessions WHERE revoked_at > time_from_ms($1)"
# As a number, for ever is a time that no clock here reaches.
_UNTIL_MS = "ms_from_time(least(banned_until, '9999-01-01'))"
_BANS = f"SELECT public_id, {_UNTIL_MS} FROM players WHERE banned_until > time_from_ms($1)"  # noqa: S608 - a constant
_BAN = f"SELECT {_UNTIL_MS} FROM players WHERE public_id = $1 AND banned_until IS NOT NULL"  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class BarredRows:
    """Everybody who is barred."""

    sessions: list[UUID]  #: logins that were ended
    bans: dict[UUID, int]  #: until when, Unix ms, by public id


class BarredStore:
    """Who is barred, in PostgreSQL. Every method raises `DatabaseUnavailable` while it is away.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def everybody(self, *, ended_since_ms: int, now_ms: int) -> BarredRows:
        """Who is barred now.

        Args:
            ended_since_ms: logins that ended earlier are left out: no token of theirs is good any more.
            now_ms: bans that are over by then are left out.
        """

        async def read(connection: Connection) -> BarredRows:
            sessions = [row[0] for row in await connection.fetch(_SESSIONS, ended_since_ms)]
            return BarredRows(sessions, {row[0]: row[1] for row in await connection.fetch(_BANS, now_ms)})

        return await self._database.run(read)

    async def banned_until_ms(self, player: UUID) -> int:
        """Until when a player (public id) is banned, Unix ms; 0 = not at all."""

        async def read(connection: Connection) -> int:
            return await connection.fetchval(_BAN, player) or 0

        return await self._database.run(read)
