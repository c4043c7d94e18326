"""Reads the content files: one TOML file for each kind, and a folder for the story, with a file for each chapter.

All files of a folder are read, and checked against each other, before anything of them is loaded.
"""

import ast
import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from persistence.errors import SetupFailed
from persistence.seed.content_entries import (
    PATTERNS,
    Achievement,
    Badge,
    Chapter,
    Character,
    CommunityUpgrade,
    Habit,
    MiniGame,
    Mission,
    PlayerTitle,
    refused,
)

SHIPPED = Path(__file__).with_name("content")  #: the game's own content
STORY = "story"  #: the kind whose chapters have a file each, in a folder
CHARACTERS_FILE = f"{STORY}/characters.toml"
#: The other kinds: what the file of each holds.
KINDS: Mapping[str, Any] = {
    "badges": tuple[Badge, ...],
    "titles": tuple[PlayerTitle, ...],
    "achievements": tuple[Achievement, ...],
    "missions": tuple[Mission, ...],
    "habits": tuple[Habit, ...],
    "mini_games": tuple[MiniGame, ...],
    "community_upgrades": tuple[CommunityUpgrade, ...],
}

_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_PATTERN = re.compile(r" matching regex ('.+')\Z")


@dataclass(frozen=True, slots=True)
class ChapterFile:
    """A chapter and the file it stands in."""

    name: str  #: e.g. `story/01_the_roof.toml`
    chapter: Chapter


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that a folder holds."""

    badges: tuple[Badge, ...]
    titles: tuple[PlayerTitle, ...]
    achievements: tuple[Achievement, ...]
    missions: tuple[Mission, ...]
    habits: tuple[Habit, ...]
    mini_games: tuple[MiniGame, ...]
    community_upgrades: tuple[CommunityUpgrade, ...]
    characters: tuple[Character, ...]
    chapters: tuple[ChapterFile, ...]
    checksums: Mapping[str, bytes]  #: by kind; SHA-256 of what stands in its file, for the story in all of its files


def read_files(folder: Path) -> Content:
    """Read a folder of content files, without the checks that look at more than one entry.

    Raises:
        SetupFailed: something is missing or wrong; the sentence names the file and the entry.
    """
    flat, story = _texts(folder, ""), _texts(folder / STORY, f"{STORY}/")
    _insist_on({f"{kind}.toml" for kind in KINDS}, flat, others_allowed=False)
    _insist_on({CHARACTERS_FILE}, story, others_allowed=True)
    checksums = {kind: hashlib.sha256(flat[f"{kind}.toml"]).digest() for kind in KINDS}
    checksums[STORY] = hashlib.sha256(
        b"".join(hashlib.sha256(part).digest() for pair in story.items() for part in (pair[0].encode(), pair[1]))
    ).digest()
    return Content(
        **{kind: _entries(f"{kind}.toml", flat[f"{kind}.toml"], kind, type_) for kind, type_ in KINDS.items()},
        characters=_entries(CHARACTERS_FILE, story.pop(CHARACTERS_FILE), "characters", tuple[Character, ...]),
        chapters=tuple(ChapterFile(name, _convert(name, _parse(name, text), Chapter)) for name, text in story.items()),
        checksums=checksums,
    )


def _texts(folder: Path, prefix: str) -> dict[str, bytes]:
    """The TOML files of a folder by name, in the order of their names."""
    try:
        return {
            f"{prefix}{path.name}": path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix == ".toml"
        }
    except OSError as error:
        raise SetupFailed(
            f"{error.filename} cannot be read ({error.strerror}); name a folder with the files of docs/content.md."
        ) from error


def _insist_on(wanted: set[str], found: Mapping[str, bytes], *, others_allowed: bool) -> None:
    for name in sorted(wanted - found.keys()):
        raise refused(name, "", "there is no such file; leave it empty where nothing of the kind is wanted")
    for name in () if others_allowed else sorted(found.keys() - wanted):
        raise refused(name, "", f"there is no such kind of content; choose from {', '.join(sorted(wanted))}")


def _parse(name: str, text: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError:
        raise refused(name, "", "not in UTF-8; save it so") from None
    except tomllib.TOMLDecodeError as error:
        raise refused(name, "", f"not TOML: {str(error).rstrip('.')}") from None


def _entries(name: str, text: bytes, kind: str, type_: Any) -> Any:
    document = _parse(name, text)
    for other in sorted(document.keys() - {kind}):
        raise refused(name, "", f"'{other}' cannot stand here; every entry begins with [[{kind}]]")
    return _convert(name, document.get(kind, []), type_)


def _convert(name: str, raw: Any, type_: Any) -> Any:
    try:
        return msgspec.convert(raw, type_)
    except msgspec.ValidationError as error:
        entry, problem = _in_words(str(error), raw)
        raise refused(name, entry, problem) from None


def _in_words(message: str, raw: Any) -> tuple[str, str]:
    """The innermost entry that msgspec's message is about, and what it says of it."""
    problem, _, path = message.partition(" - at `")
    entry, field = "", ""
    for step in _STEP.finditer(path.replace("key` in `", "")):
        raw = raw[step[1]] if step[1] else raw[int(step[2])]
        if step[2] is None:
            field = step[1]
        elif isinstance(raw, dict):
            key = raw.get("key")
            entry = f"'{key}'" if isinstance(key, str) else f"entry {int(step[2]) + 1}" + f" of {field}" * bool(field)
            field = ""
    if pattern := _PATTERN.search(problem):
        words = PATTERNS[ast.literal_eval(pattern[1])]
        problem = problem.replace(pattern[0], f" {words}")
    problem = problem[0].lower() + problem[1:]
    return entry, f"{field}: {problem}" if field else problem
