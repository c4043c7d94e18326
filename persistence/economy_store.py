"""The hour's economy: what had been minted and burned when the hour began, and the emission that follows from it.

The first node that asks inserts the hour's row, everyone else reads it. Totals are summed from the flushes' own rows
(`write_batches`); rows whose outcome nobody will ask for again are folded into the hour's row and removed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from persistence.postgres import Connection, Database

_LOCK = 0x7070_6A5F_686F_7572  # "ppj_hour"
_READ = """
    SELECT minted_mpt, burned_mpt, emission_bp FROM economy_state WHERE hour = to_timestamp($1::bigint * 3600)
"""
_INSERT = """
    INSERT INTO economy_state (hour, minted_mpt, burned_mpt, emission_bp, folded_minted_mpt, folded_burned_mpt)
    VALUES (to_timestamp($1::bigint * 3600), $2, $3, $4, $5, $6)
"""


@dataclass(frozen=True, slots=True)
class EconomyHour:
    """An hour's fixed figures."""

    minted_mpt: int  #: gross, all time, when the hour was fixed
    burned_mpt: int
    emission_bp: int


async def fix_hour(database: Database, hour: int, *, emission_bp: Callable[[int], int]) -> EconomyHour:
    """The figures of an hour; fixes them if nobody has.

    Args:
        database: where.
        hour: hours since 1970-01-01 UTC.
        emission_bp: gross minted mPT → emission in basis points (game rules, "Emission"); only asked by the first.

    Raises:
        DatabaseUnavailable: try again.
    """
    return await database.transaction(_fix_hour, hour, emission_bp)


async def _fix_hour(connection: Connection, hour: int, emission_bp: Callable[[int], int]) -> EconomyHour:
    row = await connection.fetchrow(_READ, hour)
    if row is None:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        row = await connection.fetchrow(_READ, hour)  # by a statement of its own: it sees who had the lock before
    if row is not None:
        return EconomyHour(*row)
    # Totals only grow, so the largest is the latest, also after the clock has gone back.
    folded_minted_mpt, folded_burned_mpt = await _pair(
        connection, "SELECT max(folded_minted_mpt), max(folded_burned_mpt) FROM economy_state"
    )
    gone_minted_mpt, gone_burned_mpt = await _pair(connection, "SELECT * FROM fold_write_batches()")
    folded_minted_mpt += gone_minted_mpt
    folded_burned_mpt += gone_burned_mpt
    minted_mpt, burned_mpt = await _pair(
        connection, "SELECT sum(minted_mpt)::bigint, sum(burned_mpt)::bigint FROM write_batches"
    )
    minted_mpt += folded_minted_mpt
    burned_mpt += folded_burned_mpt
    fixed = EconomyHour(minted_mpt, burned_mpt, emission_bp(minted_mpt))
    await connection.execute(
        _INSERT, hour, minted_mpt, burned_mpt, fixed.emission_bp, folded_minted_mpt, folded_burned_mpt
    )
    return fixed


async def _pair(connection: Connection, sql: str) -> tuple[int, int]:
    row = await connection.fetchrow(sql)
    return (row[0] or 0, row[1] or 0) if row is not None else (0, 0)
