"""Everything in the schema has a user, and every claim of `persistence.schema_uses` is true."""

import ast
import re
from pathlib import Path

import grimp
import pytest

from persistence.postgres import Database
from persistence.schema_catalogue import Schema, read_schema
from persistence.schema_uses import USES, Use, User

ROOT = Path(__file__).parents[3]
TESTS = Path(__file__).parent


@pytest.fixture
async def schema(database: Database) -> Schema:
    return await read_schema(database)


@pytest.fixture(scope="module")
def reachable() -> dict[User, set[str]]:
    """The modules that a running server imports, and those that any command does."""
    graph = grimp.build_graph("gameserver", "persistence", "http_admin", "hotpath")
    commands = {name for name in graph.modules if name.startswith("gameserver.cli")}
    return {
        User.SERVER: {"gameserver.main", *graph.find_upstream_modules("gameserver.main")},
        User.COMMAND: commands.union(*(graph.find_upstream_modules(command) for command in commands)),
    }


def words_of_module(text: str) -> list[str]:
    """The strings of a module, without what documents it."""
    tree = ast.parse(text)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    ]


def test_named(name: str) -> str | None:
    """The source of a test of the database, with its parameters; None if there is none of that name."""
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                first = min((decorator.lineno for decorator in node.decorator_list), default=node.lineno)
                return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return None


test_named.__test__ = False  # type: ignore[attr-defined]  # it finds tests and is none


def callers(schema: Schema) -> dict[str, str]:
    """What calls things, by name: the text of every function and view, and of every table's defaults."""
    texts = {function.name: function.definition.split("\n", 1)[-1] for function in schema.functions}
    texts |= {view.name: view.definition for view in schema.views}
    for table, expression in schema.defaults:
        texts[table] = f"{texts.get(table, '')} {expression}"
    return {name: re.sub(r"--.*", "", text) for name, text in texts.items()}


def names(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(word)}(?!\w)", text) is not None


def listed(schema: Schema) -> set[str]:
    """What needs a user: triggers, views, and the functions that no trigger calls."""
    called = {trigger.function for trigger in schema.triggers}
    functions = {function.name for function in schema.functions}
    triggers = {trigger.name for trigger in schema.triggers}
    return triggers | {view.name for view in schema.views} | (functions - called)


def doubt(name: str, use: Use, schema: Schema, reachable: dict[User, set[str]]) -> str | None:
    """What is wrong with a claim; None if it is true."""
    word = use.word or name
    match use.user:
        case User.SERVER | User.COMMAND:
            path = ROOT / f"{use.where.replace('.', '/')}.py"
            if not path.exists():
                return f"there is no module {use.where}"
            if use.where not in reachable[use.user]:
                return f"the {use.user.value} does not import {use.where}"
            if not any(names(text, word) for text in words_of_module(path.read_text(encoding="utf-8"))):
                return f"{use.where} does not name {word}"
        case User.SCHEMA:
            if not names(callers(schema).get(use.where, ""), word):
                return f"{use.where} does not call {word}"
        case User.INVARIANT:
            source = test_named(use.where)
            if source is None:
                return f"there is no test {use.where}"
            if not names(source, word):
                return f"{use.where} does not name {word}"
    return None


def ends(name: str) -> bool:
    """Whether following who calls whom leads to somebody outside the schema."""
    seen: set[str] = set()
    while (use := USES.get(name)) is not None and use.user is User.SCHEMA:
        if name in seen:
            return False
        seen.add(name)
        name = use.where
    return True


async def test_nothing_is_without_a_user_and_nothing_is_listed_that_is_not_there(schema: Schema) -> None:
    assert listed(schema) == set(USES)


async def test_every_trigger_function_has_its_trigger(schema: Schema) -> None:
    called = {trigger.function for trigger in schema.triggers}
    assert {function.name for function in schema.functions if function.result == "trigger"} == called


async def test_every_claimed_use_is_one(schema: Schema, reachable: dict[User, set[str]]) -> None:
    doubts = {name: found for name, use in USES.items() if (found := doubt(name, use, schema, reachable)) is not None}
    assert doubts == {}


async def test_a_word_that_stands_for_a_trigger_is_in_its_function(schema: Schema) -> None:
    bodies = {function.name: function.definition for function in schema.functions}
    called = {trigger.name: bodies[trigger.function] for trigger in schema.triggers}
    assert [name for name, use in USES.items() if use.word and not names(called[name], use.word)] == []


async def test_nothing_is_used_only_by_itself(schema: Schema) -> None:
    tables = {table.name for table in schema.tables}
    assert [name for name in USES if not ends(name)] == []
    assert {use.where for use in USES.values() if use.user is User.SCHEMA} <= set(USES) | tables


@pytest.mark.parametrize(
    ("name", "use", "sentence"),
    [
        ("prune", Use(User.SERVER, "persistence.nowhere"), "there is no module persistence.nowhere"),
        ("prune", Use(User.SERVER, "persistence.player_store"), "persistence.player_store does not name prune"),
        ("prune", Use(User.SERVER, "persistence.schema_uses"), "the server does not import persistence.schema_uses"),
        ("prune", Use(User.SCHEMA, "pay_pool"), "pay_pool does not call prune"),
        ("prune", Use(User.SCHEMA, "prune"), "prune does not call prune"),
        ("prune", Use(User.INVARIANT, "test_nothing"), "there is no test test_nothing"),
        ("prune", Use(User.INVARIANT, "test_erased_stays_erased"), "test_erased_stays_erased does not name prune"),
    ],
)
async def test_a_false_claim_is_found(
    schema: Schema, reachable: dict[User, set[str]], name: str, use: Use, sentence: str
) -> None:
    assert doubt(name, use, schema, reachable) == sentence


def test_what_documents_a_module_is_no_use() -> None:
    text = '"""Calls prune."""\ndef f() -> str:\n    """prune(today)"""\n    return f"SELECT prune({1})"\n'
    assert words_of_module(text) == ["SELECT prune(", ")"]
