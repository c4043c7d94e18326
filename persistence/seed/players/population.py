"""Who there is: names, when they joined, who invited them, how keen they are."""

import math
from array import array
from bisect import bisect_left
from random import Random

from persistence.seed.players.calendar import DAY_S, LATEST_S, Calendar
from persistence.seed.players.content import Content

#: Telegram's ids have at most 52 significant bits, and theirs are far below this: nobody real has one.
FAKE_TELEGRAM_IDS = 4_000_000_000_000_000
LOAD_TEST_PLAYERS = 1_000  #: at most so many carry the names of load-test players, by which they can log in in dev
GROWTH = 1.5  #: as many join on the last day as e to the power of this on the first
_INVITED = 0.4
_PREMIUM = 0.08
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FIRST_NAMES = (
    "Ada", "Amir", "Anouk", "Asha", "Bela", "Bruno", "Cara", "Chidi", "Dana", "Diego", "Edda", "Emre", "Fatou",
    "Femke", "Gita", "Goran", "Hana", "Hugo", "Ines", "Ivo", "Jana", "Jonas", "Kaya", "Kofi", "Lena", "Luca", "Maja",
    "Milan", "Nadia", "Noor", "Olga", "Omar", "Petra", "Pavel", "Rana", "Rosa", "Sami", "Sofia", "Tariq", "Tilda",
    "Uma", "Viktor", "Wanda", "Yara", "Yusuf", "Zoe",
)  # fmt: skip
_LAST_NAMES = (
    "Abara", "Brandt", "Castel", "Dorn", "Eriksen", "Farkas", "Garner", "Haddad", "Ivanov", "Jansen", "Kaplan",
    "Lind", "Moreau", "Nkosi", "Okafor", "Pereira", "Quist", "Rahman", "Silva", "Tanaka", "Ueda", "Varga", "Weber",
    "Xander", "Yilmaz", "Zeman",
)  # fmt: skip


def uuid_text(rng: Random) -> str:
    """A version 4 UUID from this generator."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class Population:
    """All players, by id: 1 … `count`; in the order in which they joined.

    Args:
        count: how many.
        calendar: the days on which they join.
        content: of which the thresholds of the generations count.
        rng: draws everything.
    """

    def __init__(self, count: int, calendar: Calendar, content: Content, rng: Random) -> None:
        self.count = count
        self.joined_s = array("q", [0])
        self.generation = array("b", [0])
        self.inviter = array("q", [0])  #: 0: came by themselves
        self.premium = bytearray(1)
        self.keenness = array("d", [0.0])  #: how likely one comes back the day after
        self.pace = array("d", [0.0])  #: taps on a usual day
        self._rng = rng
        inviters: list[int] = []  # everyone who invited, once for each invited: so many are invited by few
        grown = math.expm1(GROWTH)
        for player in range(1, count + 1):
            day, part = divmod(math.log1p((player - 0.5) / count * grown) / GROWTH * calendar.days, 1)
            self.joined_s.append(int(day) * DAY_S + int(part * LATEST_S))
            self.generation.append(bisect_left(content.thresholds, player) + 1)
            inviter = 0
            if player > 1 and rng.random() < _INVITED:
                inviter = rng.choice(inviters) if inviters and rng.random() < 0.6 else rng.randrange(1, player)
                inviters.append(inviter)
            self.inviter.append(inviter)
            self.premium.append(rng.random() < _PREMIUM)
            self.keenness.append(0.05 + 0.92 * rng.random() ** 2)
            self.pace.append(rng.lognormvariate(4.4, 1.2))
        self._every = max(1, count // LOAD_TEST_PLAYERS)

    def joined_on(self, player: int) -> int:
        """The day on which a player joined."""
        return self.joined_s[player] // DAY_S

    def dev_name(self, player: int) -> str | None:
        """What a player can log in with in dev, `load-000001` …; None for those of Telegram."""
        number, rest = divmod(player - 1, self._every)
        return f"load-{number + 1:06}" if not rest and number < LOAD_TEST_PLAYERS else None

    def name(self) -> str:
        """A name to be shown."""
        return f"{self._rng.choice(_FIRST_NAMES)} {self._rng.choice(_LAST_NAMES)}"

    def referral_code(self) -> str:
        """A code to invite others with."""
        bits = self._rng.getrandbits(60)
        return "".join(_BASE62[(bits >> shift) % 62] for shift in range(0, 60, 6))
