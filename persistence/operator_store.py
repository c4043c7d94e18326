"""What operators look at: the views of revisions 0006 and 0010, and whether all that must agree does."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from persistence.postgres import Connection, Database


@dataclass(frozen=True, slots=True)
class Report:
    """A view and how it is read.

    Args:
        view: its name; what it is for stands in the database's own comment.
        order: by which columns its rows are sorted.
        by_player: it has a row or rows per player, told apart by `public_id`.
    """

    view: str
    order: str
    by_player: bool = False


#: By the name an operator gives.
REPORTS: dict[str, Report] = {
    "players": Report("player_profiles", "lifetime_mpt DESC, id", by_player=True),
    "standings": Report("current_standings", "board, period, rank", by_player=True),
    "economy": Report("economy_overview", "float_mpt NULLS FIRST, minted_mpt + burned_mpt DESC, source"),
    "retention": Report("retention_cohorts", "joined DESC"),
    "suspicious": Report("suspicious_players", "state, score DESC, public_id", by_player=True),
    "competitions": Report("competition_standings", "starts_at DESC, competition, place", by_player=True),
    "communities": Report("community_ranking", "rank"),
    "missions": Report("mission_funnel", "period, drawn DESC, key"),
    "queries": Report("query_statistics", "total_ms DESC"),
    "ledger": Report("ledger_reconciliation", "what, id"),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """What a report says."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    more: bool  #: there are more than were asked for


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An invariant that does not hold."""

    invariant: str  #: what should be so
    subject: str  #: of whom or what it is not so
    expected: str
    found: str


async def read_report(database: Database, report: Report, *, limit: int, player: UUID | None = None) -> Rows:
    """The first rows of a report.

    Args:
        database: where.
        report: one of `REPORTS`.
        limit: how many rows, 1 and more.
        player: only this player's, where the report is by player.

    Raises:
        DatabaseUnavailable: try again.
    """
    sql = f"SELECT * FROM {report.view}"  # noqa: S608 - a constant
    if player is not None:
        sql += " WHERE public_id = $2"
    sql += f" ORDER BY {report.order} LIMIT $1"

    async def read(connection: Connection) -> Rows:
        found = await connection.fetch(sql, limit + 1, *(() if player is None else (player,)))
        columns = await connection.fetch(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
            report.view,
        )
        return Rows(tuple(name for (name,) in columns), tuple(map(tuple, found[:limit])), more=len(found) > limit)

    async with database.dedicated("report", patient=True) as connection:
        return await connection.transaction(read)


async def describe_reports(database: Database) -> dict[str, str]:
    """What each report is for, in the database's own words, by the name an operator gives."""

    async def read(connection: Connection) -> dict[str, str]:
        sql = "SELECT obj_description($1::text::regclass, 'pg_class')"
        return {name: await connection.fetchval(sql, report.view) for name, report in REPORTS.items()}

    return await database.run(read)


async def reconcile(database: Database) -> Sequence[Disagreement]:
    """Every invariant that does not hold, as of one instant; reads everything, which takes its time on a large game.

    Raises:
        DatabaseUnavailable: try again.
    """

    async def read(connection: Connection) -> list[Disagreement]:
        return [Disagreement(*row) for row in await connection.fetch("SELECT * FROM reconcile()")]

    async with database.dedicated("reconcile", patient=True) as connection:
        return await connection.transaction(read)
