"""What must hold between the entries of a folder."""

from pathlib import Path

import pytest

from persistence.errors import SetupFailed
from tests.fakes.content_folder import (
    ACHIEVEMENTS,
    BADGES,
    CHARACTERS,
    COUNTED,
    FILES,
    FIRST,
    HABITS,
    MINI_GAMES,
    MISSIONS,
    SECOND,
    TITLES,
    UPGRADES,
    ContentFolder,
    mission,
)


@pytest.fixture
def folder(tmp_path: Path) -> ContentFolder:
    return ContentFolder(tmp_path / "content")


def refusal(folder: ContentFolder) -> str:
    with pytest.raises(SetupFailed) as raised:
        folder.read()
    return str(raised.value)


def test_nothing_is_wrong_with_what_is_right(folder: ContentFolder) -> None:
    assert len(folder.read().missions) == 7


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        (BADGES, "id = 2", "id = 1", f"{BADGES}, 'brave': id 1 is 'founder's."),
        (
            BADGES,
            '"brave"',
            '"founder"',
            f"{BADGES}, 'founder': the key is there twice (also in {BADGES}); give one of",
        ),
        (SECOND, '"dawn"\nti', '"start"\nti', f"{SECOND}, 'start': the key is there twice (also in {FIRST});"),
        (SECOND, "id = 8", "id = 3", f"{SECOND}, 'recall': id 3 is 'climb's."),
        (BADGES, '"founder"', '"founding"', f"{BADGES}, 'founding': nobody can earn it: the generations give founder."),
        (BADGES, '"generation"', '"event"', "'founder': nobody can earn it: events give viral_tier_1, viral_tier_2, "),
        (
            BADGES,
            '"first"',
            '"third"',
            "'third': nobody can earn it: a chapter gives the badge that has the chapter's key.",
        ),
        (ACHIEVEMENTS, 'badge = "brave"', "", f"{BADGES}, 'brave': nobody can earn it: no achievement gives it."),
        (ACHIEVEMENTS, '"brave"', '"bold"', f"{ACHIEVEMENTS}, 'taps_one': there is no badge 'bold' in {BADGES}."),
        (ACHIEVEMENTS, '"earned"', '"urned"', f"{ACHIEVEMENTS}, 'taps_two': there is no title 'urned' in {TITLES}."),
        (
            ACHIEVEMENTS,
            'title = "earned"',
            "",
            f"{TITLES}, 'earned': nobody can have it: no price_pt, and no achievement",
        ),
        (
            ACHIEVEMENTS,
            'title = "',
            'badge = "founder"\ntitle = "',
            "'taps_two': the badge 'founder' comes from another",
        ),
        (ACHIEVEMENTS, "tier = 2", "tier = 1", f"{ACHIEVEMENTS}, 'taps_two': tier 1 of taps is 'taps_one's."),
        (ACHIEVEMENTS, "10_000", "1_000", "'taps_two': its target is not above that of the tier before, 'taps_one'."),
        (
            HABITS,
            '"self_report"',
            '"self_report"\ntarget = 2',
            "'greet': what players report themselves is done or not",
        ),
        (MINI_GAMES, "score_cap = 100", "score_cap = 181", "'run': score_cap 181 is more than max_score_per_s allows"),
        (UPGRADES, "max_level = 3", "max_level = 21", "'kettle': level 21 would cost more than a billion tokens"),
    ],
)
def test_entries_that_do_not_fit_together(folder: ContentFolder, name: str, old: str, new: str, sentence: str) -> None:
    folder.replace(name, old, new)
    assert sentence in refusal(folder)


def test_a_character_twice(folder: ContentFolder) -> None:
    folder.write(CHARACTERS, 2 * FILES[CHARACTERS])
    assert f"{CHARACTERS}, 'mara': the key is there twice" in refusal(folder)


def test_too_few_missions_to_draw_from(folder: ContentFolder) -> None:
    folder.replace(MISSIONS, "weight = 1", "weight = 1\nearly = true")
    assert refusal(folder) == (
        "missions.toml: 3 missions of a day are for everybody, and 4 are needed: 3 at a time and one to draw anew."
    )


def test_a_mission_that_asks_for_more_habits_than_there_are(folder: ContentFolder) -> None:
    habits = COUNTED.format("week").replace("taps", "habits")
    folder.write(MISSIONS, FILES[MISSIONS] + mission(9, "all_week", habits.replace("100", "2")))
    assert refusal(folder) == (
        "missions.toml, 'all_week': at level 100 it asks for more habits than there are in a week (14)."
    )
    folder.replace(MISSIONS, "base_target = 2", "base_target = 1")
    assert folder.read().missions[-1].key == "all_week"
