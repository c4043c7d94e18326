"""The queries of every day find their rows by an index; on a million players: `make test-big`."""

import os
from collections.abc import AsyncIterator, Iterator
from datetime import date

import pytest
import trio

from persistence.embedded import Embedded
from persistence.postgres import Database, open_loop
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
from tests.fakes.database_probe import address_in, rows

PLAN = Plan(players=3_000, seed=5, days=30, until=date(2026, 3, 8))


@pytest.fixture(scope="module")
def seeded_dsn(postgres_server: Embedded) -> Iterator[str]:
    """A database with enough players for a scan of them to be the worse plan."""
    name = f"plans_{os.getpid()}"
    trio.run(administer, postgres_server.dsn, f"CREATE DATABASE {name} TEMPLATE migrated")
    dsn = address_in(postgres_server.dsn, name)
    trio.run(fill, dsn)
    yield dsn
    trio.run(administer, postgres_server.dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def seeded(asyncio_loop: None, seeded_dsn: str) -> AsyncIterator[Database]:  # noqa: ARG001 - its loop
    async with Database.open(seeded_dsn) as database:
        yield database


async def administer(dsn: str, sql: str) -> None:
    async with open_loop(), Database.open(dsn) as database:
        await rows(database, sql)


async def fill(dsn: str) -> None:
    async with open_loop(), Database.open(dsn) as database:
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
