"""The game's own content: enough of everything, by the rules of the game, and a story that everybody can play."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from persistence.seed.content_checks import GENERATION_BADGES, read_content
from persistence.seed.content_entries import Chapter, Choice, Scene

CONTENT = read_content()
CHAPTERS = sorted((file.chapter for file in CONTENT.chapters), key=lambda chapter: chapter.position)
BASES = {"taps": 1_000, "tokens": 1_000, "supporters": 5, "streak": 3, "missions": 10, "wins": 1}
COMMUNITY_CAP_BP = 1_000
ORDINARY = 10**6  #: a player who may choose everything has at least this level and these supporters


def test_there_is_enough_of_everything() -> None:
    missions = [mission.period for mission in CONTENT.missions]
    assert (missions.count("day"), missions.count("week")) >= (25, 12)
    assert missions.count("week") >= 12
    assert len(CONTENT.habits) >= 10
    assert len(CONTENT.mini_games) >= 5
    assert len(CONTENT.badges) >= 20
    assert len(CONTENT.titles) >= 15
    assert {title.price_pt is None for title in CONTENT.titles} == {True, False}
    assert len(CONTENT.community_upgrades) >= 5
    assert len(CHAPTERS) >= 6
    assert {badge.key for badge in CONTENT.badges} >= {*GENERATION_BADGES, *(chapter.key for chapter in CHAPTERS)}


def test_achievements_follow_the_formula() -> None:
    assert {one.metric for one in CONTENT.achievements} == set(BASES)
    for one in CONTENT.achievements:
        assert one.target == BASES[one.metric] * 10 ** (one.tier - 1)
        assert one.reward_pt == 100 * 3 ** (one.tier - 1)
        assert one.reward_xp == 50 * one.tier
    for metric in BASES:
        tiers = sorted(one.tier for one in CONTENT.achievements if one.metric == metric)
        assert tiers == list(range(1, len(tiers) + 1))


def test_every_metric_of_missions_and_every_evidence_of_habits_is_used() -> None:
    assert len({mission.metric for mission in CONTENT.missions}) == 13
    assert len({habit.evidence for habit in CONTENT.habits}) == 6
    assert any(mission.early for mission in CONTENT.missions)


def test_no_level_of_a_community_upgrade_is_bought_for_nothing() -> None:
    upgrades = CONTENT.community_upgrades
    assert sum(one.bonus_bp_per_level * one.max_level for one in upgrades) == COMMUNITY_CAP_BP


def test_characters_all_have_bonds_and_the_story_uses_every_kind_of_condition() -> None:
    choices = [choice for chapter in CHAPTERS for scene in chapter.scenes for choice in scene.choices]
    assert {name for choice in choices for name in choice.bonds} == {one.key for one in CONTENT.characters}
    home = {choice.key: chapter for chapter in CHAPTERS for scene in chapter.scenes for choice in scene.choices}
    required = [(home[choice.key], home[choice.requires]) for choice in choices if choice.requires is not None]
    assert any(here is there for here, there in required)
    assert any(here is not there for here, there in required)
    assert any(choice.min_level > home[choice.key].min_level for choice in choices)
    assert any(choice.min_supporters > 0 for choice in choices)
    assert any(choice.reward_supporters > 0 for choice in choices)


@dataclass(frozen=True)
class Reader:
    """Somebody who plays the story."""

    level: int
    supporters: int
    made: frozenset[str] = field(default_factory=frozenset)

    def may(self, choice: Choice) -> bool:
        return (
            self.level >= choice.min_level
            and self.supporters >= choice.min_supporters
            and (choice.requires is None or choice.requires in self.made)
        )

    def after(self, choice: Choice) -> "Reader":
        return Reader(self.level, self.supporters, self.made | {choice.key})


def walks(chapter: Chapter, reader: Reader) -> Iterator[tuple[Scene, Reader]]:
    """Every way through a chapter, as where it ends and who arrives there."""
    scenes = {scene.key: scene for scene in chapter.scenes}
    open_ends = [(scenes[chapter.first_scene], reader)]
    while open_ends:
        scene, reader = open_ends.pop()
        if scene.ending:
            yield scene, reader
            continue
        may = [choice for choice in scene.choices if reader.may(choice)]
        assert may, f"{scene.key} is where a reader is stuck"
        open_ends += [(scenes[choice.to], reader.after(choice)) for choice in may]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.key)
def test_whoever_may_begin_a_chapter_can_end_it_whatever_they_choose(chapter: Chapter) -> None:
    newcomer = Reader(chapter.min_level, supporters=0)
    arrivals = list(walks(chapter, newcomer))
    assert len({scene.key for scene, _ in arrivals}) >= 2
    assert len({reader.made for _, reader in arrivals}) >= 4


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.key)
def test_every_ending_and_every_choice_can_be_had_by_somebody(chapter: Chapter) -> None:
    earlier = frozenset(
        choice.key
        for one in CHAPTERS
        if one.position < chapter.position
        for scene in one.scenes
        for choice in scene.choices
    )
    arrivals = list(walks(chapter, Reader(ORDINARY, ORDINARY, earlier)))
    assert {scene.key for scene, _ in arrivals} == {scene.key for scene in chapter.scenes if scene.ending}
    made = frozenset().union(*(reader.made for _, reader in arrivals)) - earlier
    assert made == {choice.key for scene in chapter.scenes for choice in scene.choices}


def test_the_whole_story_can_be_played_in_order_by_somebody_without_supporters() -> None:
    reader = Reader(1, supporters=0)
    for before, chapter in zip([None, *CHAPTERS], CHAPTERS, strict=False):
        assert chapter.after == (before.key if before else None)
        _, reader = next(walks(chapter, Reader(max(reader.level, chapter.min_level), 0, reader.made)))
    assert len(reader.made) >= 3 * len(CHAPTERS)
