"""Samples who was refused into `rate_limit_logs`: one row for each subject, limit and window.

The row is written some seconds after the first refusal, and what the window has come to once it is over; whatever is
refused in between only counts in memory. Windows here are cut by the wall clock, whenever those of the limits began.
Memory is bounded, and so is what is written: a refusal beyond it, and one that the database is not there for when its
window ends, is dropped and counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import trio

from gameserver.clock import Clock
from gameserver.logs import get_logger
from gameserver.rate_limits.table import Limit, Scope
from persistence.errors import PersistenceError
from persistence.rate_limit_store import RefusalRow

WRITE_S: Final = 5.0  #: between two writes
BATCH_ROWS: Final = 500  #: in one transaction
MAX_ROWS: Final = 10_000  #: that wait, or whose window is not over

log = get_logger(__name__)


class RefusalStore(Protocol):
    """Where it is written; each raises `PersistenceError`."""

    async def note(self, rows: Sequence[RefusalRow]) -> Sequence[int]:
        """Write new rows; returns their ids."""
        ...

    async def sum_up(self, sums: Sequence[tuple[int, int, int]]) -> None:
        """Write what rows have come to: (id, at_ms, refusals)."""
        ...


@dataclass(frozen=True, slots=True)
class RefusalLogStatistics:
    """What has become of refusals, as far as the log is concerned."""

    rows: int  #: whose window is not over, or that wait to be written
    rows_total: int  #: written
    dropped_total: int  #: refusals that are in no row


@dataclass(slots=True, eq=False)
class _Row:
    limit: Limit
    subject: str
    at_ms: int
    ends_ms: int
    refused: int = 1
    written: int = 0  #: so many of them
    id: int = 0  #: 0 = not written yet


class RefusalLog:
    """Counts and writes.

    Args:
        store: where to.
        clock: the present.
    """

    def __init__(self, store: RefusalStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._rows: dict[tuple[Limit, str, int], _Row] = {}
        self._rows_total = self._dropped_total = 0

    def note(self, limit: Limit, subject: str) -> None:
        """`subject` was refused by `limit`: a customer's address, or public id or Telegram's id of a player as text.

        A session's subject is its player.
        """
        now_ms = self._clock.now_ms()
        window_ms = 1_000 * limit.window_s
        number = now_ms // window_ms
        row = self._rows.get((limit, subject, number))
        if row is not None:
            row.refused += 1
        elif len(self._rows) < MAX_ROWS:
            self._rows[limit, subject, number] = _Row(limit, subject, now_ms, (number + 1) * window_ms)
        else:
            self._dropped_total += 1

    def statistics(self) -> RefusalLogStatistics:
        """For metrics."""
        return RefusalLogStatistics(len(self._rows), self._rows_total, self._dropped_total)

    async def run(self) -> None:
        """Write every `WRITE_S` until cancelled."""
        while True:
            await trio.sleep(WRITE_S)
            await self.write()

    async def write(self) -> None:
        """Write what is new, and the sums of windows that are over; then forget those."""
        now_ms = self._clock.now_ms()
        over = {key: row for key, row in self._rows.items() if row.ends_ms <= now_ms}
        try:
            await self._write_new([row for row in self._rows.values() if not row.id])
            await self._write_sums([row for row in over.values() if row.refused > row.written])
        except PersistenceError as error:
            log.info("who was refused is not written", rows=len(self._rows), reason=str(error))
        for key, row in over.items():
            del self._rows[key]
            self._dropped_total += row.refused - row.written

    async def _write_new(self, rows: Sequence[_Row]) -> None:
        for start in range(0, len(rows), BATCH_ROWS):
            batch = rows[start : start + BATCH_ROWS]
            sent = [_as_written(row) for row in batch]
            ids = await self._store.note(sent)
            self._rows_total += len(ids)
            for row, id_, was in zip(batch, ids, sent, strict=True):
                row.id, row.written = id_, was.refused

    async def _write_sums(self, rows: Sequence[_Row]) -> None:
        for start in range(0, len(rows), BATCH_ROWS):
            batch = rows[start : start + BATCH_ROWS]
            await self._store.sum_up([(row.id, row.at_ms, row.refused) for row in batch])
            for row in batch:
                row.written = row.refused


def _as_written(row: _Row) -> RefusalRow:
    player: UUID | int | None = None
    if row.limit.scope is not Scope.ADDRESS:
        player = int(row.subject) if row.subject.isdecimal() else UUID(row.subject)
    return RefusalRow(
        at_ms=row.at_ms,
        player=player,
        address=row.subject if player is None else None,
        action=row.limit.name,
        refused=row.refused,
        window_s=row.limit.window_s,
    )
