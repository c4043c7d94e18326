"""The tables and pictures of docs/database.md, written from a live schema.

`python -m persistence.reference [FILE [DSN]]` rewrites the file, and the overview beside it, an SVG. Without an address
a PostgreSQL of its own is started, migrated and thrown away. What is generated stands between
`<!-- generated: NAME -->` and `<!-- end -->`; everything outside is written by hand. The sentences are the comments in
the database; who uses what is said, and checked, in `persistence.schema_uses`.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import trio

from persistence.embedded import Embedded
from persistence.migrations import migrate
from persistence.postgres import Database, open_loop
from persistence.schema_catalogue import Constraint, Schema, read_schema
from persistence.schema_picture import draw
from persistence.schema_systems import SYSTEMS, System
from persistence.schema_uses import USES, User

_BLOCK: Final = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

#: What the schema must at least have (mission S1).
FLOORS: Final[Mapping[str, int]] = MappingProxyType(
    {"tables": 33, "indexes": 50, "triggers": 10, "views": 8, "functions": 15, "constraints": 100}
)


def render(text: str, schema: Schema) -> str:
    """`text` with every generated block as the schema has it now.

    Raises:
        KeyError: a block's name is none of `BLOCKS`.
    """
    return _BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block['name']](schema)}\n\n{block[3]}", text)


def counts(schema: Schema) -> dict[str, int]:
    """How many there are of what the floors name; functions of triggers and default partitions are not counted."""
    return {
        "tables": sum(not table.name.endswith("_default") for table in schema.tables),
        "indexes": len(schema.indexes),
        "triggers": len(schema.triggers),
        "views": len(schema.views),
        "functions": sum(function.result != "trigger" for function in schema.functions),
        "constraints": len(schema.constraints),
    }


def _counts(schema: Schema) -> str:
    remarks = {
        "tables": "a partitioned table is one",
        "indexes": "those of keys included",
        "functions": f"and {sum(function.result == 'trigger' for function in schema.functions)} functions of triggers",
        "constraints": "checks, keys, foreign keys, exclusions; NOT NULL does not count",
    }
    return _table(
        ("what", "there are", "at least", "counted how"),
        ((what, str(number), str(FLOORS[what]), remarks.get(what, "")) for what, number in counts(schema).items()),
    )


def _systems(schema: Schema) -> str:
    return "\n\n".join(_system(system, schema) for system in SYSTEMS)


def _system(system: System, schema: Schema) -> str:
    comments = {table.name: table.comment for table in schema.tables}
    rows = ((f"`{name}`", comments[name]) for name in system.tables)
    diagram = _diagram(system, schema)
    return f"### {system.name}\n\n{diagram}\n\n{_table(('table', 'what it holds'), rows)}"


def _diagram(system: System, schema: Schema) -> str:
    """The keys of a system's tables and what they point to, as Mermaid.

    Tables of other systems are only named, and those that nothing connects with another are left to the list below.
    """
    keys = [(key, to) for key, to in schema.foreign_keys if key.of in system.tables]
    connected = {key.of for key, _ in keys} | {to for _, to in keys}
    lines = ["```mermaid", "erDiagram"]
    for table in (table for table in system.tables if table in connected):
        lines.append(f"    {table} {{")
        lines += [f"        {column}" for column in _key_columns(table, schema)]
        lines.append("    }")
    lines += [f"    {_relation(key, to, schema)}" for key, to in keys]
    return "\n".join([*lines, "```"])


def _key_columns(table: str, schema: Schema) -> Iterable[str]:
    marks = {"p": "PK", "f": "FK", "u": "UK"}
    roles: dict[str, set[str]] = {}
    for key in schema.constraints:
        # a unique key of several columns is none of each of them
        if key.of == table and (key.kind in "pf" or (key.kind == "u" and len(key.columns) == 1)):
            for name in key.columns:
                roles.setdefault(name, set()).add(marks[key.kind])
    for column in schema.columns:
        if column.table == table and column.name in roles:
            kind = column.type.replace("timestamp with time zone", "timestamptz").replace(" ", "_")
            shown = [mark for mark in marks.values() if mark in roles[column.name]]
            yield f"{kind} {column.name} {', '.join(shown)}"


def _relation(key: Constraint, to: str, schema: Schema) -> str:
    required = {column.name for column in schema.columns if column.table == key.of and column.required}
    unique = any(
        other.of == key.of and other.kind in "pu" and set(other.columns) <= set(key.columns)
        for other in schema.constraints
    )
    one = "||" if required.issuperset(key.columns) else "|o"
    return f'{to} {one}--{"o|" if unique else "o{"} {key.of} : "{", ".join(key.columns)}"'


def _closed_sets(schema: Schema) -> str:
    rows = [
        (f"`{enum.name}`", " · ".join(f"`{value}`" for value in enum.values), enum.comment) for enum in schema.enums
    ]
    rules = {rule.of: rule.definition for rule in schema.constraints}
    rows += [(f"`{domain.name}`", f"`{domain.type} {rules[domain.name]}`", domain.comment) for domain in schema.domains]
    return _table(("type", "values", "what it is"), rows)


def _triggers(schema: Schema) -> str:
    return _table(
        ("trigger", "on", "calls", "why", "used by"),
        (
            (
                f"`{trigger.name}`",
                f"`{trigger.table}`",
                f"`{trigger.function}`",
                trigger.comment,
                _used_by(trigger.name),
            )
            for trigger in schema.triggers
        ),
    )


def _views(schema: Schema) -> str:
    return _table(
        ("view", "what it shows", "used by"),
        ((f"`{view.name}`", view.comment, _used_by(view.name)) for view in schema.views),
    )


def _functions(schema: Schema) -> str:
    shorter = (("timestamp with time zone", "timestamptz"), ("double precision", "float8"))

    def short(text: str) -> str:
        for long, word in shorter:
            text = text.replace(long, word)
        return text

    called: dict[str, list[str]] = {}
    for trigger in schema.triggers:
        called.setdefault(trigger.function, []).append(f"`{trigger.name}`")
    return _table(
        ("function", "returns", "what it does", "used by"),
        (
            (
                f"`{function.name}({short(function.arguments)})`",
                f"`{short(function.result)}`",
                function.comment,
                _used_by(function.name) if function.name in USES else f"trigger {', '.join(called[function.name])}",
            )
            for function in schema.functions
        ),
    )


def _used_by(name: str) -> str:
    use = USES[name]
    if use.user is User.INVARIANT:
        return f"an invariant: `{use.where}`"
    return f"`{use.where}`" if use.user is User.SCHEMA else f"{use.user.value}: `{use.where}`"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head)]
    lines.append(tuple("---" for _ in lines[0]))
    lines.extend(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


#: What can stand in a generated block, by name.
BLOCKS: Final[Mapping[str, Callable[[Schema], str]]] = MappingProxyType(
    {
        "counts": _counts,
        "systems": _systems,
        "closed-sets": _closed_sets,
        "triggers": _triggers,
        "views": _views,
        "functions": _functions,
    }
)


def picture_of(page: Path) -> Path:
    """Where the overview of a page lies."""
    return page.with_suffix(".svg")


async def _migrated(dsn: str) -> Schema:
    async with open_loop(), Database.open(dsn) as database:
        await migrate.up(database)
        return await read_schema(database)


def main(path: str = "docs/database.md", dsn: str | None = None) -> None:
    """Rewrite the generated blocks of the page at `path` and the picture beside it.

    Args:
        path: the page.
        dsn: an empty or migrated database; None takes one that is thrown away.

    Raises:
        PersistenceError: the database cannot be used; the sentence says why.
    """
    if dsn is None:
        with tempfile.TemporaryDirectory(prefix="ppj-reference-") as folder, Embedded.start(Path(folder)) as server:
            schema = trio.run(_migrated, server.dsn)
    else:
        schema = trio.run(_migrated, dsn)
    page = Path(path)
    page.write_text(render(page.read_text(encoding="utf-8"), schema), encoding="utf-8")
    picture_of(page).write_text(draw(schema), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
