"""Who taps in the simulation: ordinary people, honest people whom a careless rule would take for bots, and bots."""

from dataclasses import replace
from random import Random

from tests.simulation.tappers import (
    BATCH_TAPS,
    FRAME_TAPS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    Day,
    Fingers,
    Network,
    Tapper,
)

FIBRE = Network(delay_ms=12.0, sigma=0.12, stall_every_s=600.0, stall_ms=120.0)
MOBILE = Network()
BAD = Network(delay_ms=120.0, sigma=0.6, stall_every_s=20.0, stall_ms=1_200.0)
DATA_CENTRE = Network(delay_ms=8.0, sigma=0.15, stall_every_s=3_600.0, stall_ms=100.0)


def ordinary_people(rng: Random, count: int) -> list[Tapper]:
    """Players as most are, each with habits of their own."""
    return [_person(rng, "ordinary") for _ in range(count)]


def _person(rng: Random, kind: str, **changes: object) -> Tapper:
    fingers = rng.choices((1, 2, 3, 4, 5), (55, 30, 8, 5, 2))[0]
    person = Tapper(
        kind,
        fingers=Fingers(
            fingers=fingers,
            tap_ms=min(420.0, max(110.0, 190.0 * rng.lognormvariate(0.0, 0.25))) * (1.0 + 0.15 * (fingers - 1)),
            sigma=rng.uniform(0.10, 0.35),
            drift=rng.uniform(0.03, 0.15),
            burst_taps=rng.uniform(30, 200),
            look_ms=rng.uniform(500, 2_500),
        ),
        day=Day(
            sessions=rng.uniform(2, 16),
            session_ms=rng.uniform(1.5, 10) * MINUTE_MS,
            wakes_ms=rng.gauss(7.5, 1.2) * HOUR_MS,
            sleeps_ms=rng.gauss(23.0, 1.0) * HOUR_MS,
            night_look=rng.choice((0.0, 0.05, 0.2)),
        ),
        network=rng.choices((FIBRE, MOBILE, BAD), (40, 50, 10))[0],
        batch_ms=rng.choice((500.0, 1_000.0)),
        cap_level=rng.choices(range(1, 21), [2.0 ** -(level / 3) for level in range(20)])[0],
        regen_level=rng.choices(range(1, 21), [2.0 ** -(level / 3) for level in range(20)])[0],
        give_up=rng.uniform(0.05, 0.8),
    )
    return replace(person, **changes)  # type: ignore[arg-type]  # by the names of its fields


def odd_people(rng: Random, count: int) -> list[Tapper]:
    """Honest players whom a careless rule would take for bots, so many of each kind."""
    small = {"cap_level": 2, "regen_level": 4}
    found = []
    for _ in range(count):
        found += [
            _person(rng, "a minute's queue sent at once", outages=True),
            _person(
                rng,
                "taps to a beat",
                fingers=Fingers(tap_ms=rng.uniform(150.0, 450.0), beat_sd_ms=rng.uniform(10.0, 25.0)),
                network=rng.choice((FIBRE, MOBILE)),
                cap_level=rng.randint(5, 20),
                regen_level=rng.randint(5, 20),
                day=Day(sessions=8, session_ms=12 * MINUTE_MS),
            ),
            _person(
                rng,
                "plays 14 hours",
                day=Day(sessions=50, session_ms=4 * MINUTE_MS, wakes_ms=8 * HOUR_MS, sleeps_ms=22 * HOUR_MS),
            ),
            _person(
                rng,
                "drums with ten fingers",
                fingers=Fingers(fingers=10, tap_ms=rng.uniform(300.0, 450.0), sigma=0.15, burst_taps=400),
                network=FIBRE,
                cap_level=rng.randint(5, 20),
            ),
            _person(
                rng,
                "gets up every three hours",
                day=Day(
                    sessions=14, session_ms=2 * MINUTE_MS, wakes_ms=0.5 * HOUR_MS, sleeps_ms=24 * HOUR_MS, night_look=0
                ),
            ),
            _person(rng, "watches the energy bar", refill_delay_ms=(rng.uniform(5, 60) * SECOND_MS, 1.0), **small),
            _person(rng, "taps on two devices", devices=2),
            _person(rng, "has a bad network", network=BAD),
        ]
    return found


def bots(rng: Random, count: int) -> list[Tapper]:
    """Bots of each kind that the rules of the game name, and some more."""
    found = []
    for _ in range(count):
        network = rng.choice((DATA_CENTRE, FIBRE))
        taps = rng.randint(5, 14)
        levels = {"cap_level": rng.randint(1, 20), "regen_level": rng.randint(1, 20)}
        found += [
            _person(
                rng,
                "script, fixed interval",
                network=network,
                script_ms=rng.uniform(400, 1_500),
                script_taps=(taps, taps),
                **levels,
            ),
            _person(
                rng,
                "script, fixed interval, any number of taps",
                network=DATA_CENTRE,
                script_ms=rng.uniform(800, 1_500),
                script_taps=(4, 14),
                **levels,
            ),
            _person(
                rng,
                "script, interval ± 20 ms",
                network=network,
                script_ms=rng.uniform(1_000, 1_200),
                script_jitter_ms=20,
                script_taps=(taps, taps),
                **levels,
            ),
            _person(
                rng,
                "auto-clicker on our client",
                network=FIBRE,
                click_ms=rng.uniform(70, 200),
                click_jitter_ms=rng.uniform(0, 5),
                **levels,
            ),
            _person(
                rng,
                "batches of our client's cap",
                network=network,
                script_ms=rng.uniform(3_000, 5_000),
                script_jitter_ms=500,
                script_taps=(BATCH_TAPS, BATCH_TAPS),
                **levels,
            ),
            _person(
                rng,
                "batches of the protocol's cap",
                network=network,
                script_ms=rng.uniform(1_000, 3_000),
                script_jitter_ms=300,
                script_taps=(FRAME_TAPS, FRAME_TAPS),
                **levels,
            ),
            _person(rng, "day and night, else like a person", always=True, give_up=0.0, **levels),
            _person(
                rng,
                "wakes within 2 s of refill",
                wake_within_ms=2_000,
                give_up=1.0,
                cap_level=rng.randint(1, 8),
                regen_level=rng.randint(1, 8),
            ),
        ]
    return found


def imitators(rng: Random, count: int) -> list[Tapper]:
    """Bots that take more trouble; of each kind so many."""
    found = []
    for _ in range(count):
        levels = {"cap_level": rng.randint(1, 20), "regen_level": rng.randint(1, 20)}
        found += [
            _person(
                rng,
                "auto-clicker on a telephone",
                network=MOBILE,
                click_ms=rng.uniform(70, 200),
                click_jitter_ms=rng.uniform(0, 5),
                **levels,
            ),
            _person(
                rng,
                "script, interval ± 30 ms",
                network=DATA_CENTRE,
                script_ms=rng.uniform(1_000, 1_200),
                script_jitter_ms=30,
                script_taps=(8, 8),
                **levels,
            ),
            _person(
                rng,
                "script, interval ± 15 %, any number of taps",
                network=DATA_CENTRE,
                script_ms=rng.uniform(1_000, 1_200),
                script_jitter_ms=160,
                script_taps=(5, 14),
                **levels,
            ),
        ]
    return found
