"""When whoever is sent away is to come back: `reconnect_after_ms` of every GOODBYE.

Clients come back when they are told, and little later (full jitter of half a second the first time), so it is here that
they are spread out. Each gets the next free moment of a timetable with as many moments a second as sockets are welcome:
no more than the budget, no more than can be loaded. It begins when those who wait to be loaded now will be. So of a
thousand who are turned away together the last is told the longest time, and a node that is slow tells longer times than
one that is not. Who would get a moment later than `FURTHEST_MS` from now gets one in a further round through the second
half of that time: better a crowd that is turned away once more than one that has gone to bed.

Which codes send clients back here, and how long at least: `EARLIEST_MS`. After 4001 they go to another node, after 4500
and above nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from gameserver.clock import Clock
from gameserver.wire.ops import CloseCode

DEFAULT_PER_S = 2_000  #: where the settings name no limit on handshakes
FURTHEST_MS = 30_000

#: Not before that, even where nobody else is sent away.
EARLIEST_MS: Final[Mapping[CloseCode, int]] = MappingProxyType(
    {
        CloseCode.DRAIN: 1_000,  # before that nobody listens again
        CloseCode.SLOW_READER: 1_000,
        CloseCode.OVERLOADED: 1_000,
        CloseCode.RESYNC: 100,
        CloseCode.TOKEN_EXPIRED: 0,
        CloseCode.RATE_LIMITED: 1_000,
    }
)


class Loads(Protocol):
    """How players are loaded."""

    @property
    def waiting(self) -> int:
        """Who is not loaded yet."""
        ...

    @property
    def per_s(self) -> float:
        """How many can be loaded a second."""
        ...


@dataclass(frozen=True, slots=True)
class ReturnStatistics:
    """Who has been told when to come back."""

    told_total: int
    per_s: float  #: so many are told to come in a second now
    ahead_ms: float  #: so far the timetable is given away


class Returns:
    """The timetable of a node.

    Args:
        clock: its monotonic time is the timetable's.
        loads: how players are loaded.
        budget_per_s: so many may come back a second, at most.
    """

    def __init__(self, clock: Clock, loads: Loads, budget_per_s: int) -> None:
        self._clock = clock
        self._loads = loads
        self._budget_per_s = budget_per_s
        self._next_ms = 0.0  #: the first moment that is free
        self._told = 0

    def after_ms(self, code: CloseCode, at_least_ms: int = 0) -> int:
        """How long somebody who is sent away with `code` now is to stay away; his moment is taken then.

        Args:
            code: why he is.
            at_least_ms: how long, were he the only one.
        """
        earliest_ms = EARLIEST_MS.get(code)
        if earliest_ms is None:
            return 0
        now_ms, per_s = self._clock.uptime_ms(), self._per_s()
        halfway_ms = now_ms + FURTHEST_MS / 2
        moment_ms = max(self._next_ms, min(now_ms + 1_000 * self._loads.waiting / per_s, halfway_ms))
        if moment_ms > now_ms + FURTHEST_MS:
            moment_ms = halfway_ms
        self._next_ms = moment_ms + 1_000 / per_s
        self._told += 1
        return max(earliest_ms, at_least_ms) + round(moment_ms - now_ms)

    def statistics(self) -> ReturnStatistics:
        """For metrics."""
        ahead_ms = max(self._next_ms - self._clock.uptime_ms(), 0.0)
        return ReturnStatistics(told_total=self._told, per_s=self._per_s(), ahead_ms=ahead_ms)

    def _per_s(self) -> float:
        return min(self._budget_per_s, self._loads.per_s)
