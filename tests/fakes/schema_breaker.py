"""Trying to break, directly in SQL, what the database promises."""

from typing import cast

from persistence.errors import Rejected
from persistence.postgres import Connection, Database
from tests.fakes.database_probe import rows


class _Undone(Exception):
    """Ends a transaction that was only a trial."""


async def script(database: Database, sql: str) -> None:
    """Run statements as one transaction."""

    async def work(connection: Connection) -> None:
        await connection.execute(sql)

    await database.transaction(work)


async def refusal(database: Database, sql: str) -> Rejected:
    """What the database says to statements that it must refuse, at the latest at COMMIT."""
    try:
        await script(database, sql)
    except Rejected as error:
        return error
    raise AssertionError(f"not refused: {sql}")


async def refusal_by_trigger(database: Database, trigger: str, sql: str) -> Rejected:
    """The refusal of statements that this trigger, and nothing else, refuses: without it they would succeed."""
    [(table,)] = await rows(
        database, "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = $1 AND tgparentid = 0", trigger
    )
    refused = await refusal(database, sql)

    async def unguarded(connection: Connection) -> None:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        await connection.execute(sql)
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        raise _Undone

    try:
        await database.transaction(unguarded)
    except _Undone:
        return refused
    raise AssertionError("unreachable")


async def people(database: Database, count: int) -> list[int]:
    """New players that nobody owns; their ids, ascending."""
    new = await rows(
        database,
        "INSERT INTO players (display_name, join_seq, generation)"
        " SELECT 'p' || n, n, (SELECT min(g.generation) FROM generations AS g WHERE g.threshold >= n)"
        " FROM (SELECT coalesce(max(join_seq), 0) AS last FROM players) AS p,"
        " LATERAL generate_series(p.last + 1, p.last + $1) AS n ORDER BY n RETURNING id",
        count,
    )
    return [cast("int", id_) for (id_,) in new]


async def reconciliation(database: Database) -> list[tuple[str, str, str]]:
    """What `reconcile()` finds wrong: (subject, expected, found)."""
    return cast(
        "list[tuple[str, str, str]]",
        await rows(database, "SELECT subject, expected, found FROM reconcile() ORDER BY 1"),
    )
