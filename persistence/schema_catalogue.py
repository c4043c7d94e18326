"""The schema as PostgreSQL itself tells it, the same on every version it runs on and in every month.

What belongs to a month (partitions) and what newer versions count as constraints (NOT NULL) is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from persistence.postgres import Connection, Database

T = TypeVar("T")

RUNNERS_TABLE = "schema_migrations"  #: made by the migration runner, not by a revision

_OWN = f"n.nspname = 'public' AND c.relname <> '{RUNNERS_TABLE}'"
_TABLE_OF_ITS_OWN = f"{_OWN} AND NOT c.relispartition"
# Tables of a partition's kind are listed by name, so that one made for a month is never among them.
_TABLES = f"""
    SELECT c.relname::text, coalesce(obj_description(c.oid, 'pg_class'), ''), c.relkind = 'p'
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE {_OWN} AND c.relkind IN ('r', 'p') AND (NOT c.relispartition OR c.relname ~ '_default$') ORDER BY 1
"""  # noqa: S608 - constants
_COLUMNS = f"""
    SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL), a.attnotnull
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE {_TABLE_OF_ITS_OWN} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, a.attnum
"""  # noqa: S608 - constants
_CONSTRAINTS = f"""
    SELECT coalesce(c.relname, t.typname)::text, k.conname::text, k.contype::text, pg_get_constraintdef(k.oid),
        r.relname::text,
        ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, position)
            JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.position)
    FROM pg_constraint AS k JOIN pg_namespace AS n ON n.oid = k.connamespace
    LEFT JOIN pg_class AS c ON c.oid = k.conrelid
    LEFT JOIN pg_class AS r ON r.oid = k.confrelid
    LEFT JOIN pg_type AS t ON t.oid = k.contypid
    WHERE n.nspname = 'public' AND k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0
        AND (c.oid IS NULL OR {_TABLE_OF_ITS_OWN})
    ORDER BY 1, 2
"""  # noqa: S608 - constants
_INDEXES = f"""
    SELECT i.relname::text, c.relname::text, pg_get_indexdef(x.indexrelid),
        ARRAY(SELECT a.attname::text FROM unnest(x.indkey::smallint[]) WITH ORDINALITY AS u (attnum, position)
            LEFT JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = u.attnum ORDER BY u.position),
        coalesce(pg_get_expr(x.indpred, x.indrelid), '')
    FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_class AS c ON c.oid = x.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE {_TABLE_OF_ITS_OWN} ORDER BY 1
"""  # noqa: S608 - constants
# A constraint trigger on a partitioned table would have clones on its partitions: they have a parent.
_TRIGGERS = f"""
    SELECT t.tgname::text, c.relname::text, p.proname::text, coalesce(obj_description(t.oid, 'pg_trigger'), ''),
        pg_get_triggerdef(t.oid)
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE {_OWN} AND NOT t.tgisinternal AND t.tgparentid = 0 AND (NOT c.relispartition OR c.relname ~
        '_default$') ORDER BY 1
"""  # noqa: S608 - constants
_VIEWS = f"""
    SELECT c.relname::text, coalesce(obj_description(c.oid, 'pg_class'), ''), pg_get_viewdef(c.oid)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE {_OWN} AND c.relkind = 'v' ORDER BY 1
"""  # noqa: S608 - constants
_FUNCTIONS = """
    SELECT p.proname::text, coalesce(obj_description(p.oid, 'pg_proc'), ''), pg_get_function_identity_arguments(p.oid),
        pg_get_function_result(p.oid), pg_get_functiondef(p.oid)
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'public'
        AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
    ORDER BY 1
"""
_DEFAULTS = f"""
    SELECT c.relname::text, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attrdef AS d JOIN pg_class AS c ON c.oid = d.adrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE {_TABLE_OF_ITS_OWN} ORDER BY 1, 2
"""  # noqa: S608 - constants
_ENUMS = """
    SELECT t.typname::text, coalesce(obj_description(t.oid, 'pg_type'), ''),
        ARRAY(SELECT e.enumlabel::text FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
    FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE n.nspname = 'public' AND t.typtype
        = 'e' ORDER BY 1
"""
_DOMAINS = """
    SELECT t.typname::text, coalesce(obj_description(t.oid, 'pg_type'), ''), format_type(t.typbasetype, t.typtypmod)
    FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE n.nspname = 'public' AND t.typtype
        = 'd' ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; a partitioned one stands for its months."""

    name: str
    comment: str
    partitioned: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    table: str
    name: str
    type: str
    required: bool  #: NOT NULL


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table or a domain."""

    of: str  #: the table or domain
    name: str
    kind: str  #: p(rimary key), u(nique), f(oreign key), c(heck), x (exclusion)
    definition: str
    referenced: str | None  #: the table a foreign key points to
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """An index, those of constraints among them."""

    name: str
    table: str
    definition: str
    columns: tuple[str | None, ...]  #: in order; None for an expression
    predicate: str  #: "" where every row is in it


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger."""

    name: str
    table: str
    function: str
    comment: str
    definition: str


@dataclass(frozen=True, slots=True)
class View:
    """A view."""

    name: str
    comment: str
    definition: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function."""

    name: str
    comment: str
    arguments: str
    result: str
    definition: str


@dataclass(frozen=True, slots=True)
class Enum:
    """A closed set of words."""

    name: str
    comment: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """A type with a rule."""

    name: str
    comment: str
    type: str


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything there is, each kind in the order of names."""

    tables: tuple[Table, ...]
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    indexes: tuple[Index, ...]
    triggers: tuple[Trigger, ...]
    views: tuple[View, ...]
    functions: tuple[Function, ...]
    defaults: tuple[tuple[str, str], ...]  #: (table, expression) of every column default
    enums: tuple[Enum, ...]
    domains: tuple[Domain, ...]

    @property
    def foreign_keys(self) -> tuple[tuple[Constraint, str], ...]:
        """Every foreign key with the table it points to."""
        return tuple((key, key.referenced) for key in self.constraints if key.referenced is not None)


async def read_schema(database: Database) -> Schema:
    """Look at a migrated database.

    Raises:
        DatabaseUnavailable: try again.
    """
    return await database.run(_read)


async def _read(connection: Connection) -> Schema:
    async def every(sql: str) -> list[tuple[object, ...]]:
        found = await connection.fetch(sql)
        return [tuple(tuple(cell) if isinstance(cell, list) else cell for cell in row) for row in found]

    def of(kind: Callable[..., T], rows: list[tuple[object, ...]]) -> tuple[T, ...]:
        return tuple(kind(*row) for row in rows)

    return Schema(
        tables=of(Table, await every(_TABLES)),
        columns=of(Column, await every(_COLUMNS)),
        constraints=of(Constraint, await every(_CONSTRAINTS)),
        indexes=of(Index, await every(_INDEXES)),
        triggers=of(Trigger, await every(_TRIGGERS)),
        views=of(View, await every(_VIEWS)),
        functions=of(Function, await every(_FUNCTIONS)),
        defaults=of(lambda table, expression: (table, expression), await every(_DEFAULTS)),
        enums=of(Enum, await every(_ENUMS)),
        domains=of(Domain, await every(_DOMAINS)),
    )
