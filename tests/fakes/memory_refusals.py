"""A log of refusals in memory, and limits above it; the real one is tested against PostgreSQL."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from gameserver.clock import Clock
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.refusal_log import RefusalLog
from gameserver.rate_limits.table import TABLE, Limit
from gameserver.settings import RateLimitMode
from persistence.rate_limit_store import RefusalRow


@dataclass
class MemoryRefusals:
    """What `rate_limits.refusal_log` asks for."""

    rows: list[RefusalRow] = field(default_factory=list)  #: the row with id n is the (n − 1)-th
    calls: list[int] = field(default_factory=list)  #: how many rows each call was about
    failure: Exception | None = None

    async def note(self, rows: Sequence[RefusalRow]) -> Sequence[int]:
        self._fail()
        self.calls.append(len(rows))
        self.rows.extend(rows)
        return range(len(self.rows) - len(rows) + 1, len(self.rows) + 1)

    async def sum_up(self, sums: Sequence[tuple[int, int, int]]) -> None:
        self._fail()
        self.calls.append(len(sums))
        for id_, at_ms, refused in sums:
            assert self.rows[id_ - 1].at_ms == at_ms
            self.rows[id_ - 1] = replace(self.rows[id_ - 1], refused=refused)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


def rate_limits(
    clock: Clock,
    *,
    table: Iterable[Limit] = TABLE,
    mode: RateLimitMode = RateLimitMode.ON,
    refusals: RefusalLog | None = None,
    per_address: bool = True,
    exempt_loopback: bool = True,
) -> RateLimits:
    """Limits that are logged in memory; as in dev where nothing else is said."""
    refusals = refusals or RefusalLog(MemoryRefusals(), clock)
    return RateLimits(clock, mode, refusals, per_address=per_address, exempt_loopback=exempt_loopback, table=table)
