"""What was tried and refused, for whoever has to find out later what happened.

A stranger decides how often something is refused, so entries are gathered: of the same thing from the same address
there is one a minute, with a count, and of different things at most `MAX_ENTRIES` wait. Nothing a peer sent goes in:
the reason is one of our own words, the address a keyed hash, by which entries of one address can be found together and
nobody can read it.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol
from uuid import UUID

import trio

from gameserver.clock import Clock
from gameserver.identity.visitor import UNKNOWN, Visitor
from gameserver.logs import get_logger
from persistence.errors import PersistenceError
from persistence.security_log_store import SecurityEntry, SecurityEvent, Severity

GATHER_MS: Final = 60_000  #: so long the same thing from the same address is one entry
WRITE_S: Final = 1.0  #: between two looks for what is to be written
MAX_ENTRIES: Final = 5_000  #: that are gathered; while more come, later ones are only counted
BATCH_ENTRIES: Final = 500  #: in one transaction
_HASH_CHARS: Final = 16

log = get_logger(__name__)

_Same = tuple[SecurityEvent, str, UUID | None, str]  #: event, reason, player, address hash


class SecurityLogStore(Protocol):
    """Where entries go."""

    async def write(self, entries: Sequence[SecurityEntry]) -> None:
        """Add entries; raises `DatabaseUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class SecurityLogStatistics:
    """What came of what was noted."""

    noted_total: int
    written_total: int  #: entries
    left_out_total: int  #: noted while too many waited, or not taken by the database
    waiting: int  #: entries


class AddressHash:
    """Names addresses without telling them.

    Args:
        secret: without it nobody can try all addresses there are. A new one gives every address a new name.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.sha256(b"ppj address hash\0" + secret).digest()

    def of(self, address: str) -> str:
        """16 hexadecimal digits for an address; "" stays ""."""
        return hmac.digest(self._key, address.encode(), "sha256").hex()[:_HASH_CHARS] if address else ""


class SecurityLog:
    """Gathers and writes.

    Args:
        store: where entries go.
        clock: the present.
        address_hash: how addresses are named.
    """

    def __init__(self, store: SecurityLogStore, clock: Clock, address_hash: AddressHash) -> None:
        self._store = store
        self._clock = clock
        self._address_hash = address_hash
        self._gathered: dict[_Same, SecurityEntry] = {}
        self._noted = self._written = self._left_out = 0

    def note(
        self,
        event: SecurityEvent,
        reason: str,
        *,
        visitor: Visitor = UNKNOWN,
        player: UUID | None = None,
        session: UUID | None = None,
        severity: Severity = Severity.INFO,
    ) -> None:
        """Something was tried.

        Args:
            event: what.
            reason: why it was refused, one of our own words.
            visitor: who tried.
            player: public id, where it is known.
            session: the login, where it is known; of several the first is kept.
            severity: how soon a person should look.
        """
        self._noted += 1
        address_hash = self._address_hash.of(visitor.address)
        same = (event, reason, player, address_hash)
        if (entry := self._gathered.get(same)) is not None:
            self._gathered[same] = replace(entry, times=entry.times + 1)
        elif len(self._gathered) < MAX_ENTRIES:
            now_ms = self._clock.now_ms()
            self._gathered[same] = SecurityEntry(now_ms, event, severity, player, reason, session, address_hash, 1)
        else:
            self._left_out += 1

    def address_hash(self, visitor: Visitor) -> str:
        """What the log calls the address of `visitor`, for entries that are written elsewhere."""
        return self._address_hash.of(visitor.address)

    async def run(self) -> None:
        """Write what has been gathered for long enough, until cancelled; what is left then is written at once."""
        try:
            while True:
                await trio.sleep(WRITE_S)
                await self.write(gathered_before_ms=self._clock.now_ms() - GATHER_MS)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + WRITE_S):
                await self.write(gathered_before_ms=self._clock.now_ms())

    async def write(self, *, gathered_before_ms: int) -> None:
        """Write entries that were begun by then; what the database does not take is left out."""
        due = [same for same, entry in self._gathered.items() if entry.at_ms <= gathered_before_ms]
        entries = [self._gathered.pop(same) for same in due]
        for start in range(0, len(entries), BATCH_ENTRIES):
            batch = entries[start : start + BATCH_ENTRIES]
            try:
                await self._store.write(batch)
            except PersistenceError as error:
                self._left_out += sum(entry.times for entry in entries[start:])
                log.warning("entries of the security log are left out", entries=len(entries) - start, reason=str(error))
                return
            self._written += len(batch)

    def statistics(self) -> SecurityLogStatistics:
        """For metrics."""
        return SecurityLogStatistics(self._noted, self._written, self._left_out, len(self._gathered))
