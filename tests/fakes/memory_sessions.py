"""Logins and devices in memory, for the logic above the store; the real one is tested against PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from persistence.session_store import DeviceRow, SessionRow, Sighting


@dataclass
class MemorySessions:
    """What `identity.sessions` and `identity.last_seen` ask for."""

    logins: dict[UUID, list[SessionRow]] = field(default_factory=dict)  #: by player
    played_on: dict[UUID, list[DeviceRow]] = field(default_factory=dict)  #: by player
    noted: list[Sequence[Sighting]] = field(default_factory=list)
    ended: list[tuple[UUID, str]] = field(default_factory=list)  #: login and why
    failure: Exception | None = None

    def add(self, player: UUID, login: UUID) -> SessionRow:
        """A new live login of `player`."""
        row = SessionRow(login, "", "client 1", "", "", 1, 2, 3)
        self.logins.setdefault(player, []).append(row)
        return row

    async def sessions(self, player: UUID, now_ms: int) -> list[SessionRow]:
        del now_ms
        self._fail()
        return list(self.logins.get(player, ()))

    async def rename(self, player: UUID, session: UUID, name: str) -> bool:
        rows = await self.sessions(player, 0)
        self.logins[player] = [replace(row, name=name) if row.id == session else row for row in rows]
        return any(row.id == session for row in rows)

    async def revoke(self, player: UUID, session: UUID, now_ms: int, *, reason: str, address_hash: str) -> bool:
        del address_hash
        rows = await self.sessions(player, now_ms)
        self.logins[player] = [row for row in rows if row.id != session]
        found = len(self.logins[player]) < len(rows)
        if found:
            self.ended.append((session, reason))
        return found

    async def revoke_others(self, player: UUID, kept: UUID, now_ms: int, *, address_hash: str) -> int:
        others = [row.id for row in await self.sessions(player, now_ms) if row.id != kept]
        for session in others:
            await self.revoke(player, session, now_ms, reason="others", address_hash=address_hash)
        return len(others)

    async def devices(self, player: UUID, now_ms: int) -> list[DeviceRow]:
        del now_ms
        self._fail()
        return list(self.played_on.get(player, ()))

    async def forget_device(self, player: UUID, device: int, now_ms: int, *, address_hash: str) -> bool:
        del address_hash
        rows = await self.devices(player, now_ms)
        self.played_on[player] = [row for row in rows if row.id != device]
        return len(self.played_on[player]) < len(rows)

    async def note(self, sightings: Sequence[Sighting]) -> None:
        self._fail()
        self.noted.append(sightings)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
