"""What a database of the game holds, as far as two of them are compared: revisions, rows per table, reconciliation.

The questions are asked through a function, so that the same ones go over the driver and through psql.
"""

import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

Ask: TypeAlias = Callable[[str], Awaitable[str | None]]  #: runs SQL that returns one text

# Everything of ours is in `public`; what an extension put there is not ours.
_OURS = (
    "NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = '{0}'::regclass AND e.objid = o.oid AND e.deptype = 'e')"
)
_TABLES = f"""
    SELECT coalesce(json_agg(o.relname ORDER BY o.relname), '[]')::text FROM pg_class AS o
    WHERE o.relnamespace = 'public'::regnamespace AND o.relkind = 'r' AND {_OURS.format("pg_class")}
"""  # noqa: S608 - a constant
_REVISIONS = """
    SELECT coalesce(json_agg(
        json_build_object('revision', revision, 'name', name, 'checksum', checksum) ORDER BY revision
    ), '[]')::text FROM public.schema_migrations
"""
_UNRECONCILED = """
    SELECT json_build_array(count(*), encode(sha256(convert_to(
        coalesce(string_agg(r::text, ' ' ORDER BY r::text COLLATE "C"), ''), 'UTF8'
    )), 'hex'))::text FROM public.ledger_reconciliation AS r
"""

#: everything of ours, as (what DROP calls it, its name), in an order in which it can be dropped
OBJECTS = f"""
    SELECT CASE o.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
            WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind,
        format('public.%I', o.relname) AS name, position(o.relkind::text IN 'prfvmS') AS place
    FROM pg_class AS o
    WHERE o.relnamespace = 'public'::regnamespace AND o.relkind IN ('p', 'r', 'f', 'v', 'm', 'S')
        AND {_OURS.format("pg_class")}
    UNION ALL
    SELECT 'ROUTINE', format('public.%I(%s)', o.proname, pg_get_function_identity_arguments(o.oid)), 7
    FROM pg_proc AS o WHERE o.pronamespace = 'public'::regnamespace AND {_OURS.format("pg_proc")}
    UNION ALL
    SELECT CASE o.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, format('public.%I', o.typname), 8
    FROM pg_type AS o LEFT JOIN pg_class AS c ON c.oid = o.typrelid
    WHERE o.typnamespace = 'public'::regnamespace AND (o.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')
        AND {_OURS.format("pg_type")}
"""  # noqa: S608 - a constant


class AppliedRevision(Struct, frozen=True):
    """A row of `schema_migrations`."""

    revision: str
    name: str
    checksum: str


class Contents(Struct, frozen=True):
    """What is compared."""

    revisions: tuple[AppliedRevision, ...]
    rows: dict[str, int]  #: by table, each partition by itself
    unreconciled_rows: int  #: of `ledger_reconciliation`: 0 when all is well
    unreconciled_sha256: str  #: of these rows

    @property
    def total_rows(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())

    def difference_from(self, expected: "Contents") -> str | None:
        """The first thing that is other than expected, in words; None where nothing is."""
        if self.revisions != expected.revisions:
            return "its schema revisions are others"
        for table in sorted(self.rows.keys() | expected.rows.keys()):
            found, wanted = self.rows.get(table), expected.rows.get(table)
            if found != wanted:
                return f"table {table}: {_rows(found)} instead of {_rows(wanted)}"
        if (self.unreconciled_rows, self.unreconciled_sha256) != (
            expected.unreconciled_rows,
            expected.unreconciled_sha256,
        ):
            return (
                f"ledger_reconciliation has other rows: {self.unreconciled_rows} instead of "
                f"{expected.unreconciled_rows}"
            )
        return None


def _rows(count: int | None) -> str:
    return "none" if count is None else f"{count} rows"


async def contents_of(ask: Ask) -> Contents:
    """Look at everything; exact counts, so each table is read once."""
    tables: list[str] = json.loads(await ask(_TABLES) or "[]")
    revisions: list[dict[str, str]] = []
    if "schema_migrations" in tables:
        revisions = json.loads(await ask(_REVISIONS) or "[]")
    rows: dict[str, int] = json.loads(await ask(_count_sql(tables)) or "{}") if tables else {}
    unreconciled_rows, unreconciled_sha256 = 0, ""
    if await ask("SELECT to_regclass('public.ledger_reconciliation')::text"):
        unreconciled_rows, unreconciled_sha256 = json.loads(await ask(_UNRECONCILED) or '[0, ""]')
    applied = tuple(AppliedRevision(**revision) for revision in revisions)
    return Contents(applied, rows, unreconciled_rows, unreconciled_sha256)


def _count_sql(tables: list[str]) -> str:
    counts = " UNION ALL ".join(
        f"SELECT {literal(table)} AS name, (SELECT count(*) FROM public.{identifier(table)}) AS rows"  # noqa: S608 - quoted
        for table in tables
    )
    return f"SELECT json_object_agg(name, rows)::text FROM ({counts}) AS counted"  # noqa: S608 - quoted


def literal(text: str) -> str:
    """A text as SQL says it."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as SQL says it."""
    return '"' + name.replace('"', '""') + '"'
