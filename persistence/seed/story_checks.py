"""What keeps a story from being played to its end, found before it is loaded.

A chapter only goes forward: since each choice is recorded once, a way back would end where every choice has been made.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from graphlib import CycleError, TopologicalSorter

from persistence.seed.content_entries import Chapter, Choice, Scene, refused
from persistence.seed.content_files import ChapterFile


def check_story(files: Sequence[ChapterFile], characters: AbstractSet[str]) -> None:
    """Refuse a story of which not everybody can play every chapter to its end.

    Args:
        files: chapters whose ids and keys are unique, and so are those of their scenes and choices.
        characters: the keys of those whom players can have a bond with.

    Raises:
        SetupFailed: the sentence names the file and the chapter, scene or choice.
    """
    chapters = {file.chapter.key: file.chapter for file in files}
    home = {scene.key: file.chapter.key for file in files for scene in file.chapter.scenes}
    origin = {
        choice.key: (file.chapter, scene) for file in files for scene in file.chapter.scenes for choice in scene.choices
    }
    _check_order(files, chapters)
    for file in files:
        _check_references(file, home, characters)
        _check_ways(file)
        for scene in file.chapter.scenes:
            for choice in scene.choices:
                _check_requirement(file, scene, choice, origin)


def _check_order(files: Sequence[ChapterFile], chapters: Mapping[str, Chapter]) -> None:
    positions: dict[int, str] = {}
    for file in files:
        chapter = file.chapter
        if chapter.position in positions:
            other = positions[chapter.position]
            raise refused(file.name, f"'{chapter.key}'", f"position {chapter.position} is '{other}'s")
        positions[chapter.position] = chapter.key
        if chapter.after is not None:
            before = chapters.get(chapter.after)
            if before is None:
                raise refused(
                    file.name, f"'{chapter.key}'", f"there is no chapter '{chapter.after}' for it to come after"
                )
            if before.position >= chapter.position:
                raise refused(
                    file.name, f"'{chapter.key}'", f"it comes after '{before.key}', whose position is not before"
                )


def _check_references(file: ChapterFile, home: Mapping[str, str], characters: AbstractSet[str]) -> None:
    own = {scene.key for scene in file.chapter.scenes}
    if file.chapter.first_scene not in own:
        raise refused(
            file.name, f"'{file.chapter.key}'", f"its first scene '{file.chapter.first_scene}' is none of its own"
        )
    for scene in file.chapter.scenes:
        if scene.ending and scene.choices:
            raise refused(file.name, f"'{scene.key}'", "an ending has no choices")
        if not scene.ending and not scene.choices:
            raise refused(file.name, f"'{scene.key}'", "a dead end; give it a choice, or ending = true")
        for choice in scene.choices:
            if choice.to not in home:
                raise refused(file.name, f"'{choice.key}'", f"it leads to '{choice.to}', and there is no such scene")
            if choice.to not in own:
                raise refused(
                    file.name, f"'{choice.key}'", f"it leads to '{choice.to}' in another chapter, '{home[choice.to]}'"
                )
            for character in sorted(choice.bonds.keys() - characters):
                raise refused(
                    file.name, f"'{choice.key}'", f"the bond with '{character}' is with nobody in characters.toml"
                )


def _check_ways(file: ChapterFile) -> None:
    scenes = {scene.key: scene for scene in file.chapter.scenes}
    reached = _reached(scenes, [file.chapter.first_scene])
    for scene in scenes.values():
        if scene.key not in reached:
            raise refused(file.name, f"'{scene.key}'", "no choice leads to this scene")
    try:
        order = list(TopologicalSorter({key: _targets(scene.choices) for key, scene in scenes.items()}).static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise refused(file.name, f"'{error.args[1][0]}'", f"the choices lead back to it ({circle})") from None
    can_end: set[str] = set()
    for key in order:  # a scene comes after all that its choices lead to
        if scenes[key].ending or any(choice.is_open and choice.to in can_end for choice in scenes[key].choices):
            can_end.add(key)
        else:
            raise refused(
                file.name,
                f"'{key}'",
                "from this scene not everybody can reach an ending; give it a choice without conditions",
            )


def _check_requirement(
    file: ChapterFile, scene: Scene, choice: Choice, origin: Mapping[str, tuple[Chapter, Scene]]
) -> None:
    if choice.requires is None:
        return
    if choice.requires not in origin:
        raise refused(file.name, f"'{choice.key}'", f"it requires '{choice.requires}', and there is no such choice")
    chapter, made_in = origin[choice.requires]
    if chapter.key == file.chapter.key:
        required = next(other for other in made_in.choices if other.key == choice.requires)
        may = scene.key in _reached({one.key: one for one in chapter.scenes}, [required.to])
    else:
        may = chapter.position < file.chapter.position
    if not may:
        raise refused(
            file.name, f"'{choice.key}'", f"it requires '{choice.requires}', which nobody can have made by then"
        )


def _reached(scenes: Mapping[str, Scene], start: Iterable[str]) -> set[str]:
    reached: set[str] = set()
    ahead = list(start)
    while ahead:
        key = ahead.pop()
        if key not in reached:
            reached.add(key)
            ahead += _targets(scenes[key].choices)
    return reached


def _targets(choices: Iterable[Choice]) -> list[str]:
    return [choice.to for choice in choices]
