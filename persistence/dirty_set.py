"""Which players of a lane have something to write, the longest waiting first."""

import itertools
import math
from typing import Protocol

import trio

from persistence.records import PlayerWrites

LOOK_EVERY = 32  #: players that share one look at the clock


class Flushable(Protocol):
    """What write-behind asks of an actor. All are called from its lane's task and must not raise."""

    @property
    def player_id(self) -> int:
        """The row it writes."""
        ...

    def take_writes(self) -> PlayerWrites | None:
        """Everything since the last call, to be committed whole; None when there is nothing."""
        ...

    def committed(self, writes: PlayerWrites) -> None:
        """These writes are durable."""
        ...

    def fenced(self) -> None:
        """Another claim has taken the player; nothing of these writes was or will be written."""
        ...

    def rejected(self, writes: PlayerWrites, error: Exception) -> None:
        """PostgreSQL refuses these writes for good; nothing of them was written."""
        ...


class DirtySet:
    """An ordered set of `Flushable`, by identity."""

    __slots__ = ("_looked_s", "_urgent", "hurried_s", "since_s")

    def __init__(self) -> None:
        self.since_s: dict[Flushable, float] = {}  #: as `add` has them, the longest waiting first
        self._urgent: dict[Flushable, None] = {}
        self._looked_s = math.inf
        self.hurried_s = math.inf  #: since when somebody waits for one of them, Trio's clock; infinity when nobody does

    def __len__(self) -> int:
        return len(self.since_s)

    def __contains__(self, flushable: Flushable) -> bool:
        return flushable in self.since_s

    @property
    def oldest_s(self) -> float:
        """When the longest waiting became dirty, Trio's clock; infinity when empty."""
        return next(iter(self.since_s.values()), math.inf)

    def add(self, flushable: Flushable) -> int:
        """Put it at the end, if it is not in yet; returns how many there are then, or 0 if it was.

        To look at the clock costs more than all the rest, so only the first and then every `LOOK_EVERY`-th does; the
        others are taken to have waited as long as the last of those. Nobody is ever said to wait shorter than he does.
        """
        since_s = self.since_s
        if flushable in since_s:
            return 0
        count = len(since_s)
        if count % LOOK_EVERY == 0:
            self._looked_s = trio.current_time()
        since_s[flushable] = self._looked_s
        return count + 1

    @property
    def has_urgent(self) -> bool:
        """Whether somebody waits for any of them."""
        return bool(self._urgent)

    def hurry(self, flushable: Flushable) -> None:
        """Let it, which is in the set, be among the next taken."""
        if not self._urgent:
            self.hurried_s = trio.current_time()
        self._urgent[flushable] = None

    def take(self, limit: int, *, only_urgent: bool = False) -> tuple[list[Flushable], float]:
        """Remove up to `limit`: those that somebody waits for first, then the others, unless `only_urgent`.

        Returns:
            They, and when the longest waiting of them became dirty; infinity where there is none.
        """
        since_s = self.since_s
        taken = list(itertools.islice(self._urgent, limit))
        oldest_s = min([since_s[flushable] for flushable in taken], default=math.inf)
        for flushable in taken:
            del self._urgent[flushable], since_s[flushable]
        if not self._urgent:
            self.hurried_s = math.inf
        if not only_urgent and len(taken) < limit:
            oldest_s = min(oldest_s, self.oldest_s)
            others = list(itertools.islice(since_s, limit - len(taken)))
            for flushable in others:
                del since_s[flushable]
            taken += others
        return taken, oldest_s
