"""What everything in a seeded history works on: who there is, what they have, what was written down."""

from array import array
from dataclasses import dataclass, field
from random import Random

from hotpath.rules import level_of
from persistence.seed.players.calendar import Calendar
from persistence.seed.players.content import Content
from persistence.seed.players.ledger import Ledger
from persistence.seed.players.population import Population
from persistence.seed.players.sheets import Sheets


class Progress:
    """What players have reached, by player; tokens are the ledger's.

    Args:
        count: how many players.
    """

    def __init__(self, count: int) -> None:
        zeros, ones = bytes(8 * (count + 1)), b"\x01" * (count + 1)
        self.xp = array("q", zeros)
        self.taps = array("q", zeros)
        self.tap_level = bytearray(ones)
        self.energy_cap_level = bytearray(ones)
        self.energy_regen_level = bytearray(ones)
        self.offline_level = bytearray(count + 1)
        self.carry = array("q", zeros)
        self.raw_mpt = array("q", zeros)  #: of the day of the last tap
        self.last_seen_s = array("q", zeros)
        self.last_tap_s = array("q", b"\xff" * len(zeros))  #: −1: never
        self.streak_days = array("q", zeros)
        self.habit_day = array("q", b"\xff" * len(zeros))  #: −1: never
        self.missions = array("q", zeros)  #: claimed
        self.wins = array("q", zeros)


@dataclass(frozen=True)
class Stage:
    """Everything that the parts of a history share."""

    rng: Random
    calendar: Calendar
    content: Content
    people: Population
    sheets: Sheets
    ledger: Ledger
    progress: Progress
    characters: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)  #: (player, whom) → bond, day

    def level(self, player: int) -> int:
        """A player's present level."""
        return level_of(self.progress.xp[player])

    def badge(self, player: int, badge_id: int, at_s: int) -> None:
        """Decorate a player."""
        self.sheets["player_badges"].add(f"{player}\t{badge_id}\t{self.calendar.stamp(at_s)}")

    def bond(self, player: int, character: str, change: int, day: int) -> None:
        """Change a player's bond with a character of the story."""
        bond, _ = self.characters.get((player, character), (0, 0))
        self.characters[player, character] = (max(0, min(10_000, bond + change)), day)
