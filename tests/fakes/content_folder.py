"""A small folder of content files, which tests change and break."""

from pathlib import Path

from persistence.seed.content_checks import read_content
from persistence.seed.content_files import Content

BADGES, TITLES, ACHIEVEMENTS, MISSIONS = "badges.toml", "titles.toml", "achievements.toml", "missions.toml"
HABITS, MINI_GAMES, UPGRADES = "habits.toml", "mini_games.toml", "community_upgrades.toml"
CHARACTERS, FIRST, SECOND = "story/characters.toml", "story/01_first.toml", "story/02_second.toml"


def _entry(kind: str, id_: int, key: str, fields: str) -> str:
    return f'[[{kind}]]\nid = {id_}\nkey = "{key}"\nname = "A name"\ndescription = "What it is."\n{fields}\n'


def mission(id_: int, key: str, fields: str) -> str:
    """A template that counts something, with {target} in its description."""
    return _entry("missions", id_, key, fields).replace("What it is.", "Do {target}.")


def choice(id_: int, key: str, to: str, fields: str = "") -> str:
    return f'[[scenes.choices]]\nid = {id_}\nkey = "{key}"\nto = "{to}"\nlabel = "Go."\n{fields}\n'


def scene(id_: int, key: str, *choices: str, ending: bool = False) -> str:
    head = f'[[scenes]]\nid = {id_}\nkey = "{key}"\ntitle = "A scene"\nbody = "It is late."\n'
    return head + "ending = true\n" * ending + "".join(choices)


def chapter(id_: int, key: str, first_scene: str, *scenes: str, fields: str = "") -> str:
    head = (
        f'id = {id_}\nkey = "{key}"\nposition = {id_}\ntitle = "A chapter"\nsummary = "Things happen."\nmin_level = 1\n'
    )
    return f'{head}first_scene = "{first_scene}"\nreward_pt = 5\nreward_xp = 1\n{fields}\n' + "".join(scenes)


COUNTED = 'period = "{}"\nmetric = "taps"\nbase_target = 100\nweight = 1'

FILES = {
    BADGES: _entry("badges", 1, "founder", 'source = "generation"')
    + _entry("badges", 2, "brave", 'source = "achievement"')
    + _entry("badges", 3, "first", 'source = "story"'),
    TITLES: _entry("titles", 1, "bought", "price_pt = 50") + _entry("titles", 2, "earned", "min_level = 2"),
    ACHIEVEMENTS: _entry(
        "achievements",
        1,
        "taps_one",
        'metric = "taps"\ntier = 1\ntarget = 1_000\nreward_pt = 100\nreward_xp = 50\nbadge = "brave"',
    )
    + _entry(
        "achievements",
        2,
        "taps_two",
        'metric = "taps"\ntier = 2\ntarget = 10_000\nreward_pt = 300\nreward_xp = 100\ntitle = "earned"',
    ),
    MISSIONS: "".join(mission(number, f"day_{number}", COUNTED.format("day")) for number in range(1, 5))
    + "".join(mission(number, f"week_{number}", COUNTED.format("week")) for number in range(5, 8)),
    HABITS: _entry("habits", 1, "greet", 'evidence = "self_report"')
    + _entry("habits", 2, "tap_some", 'evidence = "taps"\ntarget = 100'),
    MINI_GAMES: _entry(
        "mini_games", 1, "run", "time_limit_s = 60\nmax_score_per_s = 3\nscore_cap = 100\nreward_pt = 10"
    ),
    UPGRADES: _entry(
        "community_upgrades", 1, "kettle", "base_price_pt = 1_000\nbonus_bp_per_level = 100\nmax_level = 3"
    ),
    CHARACTERS: '[[characters]]\nkey = "mara"\nname = "Mara"\ndescription = "A nurse."\n',
    FIRST: chapter(
        1,
        "first",
        "start",
        scene(1, "start", choice(1, "go_left", "left", "bonds = { mara = 5 }"), choice(2, "go_right", "right")),
        scene(2, "left", choice(3, "climb", "top"), choice(4, "wait", "right")),
        scene(3, "right", choice(5, "descend", "bottom"), choice(6, "turn", "top", 'requires = "go_right"')),
        scene(4, "top", ending=True),
        scene(5, "bottom", ending=True),
    ),
    SECOND: chapter(
        2,
        "second",
        "dawn",
        scene(6, "dawn", choice(7, "rise", "noon"), choice(8, "recall", "noon", 'requires = "climb"')),
        scene(7, "noon", ending=True),
        fields='after = "first"',
    ),
}


class ContentFolder:
    """The files of `FILES` in a folder.

    Args:
        folder: a new one.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder
        (folder / "story").mkdir(parents=True)
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        """Change the first `old`, which must be there."""
        text = (self.path / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new, 1))

    def read(self) -> Content:
        return read_content(self.path)
