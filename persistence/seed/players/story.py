"""Who has read how far in the story: along choices that were open to the reader."""

from persistence.seed.players.content import Chapter, Choice
from persistence.seed.players.sheets import NULL
from persistence.seed.players.stage import Stage

_READERS = 0.08  #: of the players
_READ, _PAUSE = 0.5, 0.08  #: how likely a reader reads on a visit, and puts the story down after a choice
_READING_S = 15


class _Reader:
    """Where a reader stands."""

    __slots__ = ("began_s", "chapter", "completed", "made", "scene")

    def __init__(self) -> None:
        self.made: set[int] = set()
        self.completed: set[int] = set()
        self.chapter: Chapter | None = None
        self.scene = 0
        self.began_s = 0


class Story:
    """The readers.

    Args:
        stage: the game.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._readers: dict[int, _Reader] = {}
        self._reads = bytearray(stage.rng.random() < _READERS for _ in range(stage.people.count + 1))

    def visit(self, player: int, day: int, at_s: int) -> int:
        """Read on, perhaps; returns when the visitor stopped."""
        if not self._reads[player] or self._stage.rng.random() > _READ:
            return at_s
        reader = self._readers.setdefault(player, _Reader())
        chapter = reader.chapter or self._next_chapter(player, reader)
        if chapter is None:
            return at_s
        if reader.chapter is None:
            reader.chapter, reader.scene, reader.began_s = chapter, chapter.first_scene_id, at_s
        while reader.chapter is not None:
            choice = self._choose(player, reader)
            if choice is None:
                break
            at_s += _READING_S
            self._make(player, reader, choice, day, at_s)
            if choice.ends:
                self._complete(player, reader, chapter, at_s)
            elif self._stage.rng.random() < _PAUSE:
                break
        return at_s

    def close(self) -> None:
        """Write where readers stand in the chapters that they have begun and not completed."""
        for player, reader in self._readers.items():
            if reader.chapter is not None:
                self._row(player, reader.chapter, reader, NULL)

    def _next_chapter(self, player: int, reader: _Reader) -> Chapter | None:
        level = self._stage.level(player)
        for chapter in self._stage.content.chapters:
            if chapter.id not in reader.completed:
                opened = chapter.after_chapter_id is None or chapter.after_chapter_id in reader.completed
                return chapter if opened and chapter.min_level <= level else None
        return None

    def _choose(self, player: int, reader: _Reader) -> Choice | None:
        level = self._stage.level(player)
        options = [
            choice
            for choice in self._stage.content.choices[reader.scene]
            if choice.min_level <= level
            and not choice.min_supporters
            and choice.id not in reader.made
            and (choice.required_choice_id is None or choice.required_choice_id in reader.made)
        ]
        return self._stage.rng.choice(options) if options else None

    def _make(self, player: int, reader: _Reader, choice: Choice, day: int, at_s: int) -> None:
        stage = self._stage
        reader.made.add(choice.id)
        reader.scene = choice.next_scene_id
        stage.sheets["player_story_choices"].add(f"{player}\t{choice.id}\t{stage.calendar.stamp(at_s)}")
        if choice.reward_mpt:
            stage.ledger.post(player, "story_reward", f"choice:{player}:{choice.id}", choice.reward_mpt, at_s)
        stage.progress.xp[player] += choice.reward_xp
        for character, change in choice.bonds.items():
            stage.bond(player, character, change, day)

    def _complete(self, player: int, reader: _Reader, chapter: Chapter, at_s: int) -> None:
        stage = self._stage
        reader.completed.add(chapter.id)
        reader.chapter = None
        self._row(player, chapter, reader, stage.calendar.stamp(at_s))
        if chapter.reward_mpt:
            stage.ledger.post(player, "story_reward", f"chapter:{player}:{chapter.id}", chapter.reward_mpt, at_s)
        stage.progress.xp[player] += chapter.reward_xp
        if chapter.key in stage.content.badges:
            stage.badge(player, stage.content.badges[chapter.key], at_s)

    def _row(self, player: int, chapter: Chapter, reader: _Reader, completed_at: str) -> None:
        began_at = self._stage.calendar.stamp(reader.began_s)
        self._stage.sheets["player_chapter_progress"].add(
            f"{player}\t{chapter.id}\t{reader.scene}\t{began_at}\t{completed_at}"
        )
