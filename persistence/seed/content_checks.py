"""What must hold between entries, and what the rules of the game ask of the content as a whole."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from persistence.seed.content_entries import Achievement, Mission, refused
from persistence.seed.content_files import CHARACTERS_FILE, KINDS, SHIPPED, Content, read_files
from persistence.seed.story_checks import check_story

GENERATION_BADGES = ("founder",)  #: of the first generation
EVENT_BADGES = tuple(f"viral_tier_{tier}" for tier in range(1, 6))  #: for taking part in a viral event of the tier
MISSION_SLOTS = {"day": 3, "week": 2}
DAYS = {"day": 1, "week": 7}
TOP_LEVEL = 100  #: up to here every mission can be done


class _Entry(Protocol):
    @property
    def id(self) -> int: ...

    @property
    def key(self) -> str: ...


def read_content(folder: Path = SHIPPED) -> Content:
    """Read a folder of content files and check all that can be checked without a database.

    Args:
        folder: where the files are; by default those of the game itself.

    Raises:
        SetupFailed: the first thing that is wrong, in one sentence that names the file and the entry.
    """
    content = read_files(folder)
    for kind in KINDS:
        _check_unique((f"{kind}.toml", entry) for entry in getattr(content, kind))
    chapters = [(file.name, file.chapter) for file in content.chapters]
    scenes = [(name, scene) for name, chapter in chapters for scene in chapter.scenes]
    choices = [(name, choice) for name, scene in scenes for choice in scene.choices]
    for entries in (chapters, scenes, choices):
        _check_unique(entries)
    _check_keys((CHARACTERS_FILE, character.key) for character in content.characters)
    check_story(content.chapters, {character.key for character in content.characters})
    _check_achievements(content.achievements, content)
    _check_badges_and_titles(content)
    _check_missions(content.missions, habits=len(content.habits))
    _check_smaller_kinds(content)
    return content


def _check_unique(entries: Iterable[tuple[str, _Entry]]) -> None:
    entries = list(entries)
    _check_keys((name, entry.key) for name, entry in entries)
    owners: dict[int, str] = {}
    for name, entry in entries:
        if entry.id in owners:
            raise refused(name, f"'{entry.key}'", f"id {entry.id} is '{owners[entry.id]}'s")
        owners[entry.id] = entry.key


def _check_keys(keys: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, key in keys:
        if key in seen:
            raise refused(name, f"'{key}'", f"the key is there twice (also in {seen[key]}); give one of them another")
        seen[key] = name


def _check_achievements(achievements: Sequence[Achievement], content: Content) -> None:
    name = "achievements.toml"
    badges, titles = {badge.key for badge in content.badges}, {title.key for title in content.titles}
    for one in achievements:
        if one.badge is not None and one.badge not in badges:
            raise refused(name, f"'{one.key}'", f"there is no badge '{one.badge}' in badges.toml")
        if one.title is not None and one.title not in titles:
            raise refused(name, f"'{one.key}'", f"there is no title '{one.title}' in titles.toml")
    for lower, upper in pairwise(sorted(achievements, key=lambda one: (one.metric, one.tier))):
        if lower.metric != upper.metric:
            continue
        if lower.tier == upper.tier:
            raise refused(name, f"'{upper.key}'", f"tier {upper.tier} of {upper.metric} is '{lower.key}'s")
        if lower.target >= upper.target:
            raise refused(name, f"'{upper.key}'", f"its target is not above that of the tier before, '{lower.key}'")


def _check_badges_and_titles(content: Content) -> None:
    earned: dict[str, set[str | None]] = {
        "achievement": {one.badge for one in content.achievements},
        "generation": {*GENERATION_BADGES},
        "event": {*EVENT_BADGES},
        "story": {file.chapter.key for file in content.chapters},
    }
    given_by = {
        "achievement": "no achievement gives it",
        "generation": f"the generations give {', '.join(GENERATION_BADGES)}",
        "event": f"events give {', '.join(EVENT_BADGES)}",
        "story": "a chapter gives the badge that has the chapter's key",
    }
    for badge in content.badges:
        if badge.key not in earned[badge.source]:
            raise refused("badges.toml", f"'{badge.key}'", f"nobody can earn it: {given_by[badge.source]}")
    sources = {badge.key: badge.source for badge in content.badges}
    for one in content.achievements:
        if one.badge is not None and sources[one.badge] != "achievement":
            raise refused("achievements.toml", f"'{one.key}'", f"the badge '{one.badge}' comes from another source")
    titles = {one.title for one in content.achievements}
    for title in content.titles:
        if title.price_pt is None and title.key not in titles:
            raise refused(
                "titles.toml", f"'{title.key}'", "nobody can have it: no price_pt, and no achievement gives it"
            )


def _check_missions(missions: Sequence[Mission], habits: int) -> None:
    for period, slots in MISSION_SLOTS.items():
        drawn = [mission for mission in missions if mission.period == period and not mission.early]
        if missions and len(drawn) <= slots:
            raise refused(
                "missions.toml",
                "",
                f"{len(drawn)} missions of a {period} are for everybody, and {slots + 1} are needed: "
                f"{slots} at a time and one to draw anew",
            )
    for mission in _counting_habits(missions):
        most = habits * DAYS[mission.period]
        if mission.base_target * (10 + TOP_LEVEL) // 10 > most:
            raise refused(
                "missions.toml",
                f"'{mission.key}'",
                f"at level {TOP_LEVEL} it asks for more habits than there are in a {mission.period} ({most})",
            )


def _counting_habits(missions: Iterable[Mission]) -> Iterator[Mission]:
    return (mission for mission in missions if mission.metric == "habits")


def _check_smaller_kinds(content: Content) -> None:
    for habit in content.habits:
        if habit.evidence == "self_report" and habit.target != 1:
            raise refused("habits.toml", f"'{habit.key}'", "what players report themselves is done or not: target = 1")
    for game in content.mini_games:
        if game.score_cap > game.max_score_per_s * game.time_limit_s:
            raise refused(
                "mini_games.toml",
                f"'{game.key}'",
                f"score_cap {game.score_cap} is more than max_score_per_s allows in time_limit_s",
            )
    for upgrade in content.community_upgrades:
        if upgrade.base_price_pt << (upgrade.max_level - 1) > 10**9:
            raise refused(
                "community_upgrades.toml",
                f"'{upgrade.key}'",
                f"level {upgrade.max_level} would cost more than a billion tokens: the price doubles with every level",
            )
