"""The queries of every day find their rows by an index; on a million players: `make test-big`."""

from collections.abc import AsyncIterator, Iterator
from datetime import date

import pytest

from persistence.embedded import Embedded
from persistence.postgres import Database
from persistence.seed.content import load_shipped_content
from persistence.seed.players.history import Plan
from persistence.seed.players.load import seed_players
from tests.bench.query_budget import (
    FREQUENT,
    FUNCTIONS,
    big_tables,
    furnish,
    indexes_of,
    long_scans_of,
    plan_of,
    scans_of_function,
)
from tests.fakes.seeded_database import filled_database

PLAN = Plan(players=3_000, seed=5, days=30, until=date(2026, 3, 8))


@pytest.fixture(scope="module")
def seeded_dsn(postgres_server: Embedded) -> Iterator[str]:
    """A database with enough players for a scan of them to be the worse plan."""
    with filled_database(postgres_server, "plans", fill) as dsn:
        yield dsn


@pytest.fixture
async def seeded(asyncio_loop: None, seeded_dsn: str) -> AsyncIterator[Database]:  # noqa: ARG001 - its loop
    async with Database.open(seeded_dsn) as database:
        yield database


async def fill(database: Database) -> None:
    await load_shipped_content(database)
    await seed_players(database, PLAN, emission_scale_pt=10**9, report=lambda *_: None)
    await furnish(database)


@pytest.mark.parametrize("query", FREQUENT)
async def test_a_frequent_query_uses_an_index(seeded: Database, query: str) -> None:
    plan = await plan_of(seeded, FREQUENT[query])
    assert long_scans_of(plan, await big_tables(seeded)) == []
    assert indexes_of(plan)


@pytest.mark.parametrize("name", FUNCTIONS)
async def test_a_function_of_the_database_uses_indexes(seeded: Database, name: str) -> None:
    sql, argument = FUNCTIONS[name]
    found = await scans_of_function(seeded, sql, argument, await big_tables(seeded))
    assert found
    assert {table: scans for table, scans in found.items() if scans[0]} == {}


async def test_a_long_scan_is_found(seeded: Database) -> None:
    big = await big_tables(seeded)
    rich = "SELECT count(*) FROM players WHERE taps > $1"
    assert long_scans_of(await plan_of(seeded, rich), big) == ["players"]
    large = await plan_of(seeded, "SELECT count(*) FROM token_transactions WHERE amount_mpt > $1")
    assert "token_transactions_2026_03" in long_scans_of(large, big)
    scanned = await scans_of_function(seeded, f"{rich} AND $2 <> ''", "1::bigint", big)
    assert scanned == {"players": (1, 0)}
