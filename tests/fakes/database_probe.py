"""Looking at and preparing a test's database from outside the stores."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import trio

from persistence import player_store
from persistence.postgres import Connection, Database, open_loop
from persistence.records import LoadedPlayer
from tests.fakes.flushable_player import AT_MS, FlushablePlayer


def address_in(dsn: str, name: str) -> str:
    """The address of another database on the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def rows(database: Database, sql: str, *args: object) -> list[tuple[Any, ...]]:
    """Run SQL and return its rows."""

    async def fetch(connection: Connection) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await connection.fetch(sql, *args)]

    return await database.run(fetch)


def ask(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    """Run SQL outside of Trio and return its rows."""

    async def run() -> list[tuple[Any, ...]]:
        async with open_loop(), Database.open(dsn) as database:
            return await rows(database, sql)

    return trio.run(run)


async def add_node(database: Database, name: str, *, lease_s: float = 3600.0, url: str = "") -> None:
    """A node that is said to live for that long (negative: dead since then)."""
    await rows(
        database,
        "INSERT INTO nodes (name, run, url, lease_until) VALUES ($1, $2, $3, now() + make_interval(secs => $4))"
        " ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until",
        *(name, uuid4(), url, lease_s),
    )


async def claimed_players(database: Database, count: int, *, node: str = "node-1") -> list[FlushablePlayer]:
    """New players that a node with a live lease has claimed, in the order of their ids."""
    await add_node(database, node)
    public_ids = await player_store.create_load_test_players(database, count, now_ms=AT_MS)
    loaded = await player_store.claim_and_load(database, public_ids, node=node)
    players = [FlushablePlayer.of(player) for player in loaded if isinstance(player, LoadedPlayer)]
    return sorted(players, key=lambda player: player.player_id)


async def assert_reconciled(database: Database) -> None:
    """Balances, ledger and totals agree."""
    assert await rows(database, "SELECT * FROM ledger_reconciliation") == []
    assert await rows(database, "SELECT sum(amount_mpt) FROM token_transactions HAVING sum(amount_mpt) <> 0") == []
