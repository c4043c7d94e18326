"""When, where from and on which device each login was last used.

A socket costs no round trip to the database, so what its HELLO tells is gathered here and written some seconds later,
many at once. It is for people who look at their logins: what is lost with a crash is a "last seen" that is too old.
"""

from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import trio

from gameserver.clock import Clock
from gameserver.identity.visitor import Visitor
from gameserver.logs import get_logger
from persistence.errors import PersistenceError
from persistence.session_store import Sighting

WRITE_S: Final = 5.0  #: between two writes
BATCH_LOGINS: Final = 500  #: in one transaction
MAX_LOGINS: Final = 50_000  #: that wait; while the database is away, later ones are left out

log = get_logger(__name__)


class SightingStore(Protocol):
    """Where it is written."""

    async def note(self, sightings: Sequence[Sighting]) -> None:
        """Write some, at most one per login."""
        ...


class LastSeen:
    """Gathers and writes.

    Args:
        store: where to.
        clock: the present.
    """

    def __init__(self, store: SightingStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[UUID, Sighting] = {}

    def note(self, login: UUID, visitor: Visitor) -> None:
        """A login was used just now."""
        if len(self._waiting) < MAX_LOGINS or login in self._waiting:
            self._waiting[login] = Sighting(
                login, visitor.device, visitor.client, visitor.address, self._clock.now_ms()
            )

    async def run(self) -> None:
        """Write every `WRITE_S` until cancelled."""
        while True:
            await trio.sleep(WRITE_S)
            await self.write()

    async def write(self) -> None:
        """Write what has been gathered; what the database does not take is left out."""
        waiting, self._waiting = list(self._waiting.values()), {}
        for start in range(0, len(waiting), BATCH_LOGINS):
            try:
                await self._store.note(waiting[start : start + BATCH_LOGINS])
            except PersistenceError as error:
                log.info("when logins were last seen is not written", logins=len(waiting) - start, reason=str(error))
                return
