"""The runner's own table: which revisions are applied, and what the schema consisted of after the latest.

Every function is asyncio-flavoured and for the inside of a transaction.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from persistence.migrations.fingerprint import differences, fingerprint_of, read_objects
from persistence.postgres import Connection

LOCK = 0x7070_6A5F_6D69_6772  #: "ppj_migr": the advisory lock of whoever changes the schema

# The last three came later: a table may be older than they are.
_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        revision text PRIMARY KEY,
        name text NOT NULL,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE schema_migrations
        ADD COLUMN IF NOT EXISTS server_major smallint,
        ADD COLUMN IF NOT EXISTS fingerprint text,
        ADD COLUMN IF NOT EXISTS objects jsonb;
    COMMENT ON TABLE schema_migrations IS 'Applied schema revisions, with the SHA-256 of their text.';
    COMMENT ON COLUMN schema_migrations.server_major IS 'PostgreSQL''s version when fingerprint and objects were made.';
    COMMENT ON COLUMN schema_migrations.fingerprint IS 'SHA-256 of the schema after this revision.';
    COMMENT ON COLUMN schema_migrations.objects IS 'What that was made of: each object with a hash of its definition.'
"""
_HAS = """
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = to_regclass('public.schema_migrations') AND attname IN ('revision', 'objects')
"""
_COMPARABLE = "CASE server_major WHEN current_setting('server_version_num')::integer / 10000 THEN fingerprint END"


@dataclass(frozen=True, slots=True)
class Applied:
    """A revision as the database knows it."""

    name: str
    checksum: str
    applied_at_ms: int
    fingerprint: str  #: of the schema after it; empty where there is none in the words of this PostgreSQL


async def take_turn(connection: Connection) -> None:
    """Wait until nobody else changes the schema; nobody else does until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    await connection.execute("SET LOCAL search_path TO public")


async def make_table(connection: Connection) -> None:
    """Make sure of the table in its present form; it is touched, and so locked, only where it is not."""
    if "objects" not in await _has(connection):
        await connection.execute(_TABLE)


async def read_applied(connection: Connection) -> dict[str, Applied]:
    """The applied revisions by id; none where there is no table yet."""
    has = await _has(connection)
    if not has:
        return {}
    fingerprint = _COMPARABLE if "objects" in has else "NULL"
    rows = await connection.fetch(
        "SELECT revision, name, checksum, (extract(epoch FROM applied_at) * 1000)::bigint,"  # noqa: S608 - constants
        f" coalesce({fingerprint}, '') FROM public.schema_migrations"
    )
    return {revision: Applied(*row) for revision, *row in rows}


async def record(connection: Connection) -> None:
    """Keep what the schema now consists of beside the latest revision, if there is one."""
    objects = await read_objects(connection)
    await connection.execute(
        "UPDATE schema_migrations SET server_major = current_setting('server_version_num')::integer / 10000,"
        " fingerprint = $1, objects = $2::jsonb WHERE revision = (SELECT max(revision) FROM schema_migrations)",
        *(fingerprint_of(objects), json.dumps(objects, sort_keys=True)),
    )


async def read_drift(connection: Connection, applied: Mapping[str, Applied]) -> list[str]:
    """What is not as it was recorded, in words; nothing where there is no record to compare with."""
    latest = max(applied, default="")
    if not latest or not applied[latest].fingerprint:
        return []
    found = await read_objects(connection)
    if fingerprint_of(found) == applied[latest].fingerprint:
        return []
    recorded = "SELECT objects FROM public.schema_migrations WHERE revision = $1"
    return differences(json.loads(await connection.fetchval(recorded, latest)), found)


async def _has(connection: Connection) -> set[str]:
    """Which of two columns the table has: `revision` every one, `objects` one in its present form."""
    return {name for (name,) in await connection.fetch(_HAS)}
