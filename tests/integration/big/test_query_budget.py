"""A million players: the queries of every day use their indexes, and what they cost (`make test-big`).

Figures go to `build/query-budget.json` and `.md`, and are never judged: machines differ. The test fails where a
query reads a big table from one end to the other, or where rows are missing.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import trio

from persistence.embedded import Embedded
from persistence.migrations import migrate
from persistence.postgres import Database, open_loop
from persistence.seed.content import load_shipped_content
from persistence.seed.players.history import Plan
from persistence.seed.players.load import seed_players
from tests.bench.query_budget import (
    FREQUENT,
    FUNCTIONS,
    Bench,
    big_tables,
    furnish,
    indexes_of,
    long_scans_of,
    plan_of,
    scans_of_function,
)
from tests.fakes.database_probe import rows

pytestmark = [pytest.mark.big, pytest.mark.timeout(3_600)]

PLAYERS = int(os.environ.get("BIG_PLAYERS", "1000000"))
DAYS = 2
REPEATED = 5
BUILD = Path(__file__).parents[3] / "build"


@dataclass(frozen=True, slots=True)
class Seeded:
    """The database, and how it came about."""

    dsn: str
    rows: dict[str, int]
    took_s: float


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@pytest.fixture(scope="module")
def million() -> Iterator[Seeded]:
    """A PostgreSQL of its own, seeded until yesterday."""
    folder = Path(tempfile.mkdtemp(prefix="ppj-big-"))
    try:
        with Embedded.start(folder) as server:
            yield trio.run(_seed, server.dsn)
    finally:
        shutil.rmtree(folder)


async def _seed(dsn: str) -> Seeded:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)  # noqa: TID251 - a test's own clock
    phases: list[str] = []

    def report(phase: str, _done: int, _total: int) -> None:
        if phase not in phases:
            phases.append(phase)
            say(f"{time.perf_counter() - began_s:6.0f} s  {phase}")

    async with open_loop(), Database.open(dsn) as database:
        await migrate.up(database)
        await load_shipped_content(database)
        began_s = time.perf_counter()
        counted = await seed_players(
            database, Plan(PLAYERS, 1, DAYS, yesterday), emission_scale_pt=10**9, report=report
        )
        took_s = time.perf_counter() - began_s
        say(f"{took_s:6.0f} s  seeded")
        await furnish(database)
        say(f"{time.perf_counter() - began_s:6.0f} s  furnished")
        return Seeded(dsn, counted, took_s)


async def test_a_million_players(million: Seeded, asyncio_loop: None) -> None:  # noqa: ARG001 - its loop
    async with Database.open(million.dsn) as database:
        assert await rows(database, "SELECT count(*) FROM players") == [(PLAYERS,)]
        big = await big_tables(database)
        assert {"players", "player_sessions", "operation_cursors", "ledger_keys", "leaderboard_entries"} <= big
        used: dict[str, str] = {}
        for name, sql in FREQUENT.items():
            plan = await plan_of(database, sql)
            assert long_scans_of(plan, big) == [], name
            used[name] = ", ".join(indexes_of(plan)) or "its table is small"
        for name, (sql, argument) in FUNCTIONS.items():
            found = await scans_of_function(database, sql, argument, big)
            assert found, name
            assert {table for table, (whole, _) in found.items() if whole} == set(), name
            used[name] = ", ".join(f"{table}: {by_index} index scans" for table, (_, by_index) in sorted(found.items()))
        bench = Bench(database, REPEATED, say)
        await bench.all()
        async with database.dedicated("reconcile", patient=True) as patient:
            assert await patient.run(lambda connection: connection.fetch("SELECT * FROM ledger_reconciliation")) == []
    _write(million, used, bench.figures_ms)


def _write(million: Seeded, used: dict[str, str], figures_ms: dict[str, float]) -> None:
    BUILD.mkdir(exist_ok=True)
    told = {"players": PLAYERS, "seeded_s": million.took_s, "rows": million.rows, "indexes": used, "ms": figures_ms}
    (BUILD / "query-budget.json").write_bytes(msgspec.json.format(msgspec.json.encode(told)))
    lines = [
        f"{PLAYERS} players, {sum(million.rows.values())} rows, seeded in {million.took_s:.0f} s",
        "",
        "| what | median |",
        "|---|---:|",
        *(f"| {what} | {took_ms:.1f} ms |" for what, took_ms in figures_ms.items()),
        "",
        "| query | indexes |",
        "|---|---|",
        *(f"| {name} | {indexes} |" for name, indexes in used.items()),
        "",
    ]
    (BUILD / "query-budget.md").write_text("\n".join(lines), encoding="utf-8")
    say("\n".join(lines))
