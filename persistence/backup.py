"""Makes a backup: a dump of one instant, sealed, restored once to see that it can be, and only then given its name.

One transaction exports its snapshot and counts every table in it; pg_dump reads by the same snapshot. So the counts are
those of the dump, to the row, while the server goes on playing and flushing.

The file is written beside its final name, which it gets by renaming when all is done: a backup that fails or is killed
leaves the one before it as it was.
"""

import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit, urlunsplit

import trio

from persistence.backup_file import DUMP_MAGIC, Manifest, seal, sha256_of
from persistence.client_programs import ClientPrograms, find_client_programs
from persistence.contents import Contents, contents_of
from persistence.errors import Rejected, SchemaMismatch, SetupFailed
from persistence.migrations import migrate
from persistence.postgres import Connection, Database

APPLICATION = "gameserver backup"
SCRATCH = "ppj_verify"  #: how the databases begin that backups are verified in

#: What is ours, and nothing that another machine may not have: roles, tablespaces.
DUMP_OPTIONS = ("--format=custom", "--schema=public", "--no-owner", "--no-privileges", "--no-tablespaces")
#: The same again for reading; it leaves out the schema itself, which every database has.
RESTORE_OPTIONS = ("--schema=public", "--no-owner", "--no-privileges", "--no-tablespaces", "--exit-on-error")

_INSUFFICIENT_PRIVILEGE = "42501"
_OID = "SELECT oid FROM pg_database WHERE datname = current_database()"
_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
_LEFT_BEHIND = "SELECT datname::text FROM pg_database WHERE starts_with(datname::text, $1)"
_CREATE = """
    SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
        $1::text, pg_encoding_to_char(encoding), datcollate, datctype)
    FROM pg_database WHERE datname = current_database()
"""
_NOW = """SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was backed up or restored.

    Args:
        size_bytes: of the file.
        contents: what is in it.
        seconds: how long it took.
    """

    size_bytes: int
    contents: Contents
    seconds: float


async def back_up(
    dsn: str, path: Path, *, server_version: str, embedded: bool, verify: bool, announce: Callable[[str], None]
) -> BackupReport:
    """Back up the game's database; inside `open_loop()`.

    Args:
        dsn: the database's address.
        path: the file to make; one that is there is replaced when the new one is complete.
        server_version: of the game server, for the manifest.
        embedded: whether the database is the embedded one.
        verify: restore the backup into a database made for that and dropped again, and compare.
        announce: is told in one line what begins.

    Raises:
        PersistenceError: there is no backup, and what was at `path` is still there; the sentence says why.
    """
    began = time.monotonic()
    path = _target(path)
    async with Database.open(dsn, application=APPLICATION) as database:
        await _refuse_unknown_schema(database)
        major = await postgres_major(database)
        programs = find_client_programs(major, dsn, APPLICATION, embedded=embedded)
        announce(f"backing up {database.address} to {path} …")
        with _draft(path) as draft:
            if verify:
                async with _scratch_database(database, dsn) as scratch_dsn:
                    manifest = await _dump(database, programs, draft, server_version, major)
                    size_bytes = seal(draft, manifest)
                    await _verify(programs, draft, manifest, scratch_dsn)
            else:
                manifest = await _dump(database, programs, draft, server_version, major)
                size_bytes = seal(draft, manifest)
    return BackupReport(size_bytes, manifest.contents, time.monotonic() - began)


async def postgres_major(database: Database) -> int:
    """The server's major version."""

    async def ask(connection: Connection) -> int:
        return int(await connection.fetchval("SHOW server_version_num")) // 10_000

    return await database.run(ask)


def in_database(dsn: str, name: str) -> str:
    """The address of another database on the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


async def _refuse_unknown_schema(database: Database) -> None:
    statuses = [status for status in await migrate.status(database) if status.applied_at_ms]
    if not statuses:
        raise SetupFailed(f"{database.address} holds nothing of this game that could be backed up.")
    for status in statuses:
        if not status.known:
            raise SchemaMismatch(
                f"The database has schema revision {status.id}, newer than this server knows; "
                "back it up with the server that applied it."
            )
        if status.drifted:
            raise SchemaMismatch(
                f"Schema revision {status.id} was applied from another text than this server's; "
                "back it up with the server that applied it."
            )


async def _dump(
    database: Database, programs: ClientPrograms, draft: BinaryIO, server_version: str, major: int
) -> Manifest:
    async with database.dedicated("snapshot", patient=True) as connection:
        # The transaction stays open until pg_dump, which reads by its snapshot, has ended.
        snapshot, created_at, contents = await connection.run(_take_snapshot)
        await programs.run("pg_dump", *DUMP_OPTIONS, f"--snapshot={snapshot}", stdout=draft)
    dump_bytes = draft.seek(0, os.SEEK_END)
    return Manifest(server_version, major, created_at, contents, dump_bytes, sha256_of(draft, dump_bytes))


async def _take_snapshot(connection: Connection) -> tuple[str, str, Contents]:
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    snapshot: str = await connection.fetchval("SELECT pg_export_snapshot()")
    created_at: str = await connection.fetchval(_NOW)
    return snapshot, created_at, await contents_of(connection.fetchval)


async def _verify(programs: ClientPrograms, draft: BinaryIO, manifest: Manifest, scratch_dsn: str) -> None:
    draft.seek(0)
    into_scratch = ClientPrograms(programs.folder, scratch_dsn, programs.application)
    await into_scratch.run("pg_restore", *RESTORE_OPTIONS, stdin=draft)

    async def look(connection: Connection) -> Contents:
        return await contents_of(connection.fetchval)

    async with (
        Database.open(scratch_dsn, application=APPLICATION) as scratch,
        scratch.dedicated("verify", patient=True) as connection,
    ):
        found = await connection.run(look)
    if difference := found.difference_from(manifest.contents):
        raise SetupFailed(f"The backup does not restore to what was backed up ({difference}); it was thrown away.")


@asynccontextmanager
async def _scratch_database(database: Database, dsn: str) -> AsyncIterator[str]:
    """A new, empty database on the same server, dropped at the end; so are those that killed backups left behind.

    A lock on its name, held by our connection, tells other backups that it is in use.
    """
    async with database.dedicated("scratch", patient=True) as connection:
        name = await connection.run(_choose_name)
        try:
            await connection.run(_create, name)
            yield in_database(dsn, name)
        finally:
            with trio.CancelScope(shield=True):
                await connection.run(_drop, name)


async def _choose_name(connection: Connection) -> str:
    prefix = f"{SCRATCH}_{await connection.fetchval(_OID)}_"
    for (left_behind,) in await connection.fetch(_LEFT_BEHIND, prefix):
        if await connection.fetchval(_LOCK, left_behind):
            await _drop(connection, left_behind)
    name = prefix + secrets.token_hex(8)
    await connection.fetchval(_LOCK, name)
    return name


async def _create(connection: Connection, name: str) -> None:
    try:
        await connection.execute(await connection.fetchval(_CREATE, name))
    except Rejected as error:
        if error.sqlstate != _INSUFFICIENT_PRIVILEGE:
            raise
        raise SetupFailed(
            "The backup cannot be verified because the role may not create a database; "
            "give it CREATEDB, or use --no-verify."
        ) from error


async def _drop(connection: Connection, name: str) -> None:
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _target(path: Path) -> Path:
    """Where the file really goes.

    Raises:
        SetupFailed: there is something else than a backup, or no folder for it.
    """
    path = Path(os.path.realpath(path))
    try:
        if not path.parent.is_dir():
            raise SetupFailed(f"There is no folder {path.parent} for the backup; make it, or name another.")
        if path.exists() and not path.is_file():
            raise SetupFailed(f"{path} is not a file; name one.")
        if path.exists() and path.stat().st_size > 0:
            with path.open("rb") as file:
                if file.read(len(DUMP_MAGIC)) != DUMP_MAGIC:
                    raise SetupFailed(f"{path} is something else than a backup; name another file, or remove it.")
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


@contextmanager
def _draft(path: Path) -> Iterator[BinaryIO]:
    """A new file beside `path`, for its owner's eyes only, which becomes it at the end of a block that did not fail."""
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    draft = Path(name)
    try:
        with os.fdopen(number, "w+b") as file:
            yield file
        draft.rename(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _unwritable(path: Path, error: OSError) -> SetupFailed:
    return SetupFailed(f"The backup {path} cannot be written ({error.strerror}).")
