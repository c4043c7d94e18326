"""The rows of the content's tables, as the files want them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from persistence.seed.content_files import STORY, Content

ASIDE = 10_000  #: beyond every position that a file can give

ContentRow: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContentTable:
    """A table of content.

    Args:
        name: in the database.
        kind: what its version is kept under: the name of the file without `.toml`.
        meaning: columns that say what an id means, with the key: they never change.
        retires: rows that vanish from the files are retired; else they are deleted, if no player's row points to them.
        aside: an assignment that makes room while rows change places.
        retired: an assignment that makes room for what comes after a retired row.
    """

    name: str
    kind: str
    meaning: tuple[str, ...] = ()
    retires: bool = True
    aside: str = ""
    retired: str = ""


#: In the order in which they may point to each other.
TABLES = (
    ContentTable("badges", "badges", ("source",)),
    ContentTable("titles", "titles"),
    ContentTable("achievements", "achievements", ("metric", "tier"), aside="target = target + 1000000000000000000"),
    ContentTable("missions", "missions", ("period", "metric")),
    ContentTable("daily_habits", "habits", ("evidence",)),
    ContentTable("mini_games", "mini_games"),
    ContentTable("community_upgrade_types", "community_upgrades"),
    ContentTable("story_chapters", STORY, retired=f"position = {ASIDE} + id"),
    ContentTable("story_scenes", STORY, ("chapter_id",), retires=False),
    ContentTable("story_choices", STORY, ("scene_id",), retires=False, aside=f"position = position + {ASIDE}"),
)


def wanted_rows(content: Content) -> dict[str, list[ContentRow]]:
    """What each table of `TABLES` should hold, by the table's name."""
    badge_ids = {badge.key: badge.id for badge in content.badges}
    title_ids = {title.key: title.id for title in content.titles}
    achievements = _rows(content.achievements)
    for row in achievements:
        row["badge_id"] = badge_ids.get(row.pop("badge"))
        row["title_id"] = title_ids.get(row.pop("title"))
    return {
        "badges": _rows(content.badges),
        "titles": _rows(content.titles),
        "achievements": achievements,
        "missions": _rows(content.missions),
        "daily_habits": _rows(content.habits),
        "mini_games": _rows(content.mini_games),
        "community_upgrade_types": _rows(content.community_upgrades),
        **_story_rows(content),
    }


def _story_rows(content: Content) -> dict[str, list[ContentRow]]:
    chapters = [file.chapter for file in content.chapters]
    chapter_ids = {chapter.key: chapter.id for chapter in chapters}
    scene_ids = {scene.key: scene.id for chapter in chapters for scene in chapter.scenes}
    choice_ids = {choice.key: choice.id for chapter in chapters for scene in chapter.scenes for choice in scene.choices}
    scene_rows: list[ContentRow] = []
    choice_rows: list[ContentRow] = []
    for chapter in chapters:
        for scene in chapter.scenes:
            [row] = _rows([scene])
            del row["choices"]
            row |= {"chapter_id": chapter.id, "is_ending": row.pop("ending")}
            scene_rows.append(row)
            for position, choice in enumerate(_rows(scene.choices), start=1):
                choice |= {"chapter_id": chapter.id, "scene_id": scene.id, "position": position}
                choice["next_scene_id"] = scene_ids[choice.pop("to")]
                choice["required_choice_id"] = choice_ids.get(choice.pop("requires"))
                choice_rows.append(choice)
    chapter_rows = _rows(chapters)
    for row in chapter_rows:
        del row["scenes"]
        row["after_chapter_id"] = chapter_ids.get(row.pop("after"))
        row["first_scene_id"] = scene_ids[row.pop("first_scene")]
    return {"story_chapters": chapter_rows, "story_scenes": scene_rows, "story_choices": choice_rows}


def _rows(entries: Sequence[msgspec.Struct]) -> list[ContentRow]:
    """Entries by the names of their columns: tokens in mPT, text without the file's line breaks."""
    return [dict(_columns(entry)) for entry in entries]


def _columns(entry: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    for name, value in msgspec.structs.asdict(entry).items():
        if name.endswith("_pt"):
            yield f"{name.removesuffix('_pt')}_mpt", None if value is None else 1_000 * value
        elif isinstance(value, str):
            yield name, flowed(value)
        else:
            yield name, value


def flowed(text: str) -> str:
    """Text as it is shown: a line break in the file is a space, an empty line begins a new paragraph."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n[ \t]*\n\s*", text.strip()))
