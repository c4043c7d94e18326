"""What stands in the content files, entry by entry, and the sentences in which a wrong one is refused.

Tokens are whole ones here (`_pt`); the database has them in mPT. `docs/content.md` is for those who write the files.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from persistence.errors import SetupFailed

_KEY = r"\A[a-z][a-z0-9_]{0,62}[a-z0-9]\Z"
_LINE = r"\A[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*\Z"
_TEXT = r"\A[^\x00-\x08\x0b-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x08\x0b-\x1f\x7f]*\Z"
_TARGET_TEXT = r"\A[^\x00-\x08\x0b-\x1f\x7f]*\{target\}[^\x00-\x08\x0b-\x1f\x7f]*\Z"

#: What a pattern asks for, in words.
PATTERNS = {
    _KEY: "of 2 … 64 letters a-z, digits and underscores, beginning with a letter",
    _LINE: "that is one line of text",
    _TEXT: "of text",
    _TARGET_TEXT: "of text with {target} where the player's target goes",
}

Id: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Key: TypeAlias = Annotated[str, Meta(pattern=_KEY)]
Name: TypeAlias = Annotated[str, Meta(max_length=80, pattern=_LINE)]
Title: TypeAlias = Annotated[str, Meta(max_length=120, pattern=_LINE)]
Description: TypeAlias = Annotated[str, Meta(max_length=500, pattern=_TEXT)]
Tokens: TypeAlias = Annotated[int, Meta(ge=0, le=10**9)]
Price: TypeAlias = Annotated[int, Meta(ge=1, le=10**9)]
Level: TypeAlias = Annotated[int, Meta(ge=1, le=1_000)]


class Badge(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What players can be decorated with."""

    id: Id
    key: Key
    name: Name
    description: Description
    source: Literal["achievement", "generation", "event", "story"]


class PlayerTitle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What players can call themselves."""

    id: Id
    key: Key
    name: Name
    description: Description
    price_pt: Price | None = None  #: None: earned, not bought
    min_level: Level = 1


class Achievement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A total to reach."""

    id: Id
    key: Key
    metric: Literal["taps", "tokens", "supporters", "streak", "missions", "wins"]
    tier: Annotated[int, Meta(ge=1, le=12)]
    target: Annotated[int, Meta(ge=1, le=9 * 10**15)]
    reward_pt: Tokens
    reward_xp: Annotated[int, Meta(ge=0, le=10**6)]
    name: Name
    description: Description
    badge: Key | None = None
    title: Key | None = None


class Mission(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template that players' missions are drawn from; what they pay is computed from the target."""

    id: Id
    key: Key
    period: Literal["day", "week"]
    metric: Literal[
        "taps",
        "tokens",
        "combo",
        "level_ups",
        "habits",
        "mini_games",
        "mini_game_score",
        "story_choices",
        "shares",
        "invites",
        "chat_messages",
        "donations",
        "competitions",
    ]
    base_target: Annotated[int, Meta(ge=1, le=10**6)]
    weight: Annotated[int, Meta(ge=1, le=1_000)]
    name: Name
    description: Annotated[str, Meta(max_length=500, pattern=_TARGET_TEXT)]
    early: bool = False  #: only for generations with the privilege


class Habit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A small thing to do every day."""

    id: Id
    key: Key
    name: Name
    description: Description
    evidence: Literal["self_report", "taps", "mini_game", "share", "chat_message", "story_choice"]
    target: Annotated[int, Meta(ge=1, le=100_000)] = 1


class MiniGame(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to play beside tapping."""

    id: Id
    key: Key
    name: Name
    description: Description
    time_limit_s: Annotated[int, Meta(ge=5, le=600)]
    max_score_per_s: Annotated[int, Meta(ge=1, le=1_000)]
    score_cap: Annotated[int, Meta(ge=1, le=600_000)]  #: the score that earns the whole reward
    reward_pt: Tokens
    paid_plays_per_day: Annotated[int, Meta(ge=1, le=100)] = 5
    min_level: Level = 1


class CommunityUpgrade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What communities buy from donated tokens; each level costs twice the one before."""

    id: Id
    key: Key
    name: Name
    description: Description
    base_price_pt: Price
    bonus_bp_per_level: Annotated[int, Meta(ge=1, le=1_000)]
    max_level: Annotated[int, Meta(ge=1, le=30)]
    min_members: Annotated[int, Meta(ge=1, le=10_000)] = 1


class Character(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody in the story whom players can have a bond with; the database knows only the key."""

    key: Key
    name: Name
    description: Description


class Choice(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way out of a scene."""

    id: Id
    key: Key
    to: Key  #: the scene it leads to
    label: Annotated[str, Meta(max_length=300, pattern=_LINE)]
    min_level: Level = 1
    min_supporters: Annotated[int, Meta(ge=0, le=10**6)] = 0
    requires: Key | None = None  #: a choice made before
    reward_pt: Tokens = 0
    reward_xp: Annotated[int, Meta(ge=0, le=100_000)] = 0
    reward_supporters: Annotated[int, Meta(ge=0, le=100)] = 0
    bonds: dict[Key, Annotated[int, Meta(ge=-10_000, le=10_000)]] = {}  #: by character

    @property
    def is_open(self) -> bool:
        """Whether everybody may choose it."""
        return self.min_level == 1 and self.min_supporters == 0 and self.requires is None


class Scene(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a chapter shows; an ending completes it."""

    id: Id
    key: Key
    title: Title
    body: Annotated[str, Meta(max_length=4_000, pattern=_TEXT)]
    ending: bool = False
    choices: tuple[Choice, ...] = ()


class Chapter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the story."""

    id: Annotated[int, Meta(ge=1, le=9_999)]
    key: Key
    position: Annotated[int, Meta(ge=1, le=9_999)]
    title: Title
    summary: Annotated[str, Meta(max_length=1_000, pattern=_TEXT)]
    min_level: Level
    first_scene: Key
    reward_pt: Tokens
    reward_xp: Annotated[int, Meta(ge=0, le=10**6)]
    scenes: tuple[Scene, ...]
    after: Key | None = None  #: the chapter to be completed before


def refused(file: str, entry: str, problem: str) -> SetupFailed:
    """One sentence about a wrong entry.

    Args:
        file: its file's name, e.g. `missions.toml`.
        entry: its key, or where it stands; "" for the whole file.
        problem: what is wrong, without a full stop.
    """
    return SetupFailed(f"{file}{f', {entry}' * bool(entry)}: {problem}.")
