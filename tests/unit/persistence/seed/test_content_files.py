"""Each way in which one file can be wrong, and the sentence that says so."""

import hashlib
from pathlib import Path

import pytest

from persistence.errors import SetupFailed
from persistence.seed.content_files import KINDS, read_files
from tests.fakes.content_folder import (
    ACHIEVEMENTS,
    BADGES,
    CHARACTERS,
    FIRST,
    HABITS,
    MINI_GAMES,
    MISSIONS,
    SECOND,
    TITLES,
    UPGRADES,
    ContentFolder,
)


@pytest.fixture
def folder(tmp_path: Path) -> ContentFolder:
    return ContentFolder(tmp_path / "content")


def refusal(folder: ContentFolder) -> str:
    with pytest.raises(SetupFailed) as raised:
        read_files(folder.path)
    sentence = str(raised.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_everything_is_read(folder: ContentFolder) -> None:
    content = read_files(folder.path)
    assert [badge.key for badge in content.badges] == ["founder", "brave", "first"]
    assert (content.titles[0].price_pt, content.titles[1].price_pt, content.titles[1].min_level) == (50, None, 2)
    assert content.mini_games[0].paid_plays_per_day == 5
    assert [(file.name, file.chapter.key, len(file.chapter.scenes)) for file in content.chapters] == [
        (FIRST, "first", 5),
        (SECOND, "second", 2),
    ]
    assert content.chapters[0].chapter.scenes[0].choices[0].bonds == {"mara": 5}


def test_a_checksum_is_that_of_the_file_and_for_the_story_that_of_all_its_files(folder: ContentFolder) -> None:
    before = read_files(folder.path).checksums
    assert before["badges"] == hashlib.sha256((folder.path / BADGES).read_bytes()).digest()
    for name in (CHARACTERS, SECOND):
        folder.replace(name, "key", "  key")
        after = read_files(folder.path).checksums
        assert after["story"] != before["story"]
        assert {kind: after[kind] for kind in KINDS} == {kind: before[kind] for kind in KINDS}
        before = after
    (folder.path / SECOND).rename(folder.path / "story/99.toml")
    assert read_files(folder.path).checksums["story"] != before["story"]


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        (BADGES, '"generation"', '"gift"', f"{BADGES}, 'founder': source: invalid enum value 'gift'."),
        (BADGES, "id = 2", "id = 0", f"{BADGES}, 'brave': id: expected `int` >= 1."),
        (BADGES, 'key = "brave"', "", f"{BADGES}, entry 2: object missing required field `key`."),
        (TITLES, "price_pt = 50", "price_pt = 0", f"{TITLES}, 'bought': price_pt: expected `int` >= 1."),
        (TITLES, "price_pt = 50", "price_pt = true", "price_pt: expected `int | null`, got `bool`."),
        (TITLES, "price_pt = 50", "prize_pt = 5", "'bought': object contains unknown field `prize_pt`."),
        (ACHIEVEMENTS, "tier = 1", "tier = 13", "'taps_one': tier: expected `int` <= 12."),
        (ACHIEVEMENTS, "target = 1_000", "target = 1e3", "target: expected `int`, got `float`."),
        (MISSIONS, 'period = "day"', 'period = "month"', "'day_1': period: invalid enum value 'month'."),
        (MISSIONS, '"taps"', '"naps"', "'day_1': metric: invalid enum value 'naps'."),
        (MISSIONS, "weight = 1", "weight = 1001", "weight: expected `int` <= 1000."),
        (
            MISSIONS,
            "{target}",
            "many",
            "description: expected `str` of text with {target} where the player's target goes.",
        ),
        (HABITS, "target = 100", "target = -1", f"{HABITS}, 'tap_some': target: expected `int` >= 1."),
        (MINI_GAMES, "time_limit_s = 60", "time_limit_s = 601", "'run': time_limit_s: expected `int` <= 600."),
        (UPGRADES, "max_level = 3", "max_level = 31", "'kettle': max_level: expected `int` <= 30."),
        (UPGRADES, 'name = "A name"', f'name = "{"x" * 81}"', "name: expected `str` of length <= 80."),
        (UPGRADES, 'name = "A name"', 'name = "  "', "name: expected `str` that is one line of text."),
        (UPGRADES, 'name = "A name"', 'name = "a\\nb"', "name: expected `str` that is one line of text."),
        (UPGRADES, "What it is.", "\\u0000", "description: expected `str` of text."),
        (
            CHARACTERS,
            '"mara"',
            '"Mara"',
            f"{CHARACTERS}, 'Mara': key: expected `str` of 2 … 64 letters a-z, digits and ",
        ),
        (FIRST, "min_level = 1", "min_level = 0", f"{FIRST}: min_level: expected `int` >= 1."),
        (FIRST, "id = 1\n", "", f"{FIRST}: object missing required field `id`."),
        (FIRST, 'to = "left"', "", f"{FIRST}, 'go_left': object missing required field `to`."),
        (FIRST, 'title = "A scene"', "title = 1", f"{FIRST}, 'start': title: expected `str`, got `int`."),
        (FIRST, 'key = "climb"\n', "", f"{FIRST}, entry 1 of choices: object missing required field `key`."),
        (FIRST, "mara = 5", "mara = 10_001", f"{FIRST}, 'go_left': bonds: expected `int` <= 10000."),
        (FIRST, "mara = 5", '"M a" = 5', f"{FIRST}, 'go_left': bonds: expected `str` of 2 … 64 letters"),
        (
            BADGES,
            "[[badges]]",
            "[[badge]]",
            f"{BADGES}: 'badge' cannot stand here; every entry begins with [[badges]].",
        ),
        (BADGES, "id = 1", "id = ", f"{BADGES}: not TOML: Invalid value (at line 2, column 6)."),
        (BADGES, "id = 1", "id = 1\nid = 1", f"{BADGES}: not TOML: Cannot overwrite a value (at line 3, column 7)."),
    ],
)
def test_a_wrong_value(folder: ContentFolder, name: str, old: str, new: str, sentence: str) -> None:
    folder.replace(name, old, new)
    assert sentence in refusal(folder)


def test_a_list_where_there_is_none(folder: ContentFolder) -> None:
    folder.write(BADGES, "badges = 1")
    assert refusal(folder) == f"{BADGES}: expected `array`, got `int`."


def test_a_file_that_is_missing_and_one_too_many(folder: ContentFolder) -> None:
    (folder.path / HABITS).unlink()
    assert refusal(folder) == f"{HABITS}: there is no such file; leave it empty where nothing of the kind is wanted."
    folder.write(HABITS, "")
    assert read_files(folder.path).habits == ()
    folder.write("habit.toml", "")
    assert "habit.toml: there is no such kind of content; choose from achievements.toml, " in refusal(folder)


def test_characters_that_are_missing(folder: ContentFolder) -> None:
    (folder.path / CHARACTERS).unlink()
    assert f"{CHARACTERS}: there is no such file" in refusal(folder)


def test_another_encoding(folder: ContentFolder) -> None:
    (folder.path / BADGES).write_bytes("# Größe".encode("latin-1"))
    assert refusal(folder) == f"{BADGES}: not in UTF-8; save it so."


def test_no_folder_at_all(folder: ContentFolder, tmp_path: Path) -> None:
    folder.path = tmp_path / "none"
    assert f"{folder.path} cannot be read (No such file or directory); name a folder with the files of" in refusal(
        folder
    )


def test_a_folder_without_a_story(folder: ContentFolder) -> None:
    for path in (folder.path / "story").iterdir():
        path.unlink()
    (folder.path / "story").rmdir()
    assert "story cannot be read" in refusal(folder)
