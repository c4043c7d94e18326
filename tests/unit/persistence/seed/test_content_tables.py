"""From entries of files to rows of tables."""

from pathlib import Path

import pytest

from persistence.seed.content_tables import TABLES, flowed, wanted_rows
from tests.fakes.content_folder import ContentFolder


def test_rows_have_the_columns_of_their_tables_and_point_by_id(tmp_path: Path) -> None:
    rows = wanted_rows(ContentFolder(tmp_path / "content").read())
    assert list(rows) == [table.name for table in TABLES]
    assert rows["titles"][0]["price_mpt"] == 50_000
    assert rows["titles"][1]["price_mpt"] is None
    assert [(row["badge_id"], row["title_id"]) for row in rows["achievements"]] == [(2, None), (None, 2)]
    assert rows["story_chapters"][1] == {
        "id": 2,
        "key": "second",
        "position": 2,
        "title": "A chapter",
        "summary": "Things happen.",
        "min_level": 1,
        "after_chapter_id": 1,
        "first_scene_id": 6,
        "reward_mpt": 5_000,
        "reward_xp": 1,
    }
    assert rows["story_choices"][-1] == {
        "id": 8,
        "key": "recall",
        "chapter_id": 2,
        "scene_id": 6,
        "next_scene_id": 7,
        "position": 2,
        "label": "Go.",
        "min_level": 1,
        "min_supporters": 0,
        "required_choice_id": 3,
        "reward_mpt": 0,
        "reward_xp": 0,
        "reward_supporters": 0,
        "bonds": {},
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one line", "one line"),
        ("\n two\n  lines \n", "two lines"),
        ("first\nstill first\n \n\nsecond\n", "first still first\n\nsecond"),
    ],
)
def test_a_line_break_is_a_space_and_an_empty_line_a_paragraph(text: str, shown: str) -> None:
    assert flowed(text) == shown
