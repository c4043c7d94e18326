"""Every worked example in docs/game.md is true."""

import doctest
from pathlib import Path

GAME_DOC = Path(__file__).parents[3] / "docs" / "game.md"


def test_the_worked_examples_of_the_game_doc_are_true() -> None:
    outcome = doctest.testfile(str(GAME_DOC), module_relative=False, encoding="utf-8")
    assert outcome.attempted > 20
    assert outcome.failed == 0
