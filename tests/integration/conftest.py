"""A real PostgreSQL for the tests of a worker, and a fresh database for each test that asks for one.

Tests that use it bear the mark `database`: `make test-postgres` runs them on another PostgreSQL.
"""

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Iterator

import pytest
import trio

from persistence.embedded import Embedded
from persistence.migrations import migrate
from persistence.postgres import Connection, Database, open_loop
from tests.chosen_postgres import CHOSEN, start_postgres
from tests.data_folders import new_data_folder
from tests.fakes.database_probe import address_in

_TEMPLATE = "migrated"
_numbers = itertools.count(1)
_OURS = {"postgres_server", "server_settings"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _OURS & set(getattr(item, "fixturenames", ())):
            item.add_marker("database")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Embedded]:
    """The PostgreSQL of this worker, with a migrated database that tests copy. Not to be stopped by a test."""
    folder = new_data_folder("ppj-tests-")
    try:
        with start_postgres(folder) as server:
            _administer(server, f"CREATE DATABASE {_TEMPLATE}")
            trio.run(_migrate, address_in(server.dsn, _TEMPLATE))
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def empty_database_dsn(postgres_server: Embedded) -> Iterator[str]:
    """The address of a new, empty database."""
    yield from _fresh(postgres_server, "template0")


@pytest.fixture
def database_dsn(postgres_server: Embedded) -> Iterator[str]:
    """The address of a new database with the present schema."""
    yield from _fresh(postgres_server, _TEMPLATE)


@pytest.fixture
def server_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """What a `ServerProcess` is to be given so that it uses the chosen PostgreSQL; nothing where that is its own."""
    return {} if CHOSEN is None else {"database_url": request.getfixturevalue("empty_database_dsn")}


@pytest.fixture
async def asyncio_loop() -> AsyncIterator[None]:
    """The asyncio loop that `Database.open` needs."""
    async with open_loop():
        yield


@pytest.fixture
async def empty_database(asyncio_loop: None, empty_database_dsn: str) -> AsyncIterator[Database]:  # noqa: ARG001 - its loop
    """A new, empty database, open."""
    async with Database.open(empty_database_dsn) as database:
        yield database


@pytest.fixture
async def database(asyncio_loop: None, database_dsn: str) -> AsyncIterator[Database]:  # noqa: ARG001 - its loop
    """A new database with the present schema, open."""
    async with Database.open(database_dsn) as database:
        yield database


def _fresh(server: Embedded, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield address_in(server.dsn, name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(server: Embedded, sql: str) -> None:
    async def run() -> None:
        async def execute(connection: Connection) -> None:
            await connection.execute(sql)

        async with (
            open_loop(),
            Database.open(address_in(server.dsn, "postgres")) as database,
        ):
            await database.run(execute)

    trio.run(run)


async def _migrate(dsn: str) -> None:
    async with open_loop(), Database.open(dsn) as database:
        await migrate.up(database)
