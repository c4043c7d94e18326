"""A seeded game's past, day by day; and everybody's row, as the past leaves it.

A day begins with what was due at night (competitions over, invitations come to life, commission). Then everybody who
comes that day plays once; most come a few times and never again, a few come daily. The same plan and the same content
give the same rows: there is one generator, and everything draws from it in one order.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from random import Random

from hotpath.rules import BUCKET_BURST_MT, MPT_PER_PT, UE_PER_ENERGY, emission_bp, energy_cap
from persistence.seed.players.calendar import DAY_S, Calendar
from persistence.seed.players.communities import Communities
from persistence.seed.players.competitions import Competitions
from persistence.seed.players.content import Content
from persistence.seed.players.invitations import Invitations
from persistence.seed.players.ledger import Grant, Ledger
from persistence.seed.players.play import Play
from persistence.seed.players.population import FAKE_TELEGRAM_IDS, Population, uuid_text
from persistence.seed.players.sheets import NULL, Sheets
from persistence.seed.players.stage import Progress, Stage

Report = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and how much there is (0: nobody knows yet)."""

_COME_BACK = 0.45  #: of those who do not come the next day come later
_PAUSE_DAYS = 3.0
_OPEN_GRANTS = 0.01  #: of the players have one waiting
_VISITS_A_STEP = 4_000
_ENERGY_KIND = "full_energy"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made."""

    players: int
    seed: int
    days: int
    until: date  #: the last day (UTC)


@dataclass(frozen=True, slots=True)
class EconomyHour:
    """What `economy_state` says of an hour."""

    at_s: int
    minted_mpt: int
    burned_mpt: int
    emission_bp: int


class History:
    """Everything that the players of a plan have done.

    Args:
        plan: how many, since when, from which seed.
        content: what the game offers.
        emission_scale_pt: tokens after which emission has halved.
    """

    def __init__(self, plan: Plan, content: Content, emission_scale_pt: int) -> None:
        calendar, rng = Calendar(plan.until, plan.days), Random(plan.seed)  # noqa: S311 - a game's past
        self.calendar = calendar
        self.sheets = Sheets()
        self.hours: list[EconomyHour] = []
        self.days_lived = 0
        people = Population(plan.players, calendar, content, rng)
        ledger = Ledger(people, calendar, self.sheets, rng)
        stage = Stage(rng, calendar, content, people, self.sheets, ledger, Progress(plan.players))
        self._stage = stage
        self._scale_pt = emission_scale_pt
        self._competitions = Competitions(stage)
        self._invitations = Invitations(stage)
        self._communities = Communities(stage)
        self._play = Play(stage, self._invitations, self._communities, self._competitions)
        self._coming: list[list[int]] = [[] for _ in range(calendar.days)]
        for player in range(1, people.count + 1):
            self._coming[people.joined_on(player)].append(player)

    @property
    def competitions_over(self) -> list[tuple[int, int, int]]:
        """Number, and frozen and settled at which second."""
        return self._competitions.states

    def steps(self) -> Iterator[None]:
        """Make it, step by step; after each the sheets' full blocks can be taken. In the end all are full."""
        for day in range(self.calendar.days):
            yield from self._live(day)
            self.days_lived += 1
        self._play.close()
        yield
        self._invitations.close()
        self._competitions.close()
        self._communities.close()
        _grant_energy(self._stage)
        self._stage.ledger.close()
        yield
        for player in range(1, self._stage.people.count + 1):
            _write_player(self._stage, player)
            if player % _VISITS_A_STEP == 0:
                yield
        self.sheets.close()
        yield

    def _live(self, day: int) -> Iterator[None]:
        """A whole day of everybody."""
        ledger = self._stage.ledger
        minted_mpt, burned_mpt = ledger.minted_mpt, ledger.burned_mpt
        emission = self._emission_bp(minted_mpt)
        called = set(self._competitions.morning(day)) | set(self._invitations.morning(day))
        tapping = self._coming[day]
        called.difference_update(tapping)
        for number, player in enumerate(sorted([*tapping, *called]), start=1):
            if player in called:
                self._play.collect(player, day)
            else:
                self._play.visit(player, day, emission, self._come_again(player, day))
            if number % _VISITS_A_STEP == 0:
                yield
        self._coming[day] = []
        self._communities.evening(day)
        for hour in range(24):
            minted = minted_mpt + (ledger.minted_mpt - minted_mpt) * hour // 24
            burned = burned_mpt + (ledger.burned_mpt - burned_mpt) * hour // 24
            self.hours.append(EconomyHour(day * DAY_S + hour * 3600, minted, burned, self._emission_bp(minted)))

    def _come_again(self, player: int, day: int) -> int | None:
        """When a player comes next; None: never."""
        rng, keen = self._stage.rng, self._stage.people.keenness[player]
        draw = rng.random()
        if draw < keen:
            day += 1
        elif draw < keen + (1 - keen) * _COME_BACK:
            day += 2 + int(math.log(1 - rng.random()) * -_PAUSE_DAYS)
        else:
            return None
        if day < len(self._coming):
            self._coming[day].append(player)
        return day

    def _emission_bp(self, minted_mpt: int) -> int:
        return emission_bp(minted_mpt // MPT_PER_PT, self._scale_pt)


def _grant_energy(stage: Stage) -> None:
    """A few are owed something by the server that serves them next."""
    made_s = stage.calendar.end_s - 60
    for player in range(1, stage.people.count + 1):
        if stage.rng.random() < _OPEN_GRANTS:
            stage.ledger.owe(player, Grant(_ENERGY_KIND, f"seed_energy:{player}", 0, "mint", made_s))


def _write_player(stage: Stage, player: int) -> None:
    people, ledger, progress, stamp = stage.people, stage.ledger, stage.progress, stage.calendar.stamp
    dev_name, name = people.dev_name(player), people.name()
    telegram_id = NULL if dev_name else FAKE_TELEGRAM_IDS + player
    seen_s, tapped_s = progress.last_seen_s[player], progress.last_tap_s[player]
    seen, cap_level = stamp(seen_s), progress.energy_cap_level[player]
    raw_day, raw_mpt = (
        ("epoch", 0) if tapped_s < 0 else (stage.calendar.texts[tapped_s // DAY_S], progress.raw_mpt[player])
    )
    stage.sheets["players"].add(
        f"{player}\t{uuid_text(stage.rng)}\t{telegram_id}\t{dev_name or NULL}\t{name}"
        f"\t{'ft'[people.premium[player]]}\t{player}\t{people.generation[player]}\t{stamp(people.joined_s[player])}\t{seen}"
        f"\t{ledger.balance_mpt[player]}\t{ledger.unposted_mpt[player]}\t{ledger.lifetime_mpt[player]}"
        f"\t{progress.xp[player]}\t{progress.taps[player]}\t{progress.tap_level[player]}\t{cap_level}"
        f"\t{progress.energy_regen_level[player]}\t{progress.offline_level[player]}"
        f"\t{energy_cap(cap_level) * UE_PER_ENERGY}\t{seen}\t{BUCKET_BURST_MT}\t{seen}"
        f"\t{NULL if tapped_s < 0 else stamp(tapped_s)}\t{progress.carry[player]}\t{raw_day}\t{raw_mpt}"
        f"\t{progress.streak_days[player]}\t{seen}\t{people.referral_code()}"
    )
