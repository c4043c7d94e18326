"""Each way in which a story cannot be played to its end."""

from pathlib import Path

import pytest

from persistence.errors import SetupFailed
from tests.fakes.content_folder import FILES, FIRST, SECOND, ContentFolder, chapter, choice, scene


@pytest.fixture
def folder(tmp_path: Path) -> ContentFolder:
    return ContentFolder(tmp_path / "content")


def refusal(folder: ContentFolder) -> str:
    with pytest.raises(SetupFailed) as raised:
        folder.read()
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        (
            FIRST,
            'to = "left"',
            'to = "nowhere"',
            f"{FIRST}, 'go_left': it leads to 'nowhere', and there is no such scene.",
        ),
        (FIRST, 'to = "left"', 'to = "noon"', f"{FIRST}, 'go_left': it leads to 'noon' in another chapter, 'second'."),
        (
            FIRST,
            'first_scene = "start"',
            'first_scene = "noon"',
            f"{FIRST}, 'first': its first scene 'noon' is none of",
        ),
        (FIRST, 'first_scene = "start"', 'first_scene = "left"', f"{FIRST}, 'start': no choice leads to this scene."),
        (
            FIRST,
            "mara = 5",
            "marta = 5",
            f"{FIRST}, 'go_left': the bond with 'marta' is with nobody in characters.toml.",
        ),
        (
            FIRST,
            'requires = "go_right"',
            'requires = "go_away"',
            f"{FIRST}, 'turn': it requires 'go_away', and there is no such choice.",
        ),
        (
            FIRST,
            'requires = "go_right"',
            'requires = "climb"',
            f"{FIRST}, 'turn': it requires 'climb', which nobody can have made by",
        ),
        (
            FIRST,
            'requires = "go_right"',
            'requires = "turn"',
            f"{FIRST}, 'turn': it requires 'turn', which nobody can have made by then.",
        ),
        (
            FIRST,
            'requires = "go_right"',
            'requires = "rise"',
            f"{FIRST}, 'turn': it requires 'rise', which nobody can have made by then.",
        ),
        (FIRST, 'to = "top"', 'to = "start"', "the choices lead back to it (start → "),
        (SECOND, "ending = true", "", f"{SECOND}, 'noon': a dead end; give it a choice, or ending = true."),
        (
            SECOND,
            'after = "first"',
            'after = "zeroth"',
            f"{SECOND}, 'second': there is no chapter 'zeroth' for it to come",
        ),
        (
            SECOND,
            'after = "first"',
            'after = "second"',
            "'second': it comes after 'second', whose position is not before.",
        ),
        (SECOND, "position = 2", "position = 1", f"{SECOND}, 'second': position 1 is 'first's."),
    ],
)
def test_a_wrong_story(folder: ContentFolder, name: str, old: str, new: str, sentence: str) -> None:
    folder.replace(name, old, new)
    assert sentence in refusal(folder)


def test_an_ending_with_choices(folder: ContentFolder) -> None:
    folder.replace(
        FIRST, 'key = "bottom"', 'key = "bottom"\nchoices = [{ id = 9, key = "up_again", to = "top", label = "Up" }]'
    )
    assert refusal(folder) == f"{FIRST}, 'bottom': an ending has no choices."


@pytest.mark.parametrize("condition", ["min_level = 2", "min_supporters = 1", 'requires = "climb"'])
def test_a_way_that_only_some_may_go_is_no_way_out(folder: ContentFolder, condition: str) -> None:
    dawn = scene(6, "dawn", choice(7, "rise", "noon", condition), choice(8, "linger", "dusk", condition))
    folder.write(
        SECOND, chapter(2, "second", "dawn", dawn, scene(7, "noon", ending=True), scene(8, "dusk", ending=True))
    )
    sentence = (
        f"{SECOND}, 'dawn': from this scene not everybody can reach an ending; give it a choice without conditions."
    )
    assert refusal(folder) == sentence


def test_a_chapter_without_scenes(folder: ContentFolder) -> None:
    folder.write(SECOND, chapter(2, "second", "dawn", fields="scenes = []"))
    assert refusal(folder) == f"{SECOND}, 'second': its first scene 'dawn' is none of its own."


def test_a_choice_may_require_one_of_an_earlier_chapter(folder: ContentFolder) -> None:
    assert 'requires = "climb"' in FILES[SECOND]
    assert folder.read().chapters[1].chapter.scenes[0].choices[1].requires == "climb"
