"""How many people the signals of suspicion accuse, and how many bots they find: `python -m tests.simulation.rates`.

Each tapper of a crowd plays for some days. Its batches go through the counters of the tap path and a real player's
bucket and energy; they are looked at as the player's actor does, once a minute and when it leaves, and are kept and
loaded again between two sessions. Everything is drawn from one seed.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from gameserver.actors.suspicion import Suspicion
from gameserver.actors.tally import SuspicionTally
from hotpath.player_state import World
from hotpath.rules import BUCKET_BURST_MT
from persistence.records import KeptSignals, LoadedPlayer
from tests.fakes.player_database import PlayerDatabase
from tests.simulation.crowds import bots, imitators, odd_people, ordinary_people
from tests.simulation.tappers import START_MS, Tapper

SEED = 20_260_101
DAYS = 3


@dataclass
class Rate:
    """Of one kind of tapper."""

    kind: str
    tappers: int = 0
    over: int = 0  #: of them, over the threshold at least once
    top_score: int = 0  #: the highest of all when they left
    signs: dict[str, int] = field(default_factory=dict)  #: the highest points of each sign when they left

    def __str__(self) -> str:
        signs = ", ".join(f"{sign} {points}" for sign, points in sorted(self.signs.items()))
        return f"| {self.kind} | {self.tappers} | {self.over} | {self.top_score} | {signs} |"


def play(tapper: Tapper, loaded: LoadedPlayer, rng: Random, days: int) -> tuple[bool, list[KeptSignals]]:
    """Whether a tapper was over the threshold at any time, and what was kept after each session."""
    state, world, tally = tapper.state(), World(), SuspicionTally()
    kept: list[KeptSignals] = []
    for session in tapper.batches(rng, days):
        now_ms = session[0][0]
        columns = replace(loaded.columns, last_tap_at_ms=state.last_tap_at_ms)
        activation = replace(loaded, columns=columns, signals=kept[-1] if kept else None)
        suspicion = Suspicion(activation, tally, now_ms)
        state.reopen_bucket(now_ms)
        for at_ms, taps in session:
            suspicion.signals.note(taps, at_ms, state)
            suspicion.signals.refuse(taps - state.apply_taps(taps, at_ms, world))
            now_ms = at_ms
            if suspicion.is_due(at_ms):
                suspicion.look(at_ms, leaving=False)
        kept += [effect for effect in suspicion.look(now_ms, leaving=True) if isinstance(effect, KeptSignals)]
    return tally.crossed_total > 0, kept


def measure(crowd: Iterable[Tapper], *, seed: int = SEED, days: int = DAYS) -> list[Rate]:
    """The rates of a crowd, by kind."""
    database = PlayerDatabase()
    loaded = database.load(database.add(bucket_mt=BUCKET_BURST_MT, energy_at_ms=START_MS))
    rates: dict[str, Rate] = {}
    for number, tapper in enumerate(crowd):
        rate = rates.setdefault(tapper.kind, Rate(tapper.kind))
        over, kept = play(tapper, loaded, Random(f"{seed}:{number}"), days)
        rate.tappers += 1
        rate.over += over
        for signals in kept:
            rate.top_score = max(rate.top_score, signals.score)
            for sign, points in signals.signs.items():
                rate.signs[sign] = max(points, rate.signs.get(sign, 0))
    return list(rates.values())


def crowds(people: int, of_each: int, *, seed: int = SEED) -> dict[str, list[Tapper]]:
    """Everybody, by what they are.

    Args:
        people: ordinary ones.
        of_each: of each kind of the others.
        seed: of who they are.
    """
    rng = Random(seed)
    return {
        "ordinary people": ordinary_people(rng, people),
        "odd people": odd_people(rng, of_each),
        "bots": bots(rng, of_each),
        "imitators": imitators(rng, of_each),
    }


def share_over(rates: Sequence[Rate]) -> str:
    """`3 of 40`."""
    return f"{sum(rate.over for rate in rates)} of {sum(rate.tappers for rate in rates)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: a table as docs/security.md has it."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.rates", description=__doc__)
    parser.add_argument("--people", type=int, default=100, help="ordinary ones (100)")
    parser.add_argument("--of-each", type=int, default=5, help="of each kind of the others (5)")
    parser.add_argument("--days", type=int, default=DAYS, help=f"that they play ({DAYS})")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    for name, crowd in crowds(options.people, options.of_each, seed=options.seed).items():
        rates = measure(crowd, seed=options.seed, days=options.days)
        sys.stdout.write(f"{name}: {share_over(rates)} over the threshold\n")
        sys.stdout.write("".join(f"{rate}\n" for rate in rates))
    return 0


if __name__ == "__main__":
    sys.exit(main())
