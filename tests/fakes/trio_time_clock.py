"""The game's clock on Trio's, so that both follow one `MockClock`."""

from trio.abc import Clock


class TrioTimeClock:
    """Wall-clock time that starts at `start_ms` and runs as fast as `clock`."""

    def __init__(self, clock: Clock, start_ms: int = 1_767_225_600_000) -> None:
        self._clock = clock
        self._start_ms = start_ms
        self._started_s = clock.current_time()

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        return self._start_ms + round((self._clock.current_time() - self._started_s) * 1_000)

    def uptime_ms(self) -> int:
        """Milliseconds since the start, and something."""
        return 1_000_000 + round((self._clock.current_time() - self._started_s) * 1_000)
