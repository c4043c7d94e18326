"""The database as a command sees it: where it is, how its schema is looked at and moved, how it is saved and restored.

Where no `GAME_DATABASE_URL` is set the database is the embedded one: the running server's, or, while none runs, one
that lives as long as the command.
"""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from gameserver import __version__
from gameserver.errors import first_of
from gameserver.settings import Settings
from gameserver.stop_request import StopRequest, cancel_when
from persistence import backup
from persistence import restore as restoring
from persistence.backup import BackupReport
from persistence.backup_file import sound_backup
from persistence.data_folder import CLUSTER
from persistence.embedded import Embedded, running
from persistence.errors import PersistenceError, SchemaMismatch, SetupFailed
from persistence.migrations import migrate
from persistence.migrations.losses import losses as find_losses
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
        async with Database.open(dsn) as database:
            return await work(database)

    return _on(settings, run)


def _on(settings: Settings, work: Callable[[str], Awaitable[T]]) -> T:
    """Run `work` with the database's address; refusals come out without a group round them.

    Ctrl-C and SIGTERM cancel it, so that it cleans up wherever it is, and come out as KeyboardInterrupt. Raised by
    Python itself, that would hit whatever runs just then: a callback of the asyncio loop swallows it.
    """
    stop = StopRequest()

    async def run(dsn: str) -> T:
        async with open_loop(), trio.open_nursery() as nursery:
            await nursery.start(stop.listen)
            nursery.start_soon(cancel_when, stop.asked, nursery.cancel_scope)
            result = await work(dsn)
            nursery.cancel_scope.cancel()
            return result
        raise KeyboardInterrupt

    try:
        with located(settings) as place:
            return trio.run(run, place.dsn)
    except BaseExceptionGroup as group:
        if stop.asked.is_set() or group.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from None
        if ours := group.subgroup(PersistenceError):
            raise first_of(ours) from None
        raise


async def prepare_schema(database: Database, settings: Settings) -> bool:
    """Bring the schema up where the database is ours or, in dev, brand new; else insist that it is the right one.

    Returns:
        Whether it is ours or brand new.

    Raises:
        SchemaMismatch: it is not; the sentence names the command.
    """
    ours = settings.database_url is None or (settings.is_dev and await migrate.is_empty(database))
    if ours:
        await migrate.up(database)  # refuses what `check` would refuse
    else:
        await migrate.check(database)
    return ours


def with_game(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on a database whose schema is the right one, and return what it returned.

    Raises:
        SchemaMismatch: it is not; the sentence names the command.
        PersistenceError: the database cannot be used; the sentence says why.
    """

    async def run(database: Database) -> T:
        await prepare_schema(database, settings)
        return await work(database)

    return with_database(settings, run)


def status(settings: Settings) -> tuple[list[RevisionStatus], list[str]]:
    """Every revision that the server knows or the database has, and what was changed by hand, in words."""

    async def look(database: Database) -> tuple[list[RevisionStatus], list[str]]:
        return await migrate.status(database), await migrate.drift(database)

    return with_database(settings, look)


def up(settings: Settings, target: str | None) -> list[str]:
    """Apply what is missing up to `target` (None: all); returns what was applied."""
    return with_database(settings, functools.partial(migrate.up, target=target))


def down(settings: Settings, target: str) -> list[str]:
    """Take back what came after `target`; returns what was taken back."""
    return with_database(settings, functools.partial(migrate.down, target=target))


def losses(settings: Settings, target: str) -> dict[str, int]:
    """What `down` to `target` would lose: rows by table, values by `table.column`."""
    return with_database(settings, functools.partial(find_losses, target=target))


def accept(settings: Settings) -> list[str]:
    """Take the schema as it now is for the right one; returns what is different from before, in words."""
    return with_database(settings, migrate.accept)


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


def back_up(settings: Settings, path: Path, *, verify: bool, announce: Callable[[str], None]) -> BackupReport:
    """Make a backup; a running server goes on meanwhile.

    Args:
        settings: where the database is.
        path: the file to make.
        verify: restore it once, into a database made for that, and compare.
        announce: is told in one line what begins.

    Raises:
        PersistenceError: there is none; the sentence says why.
    """
    if settings.database_url is None and not (settings.data_folder / CLUSTER).exists():
        raise SetupFailed(f"There is no database in {settings.data_folder} that could be backed up.")

    async def run(dsn: str) -> BackupReport:
        return await backup.back_up(
            dsn,
            path,
            server_version=__version__,
            embedded=settings.database_url is None,
            verify=verify,
            announce=announce,
        )

    return _on(settings, run)


def restore(settings: Settings, path: Path, *, force: bool, announce: Callable[[str], None]) -> BackupReport:
    """Restore a backup; the file is checked whole before the database is so much as started.

    Args:
        settings: where the database is.
        path: the backup.
        force: replace the game that is there.
        announce: is told in one line what begins.

    Raises:
        PersistenceError: the database is as it was; the sentence says why.
    """
    with sound_backup(path) as sound:

        async def run(dsn: str) -> BackupReport:
            return await restoring.restore(
                dsn, sound, force=force, embedded=settings.database_url is None, announce=announce
            )

        return _on(settings, run)


def lacks_revisions(report: BackupReport) -> bool:
    """Whether what was restored is of an older schema than this server's."""
    return len(report.contents.revisions) < len(migrate.REVISIONS)
