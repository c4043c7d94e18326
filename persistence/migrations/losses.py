"""What taking revisions back would lose: they are taken back for a try, in a transaction that is rolled back."""

from collections.abc import Sequence

from persistence.migrations.applied import take_turn
from persistence.migrations.migrate import REVISIONS, Revision, after, applied_of_ours, hold_off_players, patiently
from persistence.postgres import Connection, Database

_COLUMNS = """
    SELECT c.relname::text, a.attname::text
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum
"""


async def losses(database: Database, target: str, *, revisions: Sequence[Revision] = REVISIONS) -> dict[str, int]:
    """What `down` to `target` would lose now.

    Returns:
        Rows by the table that would go, and values that are not NULL by the column (`table.column`) that would; only
        where there are any.

    Raises:
        SchemaMismatch: the database was made from other texts, or is newer than this server.
        SetupFailed: there is no such revision.
        DatabaseUnavailable: a long transaction is in the way, or the connection was lost; try again.
    """
    unwanted = after(target, revisions)
    async with database.dedicated("migrate", patient=True) as connection:
        return await patiently(connection, "Finding out what would be lost", _rehearse, unwanted, revisions)


async def _rehearse(
    connection: Connection, unwanted: Sequence[Revision], revisions: Sequence[Revision]
) -> dict[str, int]:
    await take_turn(connection)
    applied = await applied_of_ours(connection, revisions)
    await hold_off_players(connection)
    before = await _columns(connection)
    await connection.execute("SAVEPOINT rehearsal")
    for revision in unwanted:
        if revision.id in applied:
            await connection.execute(revision.down_sql)
    kept = await _columns(connection)
    await connection.execute("ROLLBACK TO SAVEPOINT rehearsal")
    lost = {}
    for table, columns in before.items():
        if table not in kept:
            lost[table] = await connection.fetchval(f'SELECT count(*) FROM "{table}"')  # noqa: S608 - a table's name
        for column in columns if table in kept else ():
            if column not in kept[table]:
                counted = f'SELECT count("{column}") FROM "{table}"'  # noqa: S608 - names of a table and its column
                lost[f"{table}.{column}"] = await connection.fetchval(counted)
    return {name: rows for name, rows in lost.items() if rows}


async def _columns(connection: Connection) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for table, column in await connection.fetch(_COLUMNS):
        columns.setdefault(table, []).append(column)
    return columns
