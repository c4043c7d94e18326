"""Brings the schema from revision to revision.

Each revision is a pair of files, `sql/0001_name.up.sql` and `.down.sql`, and is applied in one transaction: one that is
killed leaves nothing of it behind. Runners that start at once go one after the other: each holds an advisory lock for
as long as it works. What is applied stands in `schema_migrations`, with the checksum of the text it was applied from
and a fingerprint of the schema that came of it (`fingerprint.py`).

A statement that wants a table for itself waits for every transaction that uses the table, and all that come later wait
behind it: a report that runs for a minute would stop every flush for a minute. So a revision waits no longer than
`LOCK_TIMEOUT_S` for a lock; then all of it is rolled back, what has queued goes through, and it is tried again. The
tables that flushes and claims begin with are taken first: whoever came in the middle could hold a lock that the
revision needs next while he waits for one that it has, and both would stand still until PostgreSQL ends one of them.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from persistence.errors import DatabaseUnavailable, Rejected, SchemaMismatch, SetupFailed
from persistence.migrations.applied import (
    LOCK,
    Applied,
    make_table,
    read_applied,
    read_drift,
    record,
    take_turn,
)
from persistence.postgres import Connection, Database, DedicatedConnection, Work
from persistence.sqlstates import DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE

T = TypeVar("T")

BASE = "base"  #: the name of "nothing applied"
LOCK_TIMEOUT_S = 2.0  #: a flush that queues behind a revision waits that long at most, and its players notice nothing
LOCK_PAUSE_S = 1.0  #: between two tries
LOCK_TRIES = 30
MIGRATION_S = 60.0  #: for a migration that is under way when somebody asks whether the schema is right
_FIRST_LOCKED = ("public.write_batches", "public.players")  #: in the order in which a flush takes them
NAMED = 3  #: differences that a sentence names; `status` lists them all
_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of the schema."""

    id: str  #: four digits
    name: str
    up_sql: str
    down_sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text of `up_sql`, in hex."""
        return hashlib.sha256(self.up_sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RevisionStatus:
    """What the database and this server know of one revision."""

    id: str
    name: str
    known: bool  #: this server has its text
    applied_at_ms: int  #: 0 = not applied
    drifted: bool  #: applied from another text than this server's


_UNKNOWN = Applied("", "", 0, "")


def load_revisions(folder: Path = _SQL) -> tuple[Revision, ...]:
    """The revisions of this server, oldest first.

    Raises:
        ValueError: a file name that is no revision, a number that is missing, a revision without its way back.
    """
    names = sorted({path.name.removesuffix(".up.sql").removesuffix(".down.sql") for path in folder.glob("*.sql")})
    revisions = []
    for number, stem in enumerate(names, start=1):
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)", stem)
        up, down = folder / f"{stem}.up.sql", folder / f"{stem}.down.sql"
        if match is None or int(match[1]) != number or not (up.exists() and down.exists()):
            raise ValueError(f"{stem} is not revision {number:04} with an .up.sql and a .down.sql")
        revisions.append(Revision(match[1], match[2], up.read_text(), down.read_text()))
    return tuple(revisions)


REVISIONS = load_revisions()  #: what this server knows, oldest first


async def status(database: Database, *, revisions: Sequence[Revision] = REVISIONS) -> list[RevisionStatus]:
    """Every revision that this server knows or the database has, oldest first."""
    applied = await database.run(read_applied)
    known = {revision.id: revision for revision in revisions}
    statuses = []
    for id_ in sorted(known.keys() | applied.keys()):
        revision, row = known.get(id_), applied.get(id_)
        name = (revision or row or _UNKNOWN).name
        drifted = revision is not None and row is not None and row.checksum != revision.checksum
        statuses.append(RevisionStatus(id_, name, revision is not None, (row or _UNKNOWN).applied_at_ms, drifted))
    return statuses


async def drift(database: Database) -> list[str]:
    """What somebody has changed by hand since the latest revision, in words: `index i of t is missing`."""

    async def look(connection: Connection) -> list[str]:
        return await read_drift(connection, await read_applied(connection))

    return await database.transaction(look)


async def is_empty(database: Database) -> bool:
    """Whether the database is brand new: it has no table of anyone's, not even what `down base` leaves."""

    async def look(connection: Connection) -> bool:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0)

    return await database.run(look)


async def up(database: Database, target: str | None = None, *, revisions: Sequence[Revision] = REVISIONS) -> list[str]:
    """Apply what is missing, up to and including `target` (None: all).

    Returns:
        The ids this call applied.

    Raises:
        SchemaMismatch: the database has drifted or is newer than this server.
        SetupFailed: there is no such revision.
        DatabaseUnavailable: the connection was lost, or a long transaction is in the way; the sentence says what to do.
    """
    position = _position(target, revisions)
    async with _turn(database) as connection:
        applied = await connection.transaction(_applied_and_whole, revisions)
        missing = [revision for revision in revisions if revision.id <= position and revision.id not in applied]
        done = [one.id for one in missing if await patiently(connection, _named(one), _apply, one, revisions)]
        await connection.transaction(_record_if_need_be)
    return done


async def down(database: Database, target: str, *, revisions: Sequence[Revision] = REVISIONS) -> list[str]:
    """Take back every revision after `target`, or all of them for `base`; data that only they hold is lost.

    Returns:
        The ids this call took back, in that order.

    Raises:
        SchemaMismatch: the database has drifted or is newer than this server.
        SetupFailed: there is no such revision.
        DatabaseUnavailable: as for `up`.
    """
    unwanted = after(target, revisions)
    async with _turn(database) as connection:
        applied = await connection.transaction(_applied_and_whole, revisions)
        present = [revision for revision in unwanted if revision.id in applied]
        return [one.id for one in present if await patiently(connection, _named(one), _take_back, one, revisions)]


async def check(database: Database, *, revisions: Sequence[Revision] = REVISIONS) -> None:
    """Refuse any schema but the one this server was built for; waits for a migration that is under way.

    Raises:
        SchemaMismatch: older, newer or drifted; the sentence says what to do.
    """
    try:
        await database.transaction(_insist, revisions)
    except (SchemaMismatch, Rejected):  # refused: an object went while its definition was being read
        async with database.dedicated("check", patient=True) as connection:
            await connection.transaction(_insist_when_quiet, revisions)


async def accept(database: Database, *, revisions: Sequence[Revision] = REVISIONS) -> list[str]:
    """Take the schema as it now is for the one that the applied revisions make.

    Returns:
        What is different from before, in words.

    Raises:
        SchemaMismatch: a revision was applied from another text, or is newer than this server.
    """
    async with _turn(database) as connection:
        return await connection.transaction(_accept, revisions)


def after(target: str, revisions: Sequence[Revision]) -> list[Revision]:
    """The revisions after `target`, newest first: what `down` takes back.

    Raises:
        SetupFailed: there is no such revision.
    """
    position = _position(target, revisions)
    return [revision for revision in reversed(revisions) if revision.id > position]


async def applied_of_ours(connection: Connection, revisions: Sequence[Revision]) -> dict[str, Applied]:
    """Asyncio-flavoured: what is applied.

    Raises:
        SchemaMismatch: the database is newer than this server, or was made from other texts.
    """
    applied = await read_applied(connection)
    known = {revision.id: revision for revision in revisions}
    newer = sorted(applied.keys() - known.keys())
    if newer:
        last = revisions[-1].id if revisions else BASE
        raise SchemaMismatch(
            f"The database has schema revision {newer[-1]}, newer than this server knows; upgrade the server, or run "
            f"`gameserver migrate down {last}` with the newer one."
        )
    for id_, row in sorted(applied.items()):
        if row.checksum != known[id_].checksum:
            raise SchemaMismatch(
                f"Schema revision {id_} was applied from another text than this server's: see `gameserver migrate "
                "status`; install the server that applied it, or restore the database from a backup."
            )
    return applied


def _position(target: str | None, revisions: Sequence[Revision]) -> str:
    if target is None:
        return revisions[-1].id
    if target == BASE:
        return ""
    if target not in {revision.id for revision in revisions}:
        known = ", ".join(revision.id for revision in revisions)
        raise SetupFailed(f"There is no schema revision {target}; choose from {BASE}, {known}.")
    return target


@asynccontextmanager
async def _turn(database: Database) -> AsyncIterator[DedicatedConnection]:
    """A connection that may change the schema, and is the only one; waits until it is."""
    async with database.dedicated("migrate", patient=True) as connection:
        # for all of our transactions, so that who waits finds the whole work done; each takes it again, should the
        # connection be lost and with it the lock
        await connection.run(_lock_session)
        yield connection


def _named(revision: Revision) -> str:
    return f"Schema revision {revision.id}"


async def _lock_session(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK)


async def patiently(connection: DedicatedConnection, what: str, work: Work[T], *args: object) -> T:
    """Run a transaction that begins with `hold_off_players`, again and again while others hold what it has to lock.

    Args:
        connection: whose.
        what: begins the sentence when it is given up.
        work: the transaction.
        args: its arguments.

    Raises:
        DatabaseUnavailable: one sentence that says what to do.
    """
    for _ in range(LOCK_TRIES):
        try:
            return await connection.transaction(work, *args)
        except DatabaseUnavailable as error:
            if error.sqlstate not in {LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED}:
                raise DatabaseUnavailable(
                    f"{what} lost the connection ({error}): `gameserver migrate status` shows how far it came; "
                    "run the same command again."
                ) from error
        await trio.sleep(LOCK_PAUSE_S)
    raise DatabaseUnavailable(
        f"{what} did not get its locks in {LOCK_TRIES} tries of {LOCK_TIMEOUT_S:g} s: end the long transaction that "
        "holds them (pg_stat_activity shows it), and run the same command again."
    )


async def _apply(connection: Connection, revision: Revision, revisions: Sequence[Revision]) -> bool:
    await take_turn(connection)
    await make_table(connection)
    if revision.id in await applied_of_ours(connection, revisions):
        return False
    await hold_off_players(connection)
    await connection.execute(revision.up_sql)
    await connection.execute(
        "INSERT INTO schema_migrations (revision, name, checksum) VALUES ($1, $2, $3)",
        *(revision.id, revision.name, revision.checksum),
    )
    await record(connection)
    return True


async def _take_back(connection: Connection, revision: Revision, revisions: Sequence[Revision]) -> bool:
    await take_turn(connection)
    await make_table(connection)
    if revision.id not in await applied_of_ours(connection, revisions):
        return False
    await hold_off_players(connection)
    await connection.execute(revision.down_sql)
    await connection.execute("DELETE FROM schema_migrations WHERE revision = $1", revision.id)
    await record(connection)
    return True


async def hold_off_players(connection: Connection) -> None:
    """Asyncio-flavoured, where a transaction begins to change the schema: let no flush and no claim in between.

    From now on the transaction waits `LOCK_TIMEOUT_S` for a lock, no longer.
    """
    await connection.execute(f"SET LOCAL lock_timeout TO {LOCK_TIMEOUT_S * 1000:.0f}")
    for table in _FIRST_LOCKED:
        if await connection.fetchval("SELECT to_regclass($1)::text", table) is not None:
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")


async def _record_if_need_be(connection: Connection) -> None:
    """Databases that are older than fingerprints, or came from another PostgreSQL, have none to compare with."""
    await take_turn(connection)
    await make_table(connection)
    applied = await read_applied(connection)
    if applied and not applied[max(applied)].fingerprint:
        await record(connection)


async def _accept(connection: Connection, revisions: Sequence[Revision]) -> list[str]:
    await take_turn(connection)
    await make_table(connection)
    different = await read_drift(connection, await applied_of_ours(connection, revisions))
    await record(connection)
    return different


async def _applied_and_whole(connection: Connection, revisions: Sequence[Revision]) -> dict[str, Applied]:
    applied = await applied_of_ours(connection, revisions)
    if different := await read_drift(connection, applied):
        named = ", ".join(different[:NAMED]) + (f" and {len(different) - NAMED} more" if different[NAMED:] else "")
        raise SchemaMismatch(
            f"The schema was changed by hand ({named}): see `gameserver migrate status`; put it back as it was, or "
            "take it as it is by `gameserver migrate accept`."
        )
    return applied


async def _insist(connection: Connection, revisions: Sequence[Revision]) -> None:
    applied = await _applied_and_whole(connection, revisions)
    missing = [revision.id for revision in revisions if revision.id not in applied]
    if missing:
        raise SchemaMismatch(f"The database lacks schema revision {missing[0]}; run `gameserver migrate up`.")


async def _insist_when_quiet(connection: Connection, revisions: Sequence[Revision]) -> None:
    await connection.execute(f"SET LOCAL lock_timeout TO {MIGRATION_S * 1000:.0f}")
    try:
        await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", LOCK)
    except DatabaseUnavailable as error:
        if error.sqlstate != LOCK_NOT_AVAILABLE:
            raise
        raise SchemaMismatch(
            f"The database has been migrated for more than {MIGRATION_S:.0f} s; wait until `gameserver migrate check` "
            "succeeds, and start again."
        ) from error
    await _insist(connection, revisions)
