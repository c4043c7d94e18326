"""Asks every limit that an operation comes under, for whoever sends it.

An operation that one limit refuses takes nothing from any. Who is refused is told the longest of the waits: after it
the same operation succeeds, if nobody else has used up what came free. What was admitted counts, whatever becomes of
it.

In a dry run everything is counted and noted as if it were refused, and nothing is.
"""

import abc
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from gameserver.clock import Clock
from gameserver.errors import RateLimited
from gameserver.metrics import Metrics
from gameserver.rate_limits.customer import customer_of
from gameserver.rate_limits.refusal_log import RefusalLog
from gameserver.rate_limits.table import TABLE, Limit, LimitClass, Scope
from gameserver.rate_limits.windows import Windows, new_window
from gameserver.settings import RateLimitMode, Settings
from hotpath.rate_limit import SlidingWindow

COUNTED_FOR: Final[Mapping[Scope, str]] = {
    Scope.SESSION: "one socket",
    Scope.PLAYER: "one player",
    Scope.ADDRESS: "one address",
}


class Caller:
    """Whom an operation is counted for; made by `RateLimits.caller`.

    Args:
        address: the customer's; "" = unknown, or limits per address do not hold for it.
        player: public id, or Telegram's id of a user who logs in, as text: its hash costs little; "" = not known yet.
        windows: a socket's own, made as they are needed; None = no socket.
    """

    __slots__ = ("address", "player", "windows")

    def __init__(self, address: str, player: str, windows: dict[str, SlidingWindow] | None) -> None:
        self.address = address
        self.player = player
        self.windows = windows


@dataclass(frozen=True, slots=True)
class LimiterStatistics:
    """What the limits hold in memory."""

    windows: int  #: of players and addresses
    forgotten_total: int  #: of those for whom something still counted: there were too many


class _Counted(abc.ABC):
    """One limit of the table: its windows, and what it said."""

    __slots__ = ("admitted", "limit", "name", "refused", "windows", "would_refuse")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.name = limit.name
        self.windows = Windows(limit)
        self.admitted = self.refused = self.would_refuse = 0

    @abc.abstractmethod
    def subject(self, caller: Caller) -> str:
        """For whom it counts what `caller` does; "" = for nobody."""

    def window(self, caller: Caller, now_ms: int) -> SlidingWindow | None:
        """The window of `caller`; None where this limit does not concern it."""
        subject = self.subject(caller)
        return self.windows.of(subject, now_ms) if subject else None


class _OfPlayer(_Counted):
    __slots__ = ()

    def subject(self, caller: Caller) -> str:
        return caller.player


class _OfAddress(_Counted):
    __slots__ = ()

    def subject(self, caller: Caller) -> str:
        return caller.address


class _OfSession(_OfPlayer):
    __slots__ = ()

    def window(self, caller: Caller, now_ms: int) -> SlidingWindow | None:
        del now_ms
        windows = caller.windows
        if windows is None:
            return None
        window = windows.get(self.name)
        if window is None:
            window = windows[self.name] = new_window(self.limit)
        return window


_COUNTED_BY: Final[Mapping[Scope, type[_Counted]]] = {
    Scope.SESSION: _OfSession,
    Scope.PLAYER: _OfPlayer,
    Scope.ADDRESS: _OfAddress,
}


class RateLimits:
    """The limits of a node.

    Args:
        clock: its monotonic time is the windows'.
        mode: whether they refuse.
        refusals: where it is noted who was refused.
        per_address: whether addresses are counted; not where they are a proxy's.
        exempt_loopback: whether this machine itself is no address that is counted.
        table: every limit.
    """

    def __init__(
        self,
        clock: Clock,
        mode: RateLimitMode,
        refusals: RefusalLog,
        *,
        per_address: bool,
        exempt_loopback: bool,
        table: Iterable[Limit] = TABLE,
    ) -> None:
        self._clock = clock
        self._is_on = mode is not RateLimitMode.OFF
        self._is_dry = mode is RateLimitMode.DRY_RUN
        self._refusals = refusals
        self._per_address = per_address
        self._exempt_loopback = exempt_loopback
        every = [_COUNTED_BY[limit.scope](limit) for limit in table]
        self._counted = {
            limit_class: tuple(counted for counted in every if counted.limit.limit_class is limit_class)
            for limit_class in LimitClass
        }

    @classmethod
    def of(cls, settings: Settings, clock: Clock, refusals: RefusalLog) -> Self:
        """As the settings want them."""
        return cls(
            clock,
            settings.rate_limits,
            refusals,
            per_address=settings.max_sockets_per_address > 0,
            exempt_loopback=settings.is_dev,
        )

    def caller(self, address: str, player: UUID | int | None = None, *, is_session: bool = False) -> Caller:
        """Whom an operation is to be counted for.

        Args:
            address: of the peer, as `getpeername` writes it; "" = unknown.
            player: public id, or Telegram's id of a user who logs in; None = not known yet.
            is_session: whether the caller stands for a socket, and has windows of its own.
        """
        return Caller(self._customer(address), "" if player is None else str(player), {} if is_session else None)

    def refusal(self, limit_class: LimitClass, caller: Caller, *, take: bool = True) -> RateLimited | None:
        """Count an operation of `caller`; what it is to be answered with if that is too many, else None.

        Args:
            limit_class: of the operation.
            caller: who sends it.
            take: False only looks whether there is room.
        """
        if not self._is_on:
            return None
        now_ms = self._clock.uptime_ms()
        longest_ms = 0
        strictest: _Counted | None = None
        found = []
        for counted in self._counted[limit_class]:
            window = counted.window(caller, now_ms)
            if window is not None:
                if (wait_ms := window.wait_ms(now_ms)) > longest_ms:
                    longest_ms, strictest = wait_ms, counted
                found.append((counted, window))
        if strictest is not None:
            return self._refuse(strictest, caller, longest_ms)
        if take:
            for counted, window in found:
                window.acquire(now_ms)
                counted.admitted += 1
        return None

    def demand(self, limit_class: LimitClass, caller: Caller, *, take: bool = True) -> None:
        """As `refusal`, for who is not to go on.

        Raises:
            RateLimited: it is too many.
        """
        if (error := self.refusal(limit_class, caller, take=take)) is not None:
            raise error

    def count(self, limit_class: LimitClass, caller: Caller) -> None:
        """Count what has happened, whether or not there was room for it: nobody was asked before.

        Args:
            limit_class: of what has happened.
            caller: whose doing it was.
        """
        if self._is_on:
            now_ms = self._clock.uptime_ms()
            for counted in self._counted[limit_class]:
                window = counted.window(caller, now_ms)
                if window is not None and not window.acquire(now_ms):
                    counted.admitted += 1

    def expose(self, metrics: Metrics) -> None:
        """Have `metrics` show what the limits say and hold, and what becomes of the log."""
        labels = ("scope", "class", "outcome")
        metrics.add_totals("game_rate_limit", "Operations by limit and outcome.", labels, self._totals)
        metrics.add("rate_limits", self._statistics)
        metrics.add("refusal_log", self._refusals.statistics)

    def _totals(self) -> Iterator[tuple[tuple[str, str, str], int]]:
        """What every limit said since the start: ((scope, class, outcome), how often)."""
        for counted in self._every():
            scope, limit_class = counted.limit.scope.value, counted.limit.limit_class.value
            yield (scope, limit_class, "allowed"), counted.admitted
            yield (scope, limit_class, "refused"), counted.refused
            yield (scope, limit_class, "would_refuse"), counted.would_refuse

    def _statistics(self) -> LimiterStatistics:
        return LimiterStatistics(
            windows=sum(len(counted.windows) for counted in self._every()),
            forgotten_total=sum(counted.windows.forgotten_total for counted in self._every()),
        )

    def _every(self) -> Iterator[_Counted]:
        for of_class in self._counted.values():
            yield from of_class

    def _customer(self, address: str) -> str:
        if not (self._per_address and address):
            return ""
        customer, is_loopback = customer_of(address)
        return "" if is_loopback and self._exempt_loopback else customer

    def _refuse(self, counted: _Counted, caller: Caller, wait_ms: int) -> RateLimited | None:
        limit = counted.limit
        if subject := counted.subject(caller):
            self._refusals.note(limit, subject)
        if self._is_dry:
            counted.would_refuse += 1
            return None
        counted.refused += 1
        what = limit.limit_class.value.replace("_", " ")
        return RateLimited(
            f"too often: {what}, {limit.count} in {limit.window_s} s for {COUNTED_FOR[limit.scope]}",
            retry_after_ms=wait_ms,
        )
