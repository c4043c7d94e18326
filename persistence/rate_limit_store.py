"""Who was held back, in `rate_limit_logs`: a row with the first refusal in a window, and later the sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from persistence.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """Refusals of one subject by one limit in one window."""

    at_ms: int  #: of the first, Unix ms
    player: UUID | int | None  #: public id, or Telegram's id of a user who logs in; None: the subject is an address
    address: str | None  #: IPv4 address or IPv6 network; None: the subject is a player
    action: str  #: scope and class of the limit
    refused: int
    window_s: int


# The ids are drawn before they are inserted: what INSERT returns is in no order.
_NOTE = """
    WITH noted AS MATERIALIZED (
        SELECT n.ordinal, n.at_ms, n.address, n.action, n.refused, n.window_s,
            coalesce(by_id.id, by_telegram.id) AS player_id,
            nextval('rate_limit_logs_id_seq') AS id
        FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::integer[], $7::integer[])
            WITH ORDINALITY AS n (at_ms, public_id, telegram_id, address, action, refused, window_s, ordinal)
        LEFT JOIN players AS by_id ON by_id.public_id = n.public_id
        LEFT JOIN players AS by_telegram ON by_telegram.telegram_id = n.telegram_id
    ), inserted AS (
        INSERT INTO rate_limit_logs (id, at, player_id, address, action, refused, window_s)
        SELECT id, time_from_ms(at_ms), player_id, address::inet, action, refused, window_s FROM noted
        WHERE player_id IS NOT NULL OR address IS NOT NULL
    )
    SELECT id FROM noted ORDER BY ordinal
"""
_SUM_UP = """
    UPDATE rate_limit_logs AS l SET refused = s.refused
    FROM unnest($1::bigint[], $2::bigint[], $3::integer[]) AS s (id, at_ms, refused)
    WHERE l.id = s.id AND l.at = time_from_ms(s.at_ms)
"""


class RateLimitStore:
    """The log in PostgreSQL.

    Both methods raise `DatabaseUnavailable` while the database is away.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, rows: Sequence[RefusalRow]) -> Sequence[int]:
        """Write new rows; players who are not registered are left out.

        Args:
            rows: at most some thousand.

        Returns:
            The rows' ids, in their order.
        """
        return await self._database.transaction(_note, rows)

    async def sum_up(self, sums: Sequence[tuple[int, int, int]]) -> None:
        """Write what rows that are there have come to.

        Args:
            sums: (id, `at_ms` of the row, refusals) of each; a row that is gone stays gone.
        """
        await self._database.transaction(_sum_up, sums)


async def _note(connection: Connection, rows: Sequence[RefusalRow]) -> list[int]:
    found = await connection.fetch(
        _NOTE,
        [row.at_ms for row in rows],
        [row.player if isinstance(row.player, UUID) else None for row in rows],
        [row.player if isinstance(row.player, int) else None for row in rows],
        [row.address for row in rows],
        [row.action for row in rows],
        [row.refused for row in rows],
        [row.window_s for row in rows],
    )
    return [row[0] for row in found]


async def _sum_up(connection: Connection, sums: Sequence[tuple[int, int, int]]) -> None:
    ids, at_ms, refused = zip(*sums, strict=True)
    await connection.execute(_SUM_UP, list(ids), list(at_ms), list(refused))
