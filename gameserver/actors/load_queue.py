"""Who waits to be loaded, in which batches, and how fast that goes.

One load is in flight at a time; who arrives meanwhile is the next batch of up to `BATCH_KEYS`, and the wait before a
batch grows from `MIN_GATHER_S` to `MAX_GATHER_S` while batches are large, so that a storm of 10 000 reconnects is some
dozens of transactions (architecture §3.4).

A storm is larger than what loads can serve when who comes now would wait for longer than `QUEUE_S`. The pace is what
the last load took, or the one that has not come back yet has been taking, if that is longer: so a database that hangs
slows it down at once. A batch costs little more when it is full, so it is taken as if it were. A load that fails soon
shows no pace, so each one in a row halves what is believed, `HALVINGS` times: to fail costs one statement a batch and
a HELLO each, and who comes back often finds out soon that it is over. At least one batch may always wait: those who
come while a load is in flight.
"""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

import trio

from gameserver.clock import Clock
from gameserver.errors import Busy

BATCH_KEYS = 1_000
MIN_GATHER_S = 0.005
MAX_GATHER_S = 0.050
LARGE_BATCH_KEYS = 50  #: from here on it pays to wait for company
QUEUE_S = 5.0  #: who would wait for longer is turned away; a third of the time that a session waits to be welcomed
MAX_PER_S = 5_000.0  #: no pace is believed above it, which is about what PostgreSQL and one core do …
MIN_PER_S = 50.0  #: … nor below it, or nobody would ever come back
HALVINGS = 4  #: of the pace, at most, while loads fail

K = TypeVar("K", bound=Hashable)


class LoadQueue(Generic[K]):
    """The keys that wait, in the order of their arrival.

    Args:
        clock: its monotonic time measures loads.

    Attributes:
        refused_total: keys there was no room for.
    """

    def __init__(self, clock: Clock) -> None:
        self.refused_total = 0
        self._clock = clock
        self._keys: list[K] = []
        self._bell = trio.Event()  #: somebody waits; replaced when all are taken
        self._gather_s = MIN_GATHER_S
        self._in_flight = 0
        self._began_ms = 0
        self._took_ms = 0  #: the last batch that came back, its gathering included
        self._failures = 0  #: in a row

    @property
    def waiting(self) -> int:
        """Who is not loaded yet."""
        return len(self._keys) + self._in_flight

    @property
    def per_s(self) -> float:
        """How many can be loaded a second, as far as anybody knows."""
        in_flight_ms = self._clock.uptime_ms() - self._began_ms if self._in_flight else 0
        per_s = BATCH_KEYS * 1_000 / max(self._took_ms, in_flight_ms, 1)
        return max(MIN_PER_S, min(MAX_PER_S * 0.5 ** min(self._failures, HALVINGS), per_s))

    def put(self, key: K) -> None:
        """Let `key` be loaded.

        Raises:
            Busy: more are waiting than can be loaded in time.
        """
        if len(self._keys) >= max(BATCH_KEYS, self.per_s * QUEUE_S):
            self.refused_total += 1
            raise Busy("too many players are just coming in")
        self._keys.append(key)
        self._bell.set()

    async def next_batch(self) -> Sequence[K]:
        """Wait for somebody, and a moment for company; `landed` must follow."""
        await self._bell.wait()
        began_ms = self._clock.uptime_ms()
        await trio.sleep(self._gather_s)
        batch, self._keys = self._keys[:BATCH_KEYS], self._keys[BATCH_KEYS:]
        if not self._keys:
            self._bell = trio.Event()
        is_large = len(batch) >= LARGE_BATCH_KEYS
        self._gather_s = min(self._gather_s * 2, MAX_GATHER_S) if is_large else MIN_GATHER_S
        self._in_flight, self._began_ms = len(batch), began_ms
        return batch

    def landed(self, *, failed: bool) -> None:
        """The batch has come back.

        Args:
            failed: whether all of it failed, as when the database is away.
        """
        self._took_ms = self._clock.uptime_ms() - self._began_ms
        self._failures = self._failures + 1 if failed else 0
        self._in_flight = 0
