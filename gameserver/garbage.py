"""Python's cyclic collector, kept from looking again and again at what lives long.

A full collection visits every container object there is: with 10 000 players connected some 300 000, 0.15 s in which
nobody's tap is answered. It finds nothing: sessions and players are made without reference cycles, so counting
references frees them. What does leave cycles (exceptions, tasks, libraries) is mostly gone within a moment.

So what has lived for `BEAT_S` is *settled*: the young are collected, then whatever is left is frozen, which takes it
out of every later collection at no cost. A collection, whenever it comes, visits what is younger than a beat.

What is frozen and then dies as a cycle would stay for ever. So once the frozen have grown by `GROWTH_OBJECTS`, they are
thawed and looked at, all of them: one pause for so much growth, and none on a server that neither grows nor leaks.
Alternatives: Python's thresholds alone put the pause off but do not shorten it; one freeze after the start spares the
modules but not the players; no collector at all is a leak with every library that leaves cycles behind.
`python -m tests.bench.gc_cost` compares them.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import trio

BEAT_S = 0.25  #: 500 connections that come in during a beat cost it 1 ms
GROWTH_OBJECTS = 600_000  #: 27 000 players' worth, so 10 000 may come twice in a row; as garbage, some 100 MB


@dataclass(frozen=True, slots=True)
class GarbageStatistics:
    """What the collector was spared."""

    settled_objects: int  #: frozen when they were last counted
    full_looks_total: int  #: collections that visited everything since the start


class Garbage:
    """Settles what lives long.

    Args:
        observe_pause_s: told (generation, seconds) after each collection, from inside the collector: it may have
            interrupted anything, so it must take no lock.
        growth_objects: when the frozen are looked at again.
    """

    def __init__(self, observe_pause_s: Callable[[int, float], None], *, growth_objects: int = GROWTH_OBJECTS) -> None:
        self._observe_pause_s = observe_pause_s
        self._growth_objects = growth_objects
        self._began_s = 0.0
        self._arrived = 0  # since they were last counted
        self._looked_at = 0  # how many were frozen after the last full look
        self._counted = 0
        self._full_looks = 0

    def statistics(self) -> GarbageStatistics:
        """How much is settled, and how often everything was looked at."""
        return GarbageStatistics(settled_objects=self._counted, full_looks_total=self._full_looks)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Settle everything now, then each beat what has come since, until cancelled.

        Args:
            task_status: started once all that the start has left behind is settled.
        """
        gc.callbacks.append(self._on_collection)
        try:
            self.look_at_everything()
            task_status.started()
            while True:
                await trio.sleep(BEAT_S)
                self.settle()
        finally:
            gc.callbacks.remove(self._on_collection)
            gc.unfreeze()

    def settle(self) -> None:
        """Take what has lived until now out of later collections."""
        gc.collect()
        self._arrived += len(gc.get_objects())  # the frozen are not among them
        gc.freeze()
        if self._arrived >= self._growth_objects:
            self._arrived = 0
            self._counted = gc.get_freeze_count()  # walks through them all: 40 ms for 340 000
            if self._counted >= self._looked_at + self._growth_objects:
                self.look_at_everything()
            self._looked_at = min(self._looked_at, self._counted)

    def look_at_everything(self) -> None:
        """One full collection; then all is settled."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._looked_at = self._counted = gc.get_freeze_count()
        self._full_looks += 1

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = time.perf_counter()
        else:
            self._observe_pause_s(info["generation"], time.perf_counter() - self._began_s)
