"""Comparing what two databases hold."""

import pytest

from persistence.contents import AppliedRevision, Contents, contents_of, identifier, literal

REVISIONS = (AppliedRevision("0001", "core", "x"),)
CONTENTS = Contents(REVISIONS, {"nodes": 1, "players": 5}, 0, "")


def test_what_is_equal_has_no_difference() -> None:
    assert CONTENTS.difference_from(Contents(REVISIONS, {"players": 5, "nodes": 1}, 0, "")) is None
    assert CONTENTS.total_rows == 6


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Contents((), CONTENTS.rows, 0, ""), "its schema revisions are others"),
        (Contents(REVISIONS, {"nodes": 1, "players": 4}, 0, ""), "table players: 4 rows instead of 5 rows"),
        (Contents(REVISIONS, {"nodes": 1}, 0, ""), "table players: none instead of 5 rows"),
        (Contents(REVISIONS, CONTENTS.rows | {"x": 1}, 0, ""), "table x: 1 rows instead of none"),
        (Contents(REVISIONS, CONTENTS.rows, 3, "y"), "ledger_reconciliation has other rows: 3 instead of 0"),
        (Contents(REVISIONS, CONTENTS.rows, 0, "y"), "ledger_reconciliation has other rows: 0 instead of 0"),
    ],
)
def test_the_first_difference_in_words(found: Contents, words: str) -> None:
    assert found.difference_from(CONTENTS) == words


async def test_a_database_without_tables_is_asked_nothing_about_them() -> None:
    asked: list[str] = []

    async def ask(sql: str) -> str | None:
        asked.append(sql)
        return "[]" if "json_agg" in sql else None

    assert await contents_of(ask) == Contents((), {}, 0, "")
    assert len(asked) == 2


def test_names_and_texts_are_quoted() -> None:
    assert identifier('a"b') == '"a""b"'
    assert literal("it's") == "'it''s'"
