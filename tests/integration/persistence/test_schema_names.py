"""Every part of the schema says what it is for, and every constraint has a name that an error can be known by."""

import re
from collections import Counter

import pytest

from persistence.migrations.migrate import REVISIONS
from persistence.postgres import Database
from persistence.schema_catalogue import Constraint, Index, Schema, read_schema
from tests.fakes.schema_breaker import script

SUFFIXES = {"p": "_pkey", "u": "_key", "f": "_fkey", "c": "_check"}


@pytest.fixture
async def schema(database: Database) -> Schema:
    return await read_schema(database)


async def test_everything_in_the_schema_says_what_it_is_for(schema: Schema) -> None:
    kinds = (schema.tables, schema.views, schema.functions, schema.triggers, schema.enums, schema.domains)
    assert all(kinds)
    assert [part.name for kind in kinds for part in kind if not part.comment.endswith(".")] == []


async def test_a_silent_part_is_found(database: Database) -> None:
    await script(
        database,
        "CREATE TABLE silent (id int); CREATE VIEW silent_view AS SELECT 1 AS one; CREATE TYPE silent_enum"
        " AS ENUM ('x');"
        "CREATE DOMAIN silent_domain AS int; CREATE FUNCTION silent_function() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE TRIGGER silent_trigger BEFORE UPDATE ON players FOR EACH ROW EXECUTE FUNCTION set_updated_at()",
    )
    schema = await read_schema(database)
    kinds = (schema.tables, schema.views, schema.enums, schema.domains, schema.functions, schema.triggers)
    silent = [part.name for kind in kinds for part in kind if not part.comment]
    assert silent == ["silent", "silent_view", "silent_enum", "silent_domain", "silent_function", "silent_trigger"]


def badly_named(constraint: Constraint) -> bool:
    """Whether a name says neither whose constraint it is nor what kind, or is one that PostgreSQL numbered."""
    suffix = SUFFIXES.get(constraint.kind, "")
    return re.fullmatch(rf"{constraint.of}(_[a-z_]*[a-z])?{suffix}", constraint.name) is None


async def test_every_constraint_has_a_name_of_its_own(schema: Schema) -> None:
    given = set(re.findall(r"CONSTRAINT (\w+)", " ".join(revision.up_sql for revision in REVISIONS)))
    assert [constraint.name for constraint in schema.constraints if badly_named(constraint)] == []
    assert [constraint.name for constraint in schema.constraints if constraint.name not in given] == []


async def test_no_two_constraints_have_the_same_name_or_say_the_same(schema: Schema) -> None:
    """The name alone is what the server knows a refusal by."""
    names = Counter(constraint.name for constraint in schema.constraints)
    names.update(index.name for index in schema.indexes if index.name not in names)
    assert [name for name, number in names.items() if number > 1] == []
    said = Counter((constraint.of, constraint.definition) for constraint in schema.constraints)
    assert [what for what, number in said.items() if number > 1] == []


@pytest.mark.parametrize("name", ["players_xp_check1", "xp_check", "players_check1", "players_xp", "players_xp_key"])
def test_a_bad_name_is_found(name: str) -> None:
    assert badly_named(Constraint("players", name, "c", "CHECK (xp >= 0)", None, ("xp",)))
    assert not badly_named(Constraint("players", "players_xp_check", "c", "CHECK (xp >= 0)", None, ("xp",)))


def serves(index: Index, key: Constraint) -> bool:
    """Whether the rows that point to a row can be found by this index: all its columns come first, in any order."""
    leading = index.columns[: len(key.columns)]
    not_null = {f"({column} IS NOT NULL)" for column in key.columns}
    return index.table == key.of and set(leading) == set(key.columns) and index.predicate in {"", *not_null}


async def test_every_foreign_key_has_an_index(schema: Schema) -> None:
    keys = [key for key, _ in schema.foreign_keys]
    assert len(keys) > 50
    assert [key.name for key in keys if not any(serves(index, key) for index in schema.indexes)] == []


@pytest.mark.parametrize(
    ("columns", "predicate", "good"),
    [
        (("a", "b"), "", True),
        (("b", "a", "c"), "", True),
        (("a", "b"), "(a IS NOT NULL)", True),
        (("a",), "", False),
        (("a", "c", "b"), "", False),
        ((None, "a", "b"), "", False),
        (("a", "b"), "(c IS NOT NULL)", False),
        (("a", "b"), "(a > 0)", False),
    ],
)
def test_an_index_that_does_not_serve_a_key_is_known(
    columns: tuple[str | None, ...], predicate: str, good: bool
) -> None:
    key = Constraint("t", "t_ab_fkey", "f", "FOREIGN KEY (a, b) REFERENCES u", "u", ("a", "b"))
    assert serves(Index("t_idx", "t", "", columns, predicate), key) is good
    assert not serves(Index("u_idx", "u", "", ("a", "b"), ""), key)


async def test_no_index_is_the_beginning_of_another(schema: Schema) -> None:
    """Such an index only costs: every write keeps it, and no query needs it."""
    plain = [
        index
        for index in schema.indexes
        if index.predicate == "" and None not in index.columns and "USING btree" in index.definition
    ]
    plain = [index for index in plain if not re.search(r" DESC| INCLUDE ", index.definition)]
    names = {constraint.name for constraint in schema.constraints}
    superfluous = [
        (index.name, other.name)
        for index in plain
        for other in plain
        if index.name not in names
        and index is not other
        and index.table == other.table
        and other.columns[: len(index.columns)] == index.columns
    ]
    assert superfluous == []
