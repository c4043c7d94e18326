"""A security log that keeps in memory what would be written."""

from collections.abc import Sequence

from gameserver.clock import Clock
from gameserver.identity.security_log import AddressHash, SecurityLog
from persistence.security_log_store import SecurityEntry


class NotedEvents:
    """What `SecurityLog` writes to."""

    def __init__(self) -> None:
        self.written: list[SecurityEntry] = []
        self.failure: Exception | None = None

    async def write(self, entries: Sequence[SecurityEntry]) -> None:
        if self.failure is not None:
            raise self.failure
        self.written.extend(entries)


def security_log(clock: Clock, store: NotedEvents | None = None) -> SecurityLog:
    """A log over `store`."""
    return SecurityLog(store or NotedEvents(), clock, AddressHash(b"a secret of tests"))
