"""What the game offers, as the database has it: a seeded past is made of this."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from persistence.errors import SetupFailed
from persistence.postgres import Connection, Row

_LIVE = {
    "missions": """
        SELECT id, period::text, base_target, weight, early FROM missions WHERE retired_at IS NULL ORDER BY id
    """,
    "habits": "SELECT id FROM daily_habits WHERE retired_at IS NULL ORDER BY id",
    "mini games": """
        SELECT id, time_limit_s, max_score_per_s, score_cap, reward_mpt, min_level
        FROM mini_games WHERE retired_at IS NULL ORDER BY id
    """,
    "achievements": """
        SELECT id, metric::text, target, reward_mpt, reward_xp, badge_id, title_id
        FROM achievements WHERE retired_at IS NULL ORDER BY metric, tier
    """,
    "titles": """
        SELECT id, price_mpt, min_level
        FROM titles WHERE retired_at IS NULL AND price_mpt IS NOT NULL ORDER BY price_mpt, id
    """,
    "community upgrades": """
        SELECT id, base_price_mpt, max_level, min_members
        FROM community_upgrade_types WHERE retired_at IS NULL ORDER BY id
    """,
    "chapters": """
        SELECT id, first_scene_id, min_level, after_chapter_id, reward_mpt, reward_xp, key::text
        FROM story_chapters WHERE retired_at IS NULL ORDER BY position
    """,
    "choices": """
        SELECT o.id, o.scene_id, o.next_scene_id, o.min_level, o.min_supporters, o.required_choice_id, o.reward_mpt,
            o.reward_xp, o.bonds::text, s.is_ending
        FROM story_choices AS o JOIN story_scenes AS s ON s.id = o.next_scene_id ORDER BY o.scene_id, o.position
    """,
}
_BADGES = "SELECT key::text, id FROM badges WHERE retired_at IS NULL AND source IN ('generation', 'story') ORDER BY id"
_THRESHOLDS = "SELECT threshold FROM generations ORDER BY generation"


@dataclass(frozen=True, slots=True)
class Mission:
    """A template."""

    id: int
    period: str
    base_target: int
    weight: int
    early: bool


@dataclass(frozen=True, slots=True)
class MiniGame:
    """What can be played beside tapping."""

    id: int
    time_limit_s: int
    max_score_per_s: int
    score_cap: int
    reward_mpt: int
    min_level: int


@dataclass(frozen=True, slots=True)
class Achievement:
    """A total to reach."""

    id: int
    metric: str
    target: int
    reward_mpt: int
    reward_xp: int
    badge_id: int | None
    title_id: int | None


@dataclass(frozen=True, slots=True)
class Title:
    """One that can be bought."""

    id: int
    price_mpt: int
    min_level: int


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a community can buy; each level costs twice the one before."""

    id: int
    base_price_mpt: int
    max_level: int
    min_members: int


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter of the story."""

    id: int
    first_scene_id: int
    min_level: int
    after_chapter_id: int | None
    reward_mpt: int
    reward_xp: int
    key: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A way out of a scene."""

    id: int
    scene_id: int
    next_scene_id: int
    min_level: int
    min_supporters: int
    required_choice_id: int | None
    reward_mpt: int
    reward_xp: int
    bonds: dict[str, int]
    ends: bool  #: the next scene is an ending


@dataclass(frozen=True, slots=True)
class Content:
    """All of it that players' pasts are made of."""

    thresholds: tuple[int, ...]  #: the last `join_seq` of each generation
    missions: tuple[Mission, ...]
    habits: tuple[int, ...]
    mini_games: tuple[MiniGame, ...]
    achievements: dict[str, tuple[Achievement, ...]]  #: by metric, ascending
    titles: tuple[Title, ...]
    upgrades: tuple[Upgrade, ...]
    chapters: tuple[Chapter, ...]
    choices: dict[int, tuple[Choice, ...]]  #: by scene
    badges: dict[str, int]  #: of generations and chapters: key → id


async def read_game_content(connection: Connection) -> Content:
    """Asyncio-flavoured: the content that is loaded.

    Raises:
        SetupFailed: some is missing.
    """
    rows: dict[str, Sequence[Row]] = {}
    for name, sql in _LIVE.items():
        rows[name] = await connection.fetch(sql)
        if not rows[name]:
            raise SetupFailed(f"The database has no {name}; load content first, with `gameserver seed --content`.")
    achievements: dict[str, tuple[Achievement, ...]] = {}
    for row in rows["achievements"]:
        achievements[row["metric"]] = (*achievements.get(row["metric"], ()), Achievement(*row))
    choices: dict[int, tuple[Choice, ...]] = {}
    for row in rows["choices"]:
        choice = Choice(*(*row[:8], msgspec.json.decode(row["bonds"], type=dict[str, int]), row["is_ending"]))
        choices[choice.scene_id] = (*choices.get(choice.scene_id, ()), choice)
    return Content(
        thresholds=tuple(row[0] for row in await connection.fetch(_THRESHOLDS)),
        missions=tuple(Mission(*row) for row in rows["missions"]),
        habits=tuple(row[0] for row in rows["habits"]),
        mini_games=tuple(MiniGame(*row) for row in rows["mini games"]),
        achievements=achievements,
        titles=tuple(Title(*row) for row in rows["titles"]),
        upgrades=tuple(Upgrade(*row) for row in rows["community upgrades"]),
        chapters=tuple(Chapter(*row) for row in rows["chapters"]),
        choices=choices,
        badges={row[0]: row[1] for row in await connection.fetch(_BADGES)},
    )
