"""A database that is filled once, for tests that only look at it."""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio

from persistence.embedded import Embedded
from persistence.postgres import Database, open_loop
from tests.fakes.database_probe import address_in, rows


@contextmanager
def filled_database(server: Embedded, name: str, fill: Callable[[Database], Awaitable[object]]) -> Iterator[str]:
    """The address of a new database with the present schema and what `fill` puts into it; gone after the block."""

    async def on(dsn: str, work: Callable[[Database], Awaitable[object]]) -> None:
        async with open_loop(), Database.open(dsn) as database:
            await work(database)

    name = f"{name}_{os.getpid()}"
    dsn = address_in(server.dsn, name)
    trio.run(on, server.dsn, lambda database: rows(database, f"CREATE DATABASE {name} TEMPLATE migrated"))
    trio.run(on, dsn, fill)
    yield dsn
    trio.run(on, server.dsn, lambda database: rows(database, f"DROP DATABASE {name} WITH (FORCE)"))
