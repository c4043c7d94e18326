"""What happens when a turn raises: our own bug, contained to the operation that met it.

The first few are answered `internal` one by one. An actor that raises more than `FAILURES` times within `WINDOW_MS` is
quarantined for `QUARANTINE_MS`: reads work, writes are told to come back; then it is loaded anew (architecture §3.3).
So is one whose writes the database has refused, from its next activation on: its client sends the same again (§4.9).
"""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from gameserver.actors.actor import A, Cell, Message
from gameserver.clock import Clock
from gameserver.logs import get_logger

FAILURES = 3  #: tolerated within the window
WINDOW_MS = 60_000
QUARANTINE_MS = 60_000
LOGGED_CHARS = 2_000  #: of the message; what raised stands first in a run of taps

K = TypeVar("K", bound=Hashable)
log = get_logger(__name__)


class Supervisor(Generic[K, A]):
    """Counts the failures of cells and quarantines those that fail too often.

    Args:
        clock: the present.
        on_quarantine: told the cell, so that the reload at the quarantine's end can be scheduled.
    """

    def __init__(self, clock: Clock, on_quarantine: Callable[[Cell[A]], None]) -> None:
        self._clock = clock
        self._on_quarantine = on_quarantine
        self._failures: dict[K, deque[int]] = {}
        self._refused_until_ms: dict[K, int] = {}
        self.failures_total = 0
        self.quarantines_total = 0

    def turn_raised(self, cell: Cell[A], message: Message, error: Exception) -> None:
        """Log `error` once with its input, answer the operation, and quarantine the cell if it was one too many."""
        now_ms = self._clock.now_ms()
        key: K = cell.key
        self.failures_total += 1
        log.error("a turn raised", actor=str(key), message=repr(message)[:LOGGED_CHARS], exc_info=error)
        rest = cell.actor.failed(message) if cell.actor is not None else None  # None: dropped by its own turn
        if rest is not None:
            cell.deliver_first(rest)
        recent = self._failures.setdefault(key, deque(maxlen=FAILURES + 1))
        recent.append(now_ms)
        if len(recent) > FAILURES and now_ms - recent[0] <= WINDOW_MS:
            self._failures.pop(key)
            cell.quarantined_until_ms = self._quarantine(key)
            self._on_quarantine(cell)

    def quarantine_next(self, key: K) -> None:
        """What this actor wrote was refused: its next activations are quarantined for a while."""
        self._refused_until_ms[key] = self._quarantine(key)

    def quarantine_of(self, key: K) -> int:
        """Until when a new activation is quarantined; 0 = not at all."""
        if not self._refused_until_ms:
            return 0
        now_ms = self._clock.now_ms()
        for old in [other for other, until_ms in self._refused_until_ms.items() if until_ms <= now_ms]:
            del self._refused_until_ms[old]
        return self._refused_until_ms.get(key, 0)

    def _quarantine(self, key: K) -> int:
        """Count and log one; returns until when it lasts."""
        self.quarantines_total += 1
        log.error("actor quarantined", actor=str(key), for_ms=QUARANTINE_MS)
        return self._clock.now_ms() + QUARANTINE_MS

    def forget(self, cell: Cell[A]) -> None:
        """The actor is gone; so are its failures."""
        self._failures.pop(cell.key, None)
