"""Brings the schema from revision to revision.

Each revision is a pair of files, `sql/0001_name.up.sql` and `.down.sql`, and is applied in one transaction that first
takes an advisory lock: runners that start at once apply it once, and one that is killed leaves nothing of it behind.
What is applied stands in `schema_migrations`, with the checksum of the text it was applied from.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from persistence.errors import SchemaMismatch, SetupFailed
from persistence.postgres import Connection, Database

BASE = "base"  #: the name of "nothing applied"
_SQL = Path(__file__).with_name("sql")
_LOCK = 0x7070_6A5F_6D69_6772  # "ppj_migr"


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


@dataclass(frozen=True, slots=True)
class _Applied:
    name: str
    checksum: str
    applied_at_ms: int


_UNKNOWN = _Applied("", "", 0)


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
    applied = await database.run(_read_applied)
    known = {revision.id: revision for revision in revisions}
    statuses = []
    for id_ in sorted(known.keys() | applied.keys()):
        revision, row = known.get(id_), applied.get(id_)
        name = (revision or row or _UNKNOWN).name
        drifted = revision is not None and row is not None and row.checksum != revision.checksum
        statuses.append(RevisionStatus(id_, name, revision is not None, (row or _UNKNOWN).applied_at_ms, drifted))
    return statuses


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
    """
    position = _position(target, revisions)
    wanted = [revision for revision in revisions if revision.id <= position]
    async with database.dedicated("migrate", patient=True) as connection:
        return [revision.id for revision in wanted if await connection.transaction(_apply, revision, revisions)]


async def down(database: Database, target: str, *, revisions: Sequence[Revision] = REVISIONS) -> list[str]:
    """Take back every revision after `target`, or all of them for `base`; data that only they hold is lost.

    Returns:
        The ids this call took back, in that order.

    Raises:
        SchemaMismatch: the database has drifted or is newer than this server.
        SetupFailed: there is no such revision.
    """
    position = _position(target, revisions)
    unwanted = [revision for revision in reversed(revisions) if revision.id > position]
    async with database.dedicated("migrate", patient=True) as connection:
        return [revision.id for revision in unwanted if await connection.transaction(_take_back, revision, revisions)]


async def check(database: Database, *, revisions: Sequence[Revision] = REVISIONS) -> None:
    """Refuse any schema but the one this server was built for.

    Raises:
        SchemaMismatch: older, newer or drifted; the sentence says what to do.
    """
    applied = await database.run(_read_applied)
    _refuse_foreign(applied, revisions)
    missing = [revision.id for revision in revisions if revision.id not in applied]
    if missing:
        raise SchemaMismatch(f"The database lacks schema revision {missing[0]}; run `gameserver migrate up`.")


def _position(target: str | None, revisions: Sequence[Revision]) -> str:
    if target is None:
        return revisions[-1].id
    if target == BASE:
        return ""
    if target not in {revision.id for revision in revisions}:
        known = ", ".join(revision.id for revision in revisions)
        raise SetupFailed(f"There is no schema revision {target}; choose from {BASE}, {known}.")
    return target


def _refuse_foreign(applied: dict[str, _Applied], revisions: Sequence[Revision]) -> None:
    known = {revision.id: revision for revision in revisions}
    newer = sorted(applied.keys() - known.keys())
    if newer:
        raise SchemaMismatch(
            f"The database has schema revision {newer[-1]}, newer than this server knows; upgrade the server."
        )
    for id_, row in sorted(applied.items()):
        if row.checksum != known[id_].checksum:
            raise SchemaMismatch(
                f"Schema revision {id_} was applied from another text than this server's; "
                "install the server that applied it, or restore the database from a backup."
            )


async def _apply(connection: Connection, revision: Revision, revisions: Sequence[Revision]) -> bool:
    applied = await _locked(connection)
    _refuse_foreign(applied, revisions)
    if revision.id in applied:
        return False
    await connection.execute(revision.up_sql)
    await connection.execute(
        "INSERT INTO schema_migrations (revision, name, checksum) VALUES ($1, $2, $3)",
        *(revision.id, revision.name, revision.checksum),
    )
    return True


async def _take_back(connection: Connection, revision: Revision, revisions: Sequence[Revision]) -> bool:
    applied = await _locked(connection)
    _refuse_foreign(applied, revisions)
    if revision.id not in applied:
        return False
    await connection.execute(revision.down_sql)
    await connection.execute("DELETE FROM schema_migrations WHERE revision = $1", revision.id)
    return True


async def _locked(connection: Connection) -> dict[str, _Applied]:
    """Wait for our turn, make sure of the runner's own table, and read it as it is now."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    if await connection.fetchval("SELECT to_regclass('public.schema_migrations')::text") is None:
        await connection.execute(
            """
            CREATE TABLE schema_migrations (
                revision text PRIMARY KEY,
                name text NOT NULL,
                checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            );
            COMMENT ON TABLE schema_migrations IS 'Applied schema revisions, with the SHA-256 of their text.'
            """
        )
    return await _read_applied(connection)


async def _read_applied(connection: Connection) -> dict[str, _Applied]:
    if await connection.fetchval("SELECT to_regclass('public.schema_migrations')::text") is None:
        return {}
    rows = await connection.fetch(
        "SELECT revision, name, checksum, (extract(epoch FROM applied_at) * 1000)::bigint FROM schema_migrations"
    )
    return {revision: _Applied(name, checksum, at_ms) for revision, name, checksum, at_ms in rows}
