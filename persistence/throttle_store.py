"""How often something was tried lately, counted in the database: the same for all nodes, and after a restart.

An attempt is counted before it is made, under the lock of every row that counts it, so that many at once are not one.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from persistence.postgres import Connection, Database

FORGET_S = 86_400  #: without an attempt, and the count begins anew

#: How long to wait, in ms, after so many attempts (1 and more); 0 = not at all.
WaitMs: TypeAlias = Callable[[int], int]

# In the order of keys, as everyone: nobody waits in a circle.
_LOCK = """
    INSERT INTO account_throttles (subject, attempts, last_at, open_at)
    SELECT subject, 0, time_from_ms($2), time_from_ms($2) FROM unnest($1::bytea[]) AS subject ORDER BY subject
    ON CONFLICT (subject) DO UPDATE SET attempts = account_throttles.attempts
    RETURNING subject, attempts, ms_from_time(last_at), ms_from_time(open_at)
"""
_COUNT = """
    UPDATE account_throttles AS t
    SET attempts = new.attempts, last_at = time_from_ms($4), open_at = time_from_ms(new.open_at_ms)
    FROM unnest($1::bytea[], $2::integer[], $3::bigint[]) AS new (subject, attempts, open_at_ms)
    WHERE t.subject = new.subject
"""


class ThrottleStore:
    """Counts of attempts in PostgreSQL.

    Every method raises `DatabaseUnavailable` while the database is away.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attempt(self, rules: Mapping[bytes, WaitMs], now_ms: int) -> int:
        """Count an attempt on all of these subjects, or on none.

        Args:
            rules: by subject (32 bytes), how long the next attempt has to wait.
            now_ms: the present.

        Returns:
            0: it is counted and may be made; else in how many ms it may, and nothing was counted.
        """
        return await self._database.transaction(_attempt, rules, now_ms)

    async def forget(self, subjects: list[bytes]) -> None:
        """Begin counting anew: the attempt was a good one."""
        await self._database.transaction(_forget, subjects)


async def _attempt(connection: Connection, rules: Mapping[bytes, WaitMs], now_ms: int) -> int:
    known = await connection.fetch(_LOCK, sorted(rules), now_ms)
    wait_ms: int = max(open_at_ms for _, _, _, open_at_ms in known) - now_ms
    if wait_ms > 0:
        return wait_ms
    subjects, counts, opens_ms = [], [], []
    for subject, attempts, last_ms, _ in known:
        count = 1 if now_ms - last_ms >= FORGET_S * 1_000 else attempts + 1
        subjects.append(subject)
        counts.append(count)
        opens_ms.append(now_ms + rules[subject](count))
    await connection.execute(_COUNT, subjects, counts, opens_ms, now_ms)
    return 0


async def _forget(connection: Connection, subjects: list[bytes]) -> None:
    await connection.execute("DELETE FROM account_throttles WHERE subject = ANY ($1::bytea[])", sorted(subjects))
