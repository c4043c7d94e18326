"""The one place that reads time; everything else is handed a `Clock`.

Game rules use server wall-clock milliseconds; deadlines use a monotonic clock, Trio's or `uptime_ms`, because the wall
clock may step, and nobody must be taken for silent by that. `SystemClock` never lets a step backwards through, so no
rule ever sees time run backwards inside one process.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Where the present comes from."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC; never less than what it returned before."""
        ...

    def uptime_ms(self) -> int:
        """Milliseconds since some moment, for deadlines; never 0, and no step of the wall clock touches it."""
        ...


class SystemClock:
    """The machine's wall clock, made monotone."""

    __slots__ = ("_last_ms",)

    def __init__(self) -> None:
        self._last_ms = 0

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC; stands still while the machine's clock is behind an earlier reading."""
        now = time.time_ns() // 1_000_000  # noqa: TID251 - this is the injected clock itself
        if now > self._last_ms:
            self._last_ms = now
        return self._last_ms

    def uptime_ms(self) -> int:
        """Milliseconds since about the start of the machine."""
        return time.monotonic_ns() // 1_000_000 + 1


class ManualClock:
    """A clock that stands where it is put: for simulations and tests.

    Args:
        now_ms: where it starts, milliseconds since 1970-01-01 UTC.
    """

    __slots__ = ("_now_ms", "_uptime_ms")

    def __init__(self, now_ms: int = 1_767_225_600_000) -> None:
        self._now_ms = now_ms
        self._uptime_ms = 1_000_000

    def now_ms(self) -> int:
        """Where the clock stands."""
        return self._now_ms

    def uptime_ms(self) -> int:
        """How far `advance` has come, and something."""
        return self._uptime_ms

    def advance(self, delta_ms: int) -> None:
        """Let `delta_ms` milliseconds pass."""
        self._now_ms += delta_ms
        self._uptime_ms += delta_ms

    def step(self, delta_ms: int) -> None:
        """Set the wall clock `delta_ms` milliseconds on (negative: back), without time passing."""
        self._now_ms += delta_ms
