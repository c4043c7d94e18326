"""Which faults come when: drawn from the seed before the run begins, so that a seed is a schedule.

What a fault meets depends on the machine; when it comes, whom it hits and how hard does not.
"""

import enum
import random
from collections.abc import Mapping
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What can go wrong."""

    KILL_SERVER = "kill -9 of a server"
    KILL_TOGETHER = "kill -9 of a server and clients of it at once"
    KILL_POSTGRES = "kill -9 of PostgreSQL"
    CUT_DATABASE = "connections to the database cut"
    CUT_AT_COMMIT = "connection cut while a commit is on its way"
    STALL_DATABASE = "connections to the database stalled"
    SLOW_DATABASE = "connections to the database slow"
    HALF_CLOSE_DATABASE = "connections to the database half closed"
    FREEZE_SERVER = "SIGSTOP of a server, past its lease, and SIGCONT"
    FREEZE_AT_FLUSH = "the same, while a flush is on its way"
    FIGHT = "lease checks off: two servers fight for the same players"
    CLOCK_JUMP = "jump of a server's clock"
    DISK_FULL = "disk of the database full"
    CUT_CLIENTS = "client sockets cut in the middle of a frame"
    SLOW_READERS = "clients that read nothing for a while"
    TAKEOVERS = "clients that go on on another socket"
    REPEATS = "clients that send again what was answered"
    MOVES = "clients that go to another node"
    DEATHS = "clients that die with their queue"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a schedule."""

    at_s: float  #: from the beginning of the run
    kind: Kind
    node: int  #: whom it hits, where it hits a server
    share: float  #: which part of the clients it hits, 0 … 1
    lasts_s: float
    flip: bool  #: which of two ways: before or after the COMMIT, at COMMIT or at the flush's one statement
    draw: int  #: seeds whatever else is drawn when it happens


#: Mean seconds between two faults of a kind, in the full mixture.
MIXTURE: Mapping[Kind, float] = {
    Kind.KILL_SERVER: 2.6,
    Kind.KILL_TOGETHER: 30.0,
    Kind.KILL_POSTGRES: 10.0,
    Kind.CUT_DATABASE: 9.0,
    Kind.CUT_AT_COMMIT: 2.0,
    Kind.STALL_DATABASE: 20.0,
    Kind.SLOW_DATABASE: 20.0,
    Kind.HALF_CLOSE_DATABASE: 20.0,
    Kind.FREEZE_SERVER: 25.0,
    Kind.FREEZE_AT_FLUSH: 25.0,
    Kind.FIGHT: 40.0,
    Kind.CLOCK_JUMP: 10.0,
    Kind.DISK_FULL: 60.0,
    Kind.CUT_CLIENTS: 3.0,
    Kind.SLOW_READERS: 5.0,
    Kind.TAKEOVERS: 3.0,
    Kind.REPEATS: 2.0,
    Kind.MOVES: 4.0,
    Kind.DEATHS: 6.0,
}
LASTING_S = 4.0  #: at least: that long takes the lease to end, and clients to be taken in by another node
LASTING = frozenset({Kind.FREEZE_SERVER, Kind.FREEZE_AT_FLUSH, Kind.FIGHT})
ALWAYS = 0.0  #: instead of mean seconds: one from the beginning to the end


def schedule(
    seed: int, seconds: float, nodes: int, mixture: Mapping[Kind, float] = MIXTURE, *, first_s: float = 0.5
) -> list[Fault]:
    """All faults of a run, in the order in which they come.

    Args:
        seed: the run's.
        seconds: how long it lasts.
        nodes: how many servers there are.
        mixture: mean seconds between two faults, by kind, or `ALWAYS`.
        first_s: nothing comes before that.
    """
    faults = []
    for kind, mean_s in mixture.items():
        rng = random.Random(f"{seed} {kind.name}")  # a kind of its own: another mixture moves no other kind's faults
        if mean_s == ALWAYS:
            faults.append(Fault(first_s, kind, node=0, share=1.0, lasts_s=seconds - first_s, flip=False, draw=0))
            continue
        at_s = first_s + rng.uniform(0, mean_s)  # the first within one mean, or a short run would miss the rare ones
        while at_s < seconds:
            faults.append(
                Fault(
                    at_s=at_s,
                    kind=kind,
                    node=rng.randrange(nodes),
                    share=rng.uniform(0.05, 0.5),
                    lasts_s=rng.uniform(LASTING_S, 2 * LASTING_S) if kind in LASTING else rng.uniform(0.2, 2.0),
                    flip=rng.random() < 0.5,
                    draw=rng.getrandbits(32),
                )
            )
            at_s += rng.expovariate(1 / mean_s)
    return sorted(faults, key=lambda fault: fault.at_s)
