"""Fills an empty database with a seeded game, in one transaction.

Killed at any moment, a seed leaves nothing: there is no half to be found out and cleaned away, and until the COMMIT
nobody else sees a row. The game must be empty, for the numbers of players and what they own begin at 1. What the
server's schedule derives (influence, daily figures, boards) is derived here by the same functions of the database.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

from persistence.errors import SetupFailed
from persistence.postgres import Connection, Database
from persistence.registration import lock_registration
from persistence.seed.players.content import Content, read_game_content
from persistence.seed.players.history import EconomyHour, History, Plan, Report
from persistence.seed.players.sheets import COLUMNS

#: what a game that is empty has none of
_OURS = (
    "players",
    "communities",
    "competitions",
    "ledger_keys",
    "player_grants",
    "notifications",
    "viral_events",
    "devices",
)
_IS_EMPTY = "SELECT NOT EXISTS (" + " UNION ALL ".join(f"SELECT FROM {table}" for table in _OURS) + ")"  # noqa: S608 - constants
_RUNNING = "SELECT name FROM nodes WHERE lease_until > now() ORDER BY name LIMIT 1"
_IDENTITIES = (
    "players.id", "ledger_keys.transaction_id", "player_grants.id", "viral_events.id", "devices.id", "game_sessions.id",
    "competitions.id", "notifications.id", "communities.id", "analytics_events.id", "security_logs.id",
)  # fmt: skip
_PARTITIONED = ("token_transactions", "analytics_events", "security_logs")
_DATED_BY_TRIGGERS = ("communities", "competitions")  #: `updated_at` would be today's
_COMMUNITIES = ("communities", "community_members", "community_upgrades", "community_daily_power")
#: Checked in bulk at the end, not row by row (PostgreSQL manual, "Populating a Database"): half of the time.
_FOREIGN_KEYS = """
    SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY($1::text[]::regclass[]) ORDER BY conrelid, conname
"""
_DERIVED = ("impact_metrics", "player_influence", "leaderboards", "leaderboard_entries")
_MADE = object()  #: there are no more steps
_HOUR = """
    INSERT INTO economy_state
        (hour, minted_mpt, burned_mpt, emission_bp, folded_minted_mpt, folded_burned_mpt, fixed_at)
    SELECT *, 0, 0, hour FROM unnest($1::timestamptz[], $2::bigint[], $3::bigint[], $4::integer[])
        AS h (hour, minted_mpt, burned_mpt, emission_bp)
    ON CONFLICT (hour) DO NOTHING
"""


async def seed_players(database: Database, plan: Plan, *, emission_scale_pt: int, report: Report) -> dict[str, int]:
    """Fill an empty game with players and their past.

    Args:
        database: with the present schema and content.
        plan: how many, since when, from which seed.
        emission_scale_pt: tokens after which emission has halved.
        report: is told how far it has come.

    Returns:
        How many rows each table was given.

    Raises:
        SetupFailed: there are players already, a server is running, or there is no content; nothing was changed.
        DatabaseUnavailable: nothing was loaded; try again.
    """
    async with database.dedicated("seed", patient=True) as connection:
        content = await connection.transaction(_look)
        report("who there is", 0, 1)
        history = History(plan, content, emission_scale_pt)
        report("who there is", 1, 1)
        seeded = await connection.transaction(_load, history, report)
        report("tidying up", 0, 1)
        await connection.run(_tidy)
        report("tidying up", 1, 1)
        return seeded


async def _look(connection: Connection) -> Content:
    await _insist_on_an_empty_game(connection)
    return await read_game_content(connection)


async def _insist_on_an_empty_game(connection: Connection) -> None:
    if not await connection.fetchval(_IS_EMPTY):
        raise SetupFailed(
            "There are players or what belongs to them in this database already; "
            "players are seeded only into an empty game: give it a new database or data folder."
        )
    # its writes would wait for all of this, and this for them
    if (node := await connection.fetchval(_RUNNING)) is not None:
        raise SetupFailed(f"The server {node} is using this database; stop it, and seed the players then.")


async def _load(connection: Connection, history: History, report: Report) -> dict[str, int]:
    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    await connection.execute("SET LOCAL work_mem = '128MB'")
    await connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
    await lock_registration(connection)
    await _insist_on_an_empty_game(connection)
    calendar = history.calendar
    months = (calendar.until.year - calendar.first.year) * 12 + calendar.until.month - calendar.first.month + 3
    for table in _PARTITIONED:
        await connection.execute("SELECT create_partitions($1, $2, $3)", table, calendar.first, months)
    for table in _DATED_BY_TRIGGERS:
        await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_updated_at")
    foreign_keys = await connection.fetch(_FOREIGN_KEYS, [*COLUMNS, *_DERIVED])
    for table, name, _ in foreign_keys:
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    copying = _Copying(connection, history, report)
    await _copy_what_is_made(history, copying)
    await _finish_competitions(connection, history)
    await _fix_hours(connection, history)
    report("statistics", 0, 1)
    await connection.execute("ANALYZE")
    derived = await _derive(connection, history, report, copying)
    report("checking the ledger", 0, 1)
    for column in _IDENTITIES:
        table, name = column.split(".")
        await connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', '{name}'), max({name})) FROM {table}"  # noqa: S608 - constants
            f" HAVING max({name}) > 0"
        )
    await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for number, (table, name, definition) in enumerate(foreign_keys, start=1):
        await connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        report("checking", number, len(foreign_keys))
    for table in _DATED_BY_TRIGGERS:
        await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER {table}_updated_at")
    return history.sheets.rows | derived


async def _finish_competitions(connection: Connection, history: History) -> None:
    """Entries are taken only while a competition runs; then it goes on as it would have."""
    moment = history.calendar.moment
    for number, frozen_s, settled_s in history.competitions_over:
        await connection.execute(
            "UPDATE competitions SET state = 'frozen', frozen_at = $2, updated_at = $2 WHERE id = $1",
            number, moment(frozen_s),
        )  # fmt: skip
        await connection.execute(
            "UPDATE competitions SET state = 'settled', settled_at = $2, updated_at = $2 WHERE id = $1",
            number, moment(settled_s),
        )  # fmt: skip


async def _fix_hours(connection: Connection, history: History) -> None:
    hours: list[EconomyHour] = history.hours
    await connection.execute(
        _HOUR,
        [history.calendar.moment(hour.at_s) for hour in hours],
        [hour.minted_mpt for hour in hours],
        [hour.burned_mpt for hour in hours],
        [hour.emission_bp for hour in hours],
    )


async def _derive(connection: Connection, history: History, report: Report, copying: "_Copying") -> dict[str, int]:
    """What the schedule would have written.

    Communities come between: their daily power is part of the history, and the roll-up of a day that is long past would
    write today's in its place. Influence is known only as of the end, so only the last day has figures of it.
    """
    calendar = history.calendar
    end = calendar.moment(calendar.end_s)
    for day in range(calendar.days - 1):
        report("daily figures", day, calendar.days)
        await connection.execute("SELECT roll_up_day($1)", calendar.dates[day])
    report("influence", 0, 1)
    await connection.execute("SELECT recompute_influence($1)", calendar.moment(calendar.end_s - 1))
    await connection.execute("SELECT roll_up_day($1)", calendar.until)
    await copying.copy(copying.take(_COMMUNITIES))
    await connection.execute("ANALYZE communities, player_influence")
    report("boards", 0, 1)
    await connection.execute("SELECT close_leaderboard_period('day', $1, $2)", calendar.until, end)
    return {
        table: await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - constants
        for table in ("economy_state", *_DERIVED)
    }


async def _tidy(connection: Connection) -> None:
    """So that the first queries find what they would find in a game that has run for a while."""
    await connection.execute("VACUUM")
    await connection.execute(f"ANALYZE communities, community_members, {', '.join(_DERIVED)}")


class _Copying:
    """COPY of what is ready.

    Args:
        connection: in the transaction.
        history: whose sheets.
        report: is told of the days and the rows.
    """

    def __init__(self, connection: Connection, history: History, report: Report) -> None:
        self._connection = connection
        self._history = history
        self._report = report
        self._copied = 0

    def take(self, tables: Iterable[str]) -> list[tuple[str, list[bytes]]]:
        """The full blocks of these tables."""
        self._report("days", self._history.days_lived, self._history.calendar.days)
        return [(table, self._history.sheets[table].take()) for table in tables]

    async def copy(self, ready: Iterable[tuple[str, list[bytes]]]) -> None:
        """Copy blocks that were taken."""
        for table, blocks in ready:
            if blocks:
                tag = await self._connection.copy_text(table, columns=COLUMNS[table].split(", "), blocks=_each(blocks))
                self._copied += int(tag.removeprefix("COPY "))
                self._report("rows", self._copied, 0)


async def _copy_what_is_made(history: History, copying: _Copying) -> None:
    """Copy rows while the next ones are made by a thread: the one is PostgreSQL's work, the other ours.

    Foreign keys are off, so rows may come before what they refer to. Asyncio-flavoured beyond the connection: this is
    a command, nothing else waits for the loop.
    """
    steps = history.steps()
    tables = [table for table in COLUMNS if table not in _COMMUNITIES]
    making = asyncio.ensure_future(asyncio.to_thread(next, steps, _MADE))
    try:
        while await making is not _MADE:
            # taken before the thread goes on, copied while it does
            ready = copying.take(tables)
            making = asyncio.ensure_future(asyncio.to_thread(next, steps, _MADE))
            await copying.copy(ready)
    finally:
        await asyncio.wait([making])


async def _each(blocks: list[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block
