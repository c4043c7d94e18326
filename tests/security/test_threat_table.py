"""The threats in docs/security.md: every test that is named there is there, and every topic here is named."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLUMNS = ["asset", "attacker", "what stops them", "shown by"]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def rows(text: str) -> list[list[str]]:
    """The rows of the table under "Threats", without its head."""
    section = text.partition("## Threats")[2].partition("\n## ")[0]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert table[0] == COLUMNS
    return table[2:]


def faults(text: str) -> Iterator[str]:
    """Rows that show nothing, and tests that are not there."""
    for row in rows(text):
        named = NAMED.findall(row[-1])
        if len(row) != len(COLUMNS) or not all(row) or not named:
            yield f"{row}: a cell is empty, or no test is named"
        for path, name in named:
            if not (ROOT / path).is_file():
                yield f"{path} is not there"
                continue
            tests = {
                node.name
                for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            }
            if not tests or (name and name not in tests):
                yield f"{path} has no {name or 'test'}"


@pytest.fixture
def text() -> str:
    return (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_is_there(text: str) -> None:
    assert len(rows(text)) > 10
    assert list(faults(text)) == []


def test_every_topic_of_this_folder_is_named(text: str) -> None:
    shown = {path for row in rows(text) for path, _ in NAMED.findall(row[-1])}
    own = {f"tests/security/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert own - shown == {f"tests/security/{Path(__file__).name}"}


@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        ("", "a cell is empty"),
        ("a person looked", "no test is named"),
        ("`tests/security/test_no_such.py`", "is not there"),
        ("`tests/security/test_jwt.py::test_no_such`", "has no test_no_such"),
        ("`tests/secrets_watch.py`", "has no test"),
    ],
)
def test_a_row_that_shows_nothing_is_found(shown: str, fault: str) -> None:
    text = f"## Threats\n\n| {' | '.join(COLUMNS)} |\n|---|---|---|---|\n| a | b | c | {shown} |\n"
    assert any(fault in found for found in faults(text))
