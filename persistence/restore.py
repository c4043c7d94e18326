"""Restores a backup: everything in one transaction, which looks at what it has made before it commits.

The file has been read whole and checked before (`backup_file`). Then psql is sent, through one pipe: BEGIN; with
`--force` what drops the game that is there; all that pg_restore makes of the dump; and, while nobody else sees any of
it, the questions by which a backup is verified. COMMIT follows only if every answer is the manifest's. So what is
verified is the very thing that becomes visible, and whatever fails or is killed on the way (a pipe that ends before
COMMIT is a rollback) leaves the target as it was. Another database that is verified and then renamed would need the
right to create one, twice the time for the copy or a swap that loses the database's own settings and grants, and
nobody connected; this way needs none of that, and is the same for the embedded database and a hosted one.

Servers of the time before must not write into the restored database, which may know less than their memory does. A
live one, by its lease or its connections, is a reason to refuse. One that is cut off and comes back later is fenced:

* its row in `nodes` bears another run, so it loses its name at the next renewal and stops;
* every player's `owner_epoch` is raised above all that were ever given out, by the clock, so none of its flushes counts
  and no client takes the events of two histories for one;
* `players.id` goes on far above the ids given out after the backup, so its player is never another's new one.

`players.owner_node` may go on naming a node: whose lease has ended does not stand in anyone's way.
"""

import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import BinaryIO

import trio

from persistence.backup import RESTORE_OPTIONS, BackupReport, postgres_major
from persistence.backup_file import SoundBackup
from persistence.client_programs import ClientPrograms, complaint, find_client_programs
from persistence.contents import OBJECTS, Ask, contents_of
from persistence.errors import BackupUnusable, SetupFailed
from persistence.postgres import Connection, Database

APPLICATION = "gameserver restore"
LOCK_S = 10  #: how long to wait for somebody who is reading the tables that are to go
STOP_S = 5.0  #: for psql to end after it was interrupted
NEW_IDS = 1_000_000_000  #: more players than can have come between the backup and the restore

_COUNT_OBJECTS = f"SELECT count(*)::text FROM ({OBJECTS}) AS ours"  # noqa: S608 - a constant
_IS_GAME = """
    SELECT count(*)::text FROM pg_attribute
    WHERE attrelid = to_regclass('public.schema_migrations') AND attname IN ('revision', 'checksum')
"""
_LIVE_NODES = "SELECT string_agg(name, ', ' ORDER BY name) FROM public.nodes WHERE lease_until > clock_timestamp()"
_CONNECTED = f"""
    SELECT count(*)::text FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'gameserver %'
        AND application_name NOT LIKE '{APPLICATION}%'
"""  # noqa: S608 - a constant
_DROP = f"""
DO $$
DECLARE
    commands text[];
    command text;
BEGIN
    SELECT coalesce(array_agg(format('DROP %s IF EXISTS %s CASCADE', kind, name) ORDER BY place), '{{}}') INTO commands
    FROM ({OBJECTS}) AS ours;
    FOREACH command IN ARRAY commands LOOP
        EXECUTE command;
    END LOOP;
END $$;
"""  # noqa: S608 - a constant
#: pg_restore's script empties the search path, which functions of ours rely on; a new table has no statistics.
_LOADED = """
SET LOCAL search_path = public;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT format('%I', relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    LOOP
        EXECUTE 'ANALYZE ' || name;
    END LOOP;
END $$;
"""
_FENCE = f"""
UPDATE nodes SET run = gen_random_uuid(), lease_until = least(lease_until, now());
UPDATE players SET owner_epoch = greatest(owner_epoch, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + 1;
SELECT setval(sequence, nextval(sequence) + {NEW_IDS}) FROM pg_get_serial_sequence('players', 'id') AS sequence;
"""  # noqa: S608 - a constant
#: pg_stat_activity stands still within a transaction
_LOOK_AGAIN = "SELECT pg_stat_clear_snapshot();\n"


async def restore(
    dsn: str, backup: SoundBackup, *, force: bool, embedded: bool, announce: Callable[[str], None]
) -> BackupReport:
    """Restore a backup; inside `open_loop()`.

    Args:
        dsn: the address of the database that is to hold the game.
        backup: what to restore.
        force: replace the game that is there.
        embedded: whether the database is the embedded one.
        announce: is told in one line what begins.

    Raises:
        PersistenceError: the database is as it was; the sentence says why.
        SetupFailed: as above, but for the one that says that nobody knows.
    """
    began = time.monotonic()
    async with Database.open(dsn, application=APPLICATION) as database:
        major = await postgres_major(database)
        if backup.manifest.postgres_major > major:
            raise BackupUnusable(
                f"{backup.path} was made on PostgreSQL {backup.manifest.postgres_major} and the target is "
                f"PostgreSQL {major}; restore it into version {backup.manifest.postgres_major} or newer."
            )

        async def refuse(connection: Connection) -> None:
            await _refuse_target(connection.fetchval, database.address, force=force)

        await database.run(refuse)
        address = database.address
    programs = find_client_programs(major, dsn, APPLICATION, embedded=embedded)
    announce(f"restoring {backup.path} ({backup.manifest.created_at}) to {address} …")
    async with _transaction(programs) as psql:
        await psql.send(f"SET LOCAL lock_timeout = '{LOCK_S}s';\nSET LOCAL client_min_messages = warning;\n")
        if force:
            await _refuse_target(psql.ask, address, force=True)
            await psql.send(_DROP)
        await psql.load(backup)
        await psql.send(_LOADED)
        contents = await contents_of(psql.ask)
        if difference := contents.difference_from(backup.manifest.contents):
            raise SetupFailed(f"{backup.path} did not restore to what it says ({difference}); nothing was changed.")
        await psql.send(_FENCE)
        await psql.send(_LOOK_AGAIN)
        await _refuse_connected(psql.ask, address)
        await psql.commit()
    return BackupReport(backup.size_bytes, contents, time.monotonic() - began)


async def _refuse_target(ask: Ask, address: str, *, force: bool) -> None:
    """Refuse a database that must not be overwritten: anybody's without force, with it another's or one in use."""
    if await ask(_COUNT_OBJECTS) == "0":
        return
    if await ask(_IS_GAME) != "2":
        raise SetupFailed(f"{address} holds something else than this game; restore into a database of its own.")
    if not force:
        raise SetupFailed(f"{address} is not empty; --force replaces the game that is there.")
    if await ask("SELECT to_regclass('public.nodes')::text") and (names := await ask(_LIVE_NODES)):
        raise SetupFailed(
            f"A server is live on {address} ({names}); stop it first, or wait a few seconds if it was killed."
        )
    await _refuse_connected(ask, address)


async def _refuse_connected(ask: Ask, address: str) -> None:
    if await ask(_CONNECTED) != "0":
        raise SetupFailed(f"Another gameserver process is connected to {address}; stop it first.")


class _Psql:
    """A psql in a transaction: it does what is written into its pipe, and what ends before COMMIT is undone.

    Args:
        programs: whose psql it is.
        process: it; its standard input is the pipe.
        pipe: the end of the pipe that is written to.
        complaints: the file that is its standard error.
    """

    def __init__(self, programs: ClientPrograms, process: trio.Process, pipe: int, complaints: BinaryIO) -> None:
        self._programs = programs
        self._process = process
        self._pipe = pipe
        self._complaints = complaints
        self._answers = bytearray()
        self._committing = False

    async def send(self, script: str) -> None:
        """Have it do this; whether it could shows later."""
        try:
            # in a thread: the pipe is psql's and pg_restore's too, who want it blocking
            await trio.to_thread.run_sync(_write_all, self._pipe, script.encode())
        except BrokenPipeError:
            raise await self._failure() from None

    async def ask(self, sql: str) -> str | None:
        """What SQL answers that returns one text.

        Raises:
            SetupFailed: psql has ended; the sentence says why.
        """
        mark = secrets.token_hex(8)  # what else the script selects is printed too
        await self.send(f"SELECT '{mark}' || coalesce('=' || ({sql}), '');\n")
        while True:
            line = (await self._line()).decode()
            if line.startswith(mark):
                return line.removeprefix(mark)[1:] if line != mark else None

    async def load(self, backup: SoundBackup) -> None:
        """Have it do all that pg_restore makes of a dump."""
        backup.file.seek(0)
        try:
            await self._programs.run(
                "pg_restore", *RESTORE_OPTIONS, "--file=-", stdin=backup.file, stdout=self._pipe, connect=False
            )
        except SetupFailed as error:
            self.close()
            if await self._process.wait() != 0:  # then psql failed, and pg_restore only because nobody read any more
                raise await self._failure() from error
            raise

    async def commit(self) -> None:
        """Commit, and see that it did."""
        self._committing = True
        await self.send("COMMIT;\n")
        self.close()
        if await self._process.wait() != 0:
            raise await self._failure()

    async def end(self) -> None:
        """End it, which undoes what is not committed; PostgreSQL is told to stop what it is doing for it."""
        self.close()
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
        with trio.move_on_after(STOP_S):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        assert self._process.stdout is not None
        await self._process.stdout.aclose()

    def close(self) -> None:
        """End the pipe."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    async def _line(self) -> bytes:
        """The next line of its standard output."""
        assert self._process.stdout is not None
        while b"\n" not in self._answers:
            chunk = await self._process.stdout.receive_some()
            if not chunk:
                raise await self._failure()
            self._answers += chunk
        line, _, self._answers = self._answers.partition(b"\n")
        return bytes(line)

    async def _failure(self) -> SetupFailed:
        """Why it has ended."""
        self.close()
        status = await self._process.wait()
        self._complaints.seek(0)
        complaints = self._complaints.read()
        reason = complaint(complaints, status)
        if self._committing and b"ERROR: " not in complaints:
            return SetupFailed(f"The connection was lost at the very end ({reason}); look whether the data are there.")
        if "lock timeout" in reason:
            return SetupFailed(
                "Somebody else is using the tables that are to be replaced, so nothing was changed; "
                "close that connection and try again."
            )
        return SetupFailed(f"The restore failed and changed nothing ({reason}).")


@asynccontextmanager
async def _transaction(programs: ClientPrograms) -> AsyncIterator[_Psql]:
    """A psql in a new transaction; the block commits it, or it is rolled back."""
    options = ("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1", "--file=-")
    with tempfile.TemporaryFile() as complaints:
        for_reading, for_writing = os.pipe()
        try:
            process = await trio.lowlevel.open_process(
                programs.command("psql", *options),
                stdin=for_reading,
                stdout=subprocess.PIPE,
                stderr=complaints,
                **programs.popen_arguments(),
            )
        except BaseException:
            os.close(for_writing)
            raise
        finally:
            os.close(for_reading)
        psql = _Psql(programs, process, for_writing, complaints)
        try:
            await psql.send("BEGIN;\n")
            yield psql
        finally:
            with trio.CancelScope(shield=True):
                await psql.end()


def _write_all(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]
