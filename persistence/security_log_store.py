"""What is worth knowing when something was broken into: rows of `security_logs` that no transaction of its own writes.

What changes an account writes its entry itself, in the same transaction; here comes what only was tried.
"""

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from persistence.postgres import Connection, Database


class SecurityEvent(enum.StrEnum):
    """What was tried (enum `security_event` in the database, which has more)."""

    LOGIN_REFUSED = "login_refused"


class Severity(enum.StrEnum):
    """How soon a person should look (enum `severity` in the database)."""

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class SecurityEntry:
    """An entry."""

    at_ms: int
    event: SecurityEvent
    severity: Severity
    player: UUID | None  #: public id, where it is known
    reason: str  #: one of our own words
    session: UUID | None
    address_hash: str  #: keyed; "" = unknown
    times: int  #: how often it happened within the minute from `at_ms` on


_WRITE = """
    INSERT INTO security_logs (at, event, severity, player_id, detail)
    SELECT time_from_ms(new.at_ms), new.event::security_event, new.severity::severity, p.id, new.detail::jsonb
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::uuid[], $5::text[])
        AS new (at_ms, event, severity, player, detail)
    LEFT JOIN players AS p ON p.public_id = new.player
"""


class SecurityLogStore:
    """The security log in PostgreSQL.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, entries: Sequence[SecurityEntry]) -> None:
        """Add entries.

        Raises:
            DatabaseUnavailable: none was added, or all were and nobody knows.
        """

        async def write(connection: Connection) -> None:
            await connection.execute(
                _WRITE,
                [entry.at_ms for entry in entries],
                [entry.event.value for entry in entries],
                [entry.severity.value for entry in entries],
                [entry.player for entry in entries],
                [json.dumps(_detail(entry)) for entry in entries],
            )

        await self._database.transaction(write)


def _detail(entry: SecurityEntry) -> dict[str, object]:
    detail: dict[str, object] = {"reason": entry.reason, "times": entry.times}
    if entry.session is not None:
        detail["session"] = str(entry.session)
    if entry.address_hash:
        detail["address_hash"] = entry.address_hash
    return detail
