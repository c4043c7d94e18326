"""The database as a command sees it: where it is, and how its schema is looked at and moved.

Where no `GAME_DATABASE_URL` is set the database is the embedded one: the running server's, or, while none runs, one
that lives as long as the command.
"""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import trio

from gameserver.errors import first_of
from gameserver.settings import Settings
from persistence.data_folder import CLUSTER
from persistence.embedded import Embedded, running
from persistence.errors import PersistenceError, SchemaMismatch
from persistence.migrations import migrate
from persistence.migrations.migrate import RevisionStatus
from persistence.postgres import Database, open_loop

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """A database.

    Args:
        dsn: its address.
        data: where people find its data.
        embedded: the PostgreSQL that is ours to keep running; None where it is somebody else's.
    """

    dsn: str
    data: str
    embedded: Embedded | None


@contextlib.contextmanager
def located(settings: Settings) -> Iterator[Place]:
    """Where the database is; an embedded one that is ours lives as long as the block.

    Raises:
        SetupFailed: it cannot be started; the sentence says why.
    """
    if settings.database_url is not None:
        yield Place(settings.database_url.get_secret_value(), "the PostgreSQL of GAME_DATABASE_URL", None)
    else:
        with running(settings.data_folder) as (dsn, embedded):
            yield Place(dsn, f"{settings.data_folder} (psql '{dsn}')", embedded)


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on the database and return what it returned.

    Raises:
        PersistenceError: the database cannot be used; the sentence says why.
    """

    async def run(dsn: str) -> T:
        async with open_loop(), Database.open(dsn) as database:
            return await work(database)

    with located(settings) as place:
        try:
            return trio.run(run, place.dsn)
        except* PersistenceError as group:
            raise first_of(group) from None


async def prepare_schema(database: Database, settings: Settings) -> bool:
    """Bring the schema up where the database is ours or, in dev, brand new; else insist that it is the right one.

    Returns:
        Whether it is ours or brand new.

    Raises:
        SchemaMismatch: it is not; the sentence names the command.
    """
    ours = settings.database_url is None or (settings.is_dev and await migrate.is_empty(database))
    if ours:
        await migrate.up(database)
    await migrate.check(database)
    return ours


def status(settings: Settings) -> list[RevisionStatus]:
    """Every revision that the server knows or the database has."""
    return with_database(settings, migrate.status)


def up(settings: Settings, target: str | None) -> list[str]:
    """Apply what is missing up to `target` (None: all); returns what was applied."""
    return with_database(settings, functools.partial(migrate.up, target=target))


def down(settings: Settings, target: str) -> list[str]:
    """Take back what came after `target`; returns what was taken back."""
    return with_database(settings, functools.partial(migrate.down, target=target))


def inspect(settings: Settings) -> str:
    """One sentence about a database that is as it should be; makes none where there is none yet.

    Raises:
        PersistenceError: it is not.
    """
    if settings.database_url is None and not (settings.data_folder / CLUSTER).exists():
        return f"made in {settings.data_folder} at the first start"

    async def look(database: Database) -> str:
        try:
            await migrate.check(database)
        except SchemaMismatch:
            if settings.database_url is not None or not await migrate.is_empty(database):
                raise
            return f"{database.address} answers; the schema is made at the first start"
        return f"{database.address} answers and its schema is the one this server was built for"

    return with_database(settings, look)
