"""Which players of a lane have something to write, the longest waiting first."""

import itertools
import math
from typing import Protocol

from persistence.records import PlayerWrites


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

    __slots__ = ("_since_s", "_urgent")

    def __init__(self) -> None:
        self._since_s: dict[Flushable, float] = {}
        self._urgent: dict[Flushable, None] = {}

    def __len__(self) -> int:
        return len(self._since_s)

    def __contains__(self, flushable: Flushable) -> bool:
        return flushable in self._since_s

    @property
    def has_urgent(self) -> bool:
        """Whether somebody waits for one of them."""
        return bool(self._urgent)

    @property
    def oldest_s(self) -> float:
        """When the longest waiting became dirty, Trio's clock; infinity when empty."""
        return next(iter(self._since_s.values()), math.inf)

    def add(self, flushable: Flushable, now_s: float) -> None:
        """Put it at the end; the caller has seen that it is not in yet."""
        self._since_s[flushable] = now_s

    def hurry(self, flushable: Flushable) -> None:
        """Let it be among the next taken."""
        self._urgent[flushable] = None

    def take(self, limit: int) -> dict[Flushable, float]:
        """Remove up to `limit`, urgent ones first, and return them with the time they became dirty."""
        chosen = dict.fromkeys(itertools.islice(self._urgent, limit))
        if len(chosen) < limit:
            chosen |= dict.fromkeys(itertools.islice(self._since_s, limit))
        for flushable in chosen:
            self._urgent.pop(flushable, None)
        return {flushable: self._since_s.pop(flushable) for flushable in itertools.islice(chosen, limit)}
