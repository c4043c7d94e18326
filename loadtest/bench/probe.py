"""Somebody who asks one thing again and again while a swarm runs, from the generator's core and not from behind it.

The answer would wait there until the swarm leaves the core, and the figure would be the client's own. So the one who
asks runs before everybody else (SCHED_FIFO), where that is permitted; what it waited for its core all the same is kept
beside each figure, as the kernel counts it.
"""

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

EVERY_S: Final = 0.02
FAILED_MS: Final = 5_000.0  #: what fails counts as the longest wait
SCHEDSTAT: Final = Path("/proc/self/schedstat")  #: ns on a core, ns waiting for one, turns


@dataclass(frozen=True, slots=True)
class Question:
    """One that was asked."""

    at_s: float  #: on `perf_counter`
    waited_ms: float  #: `core_wait_ms` then

    @classmethod
    def now(cls) -> Self:
        """One that is asked now."""
        return cls(time.perf_counter(), core_wait_ms())


class Probe(ABC):
    """Asks, and remembers how long it took; what it asks is for its heirs to say."""

    def __init__(self) -> None:
        #: of each: `at_s` on `perf_counter`, `took_ms`, and `waited_ms` of it for our own core
        self.asked: list[dict[str, float]] = []

    @abstractmethod
    def ask(self) -> None:
        """Ask once; returns about `EVERY_S` later, or when the answer is there."""

    @abstractmethod
    def finish(self) -> None:
        """Nothing more is asked; every question has its figure then."""

    def answered(self, question: Question) -> None:
        """The answer is here."""
        self._note(question, (time.perf_counter() - question.at_s) * 1000)

    def failed(self, question: Question) -> None:
        """There will be no answer."""
        self._note(question, FAILED_MS)

    def _note(self, question: Question, took_ms: float) -> None:
        waited_ms = min(core_wait_ms() - question.waited_ms, took_ms)
        self.asked.append({"at_s": question.at_s, "took_ms": took_ms, "waited_ms": waited_ms})


def core_wait_ms() -> float:
    """How long this process has been ready to run while others did; 0 where the kernel does not count it."""
    try:
        return int(SCHEDSTAT.read_text(encoding="ascii").split()[1]) / 1e6
    except (OSError, IndexError):
        return 0.0


@contextlib.contextmanager
def first_in_line() -> Iterator[bool]:
    """Run before everybody else on the core, without what is started meanwhile; yields whether it is permitted."""
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, policy, priority)
