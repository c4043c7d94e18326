"""A player's logins and devices: looked at, named, ended."""

from typing import Final, Protocol
from uuid import UUID

from gameserver.clock import Clock
from gameserver.errors import InvalidArgument, NotFound
from gameserver.identity.security_log import AddressHash
from gameserver.identity.visitor import Visitor, printable
from persistence.session_store import DeviceRow, SessionRow

MAX_SESSION_NAME_CHARS: Final = 64


class SessionStore(Protocol):
    """Where logins are kept; each raises `DatabaseUnavailable`."""

    async def sessions(self, player: UUID, now_ms: int) -> list[SessionRow]:
        """The live logins of a player, the latest seen first."""
        ...

    async def rename(self, player: UUID, session: UUID, name: str) -> bool:
        """Name a login; False: the player has no such one."""
        ...

    async def revoke(self, player: UUID, session: UUID, now_ms: int, *, reason: str, address_hash: str) -> bool:
        """End a login; False: the player has no such one."""
        ...

    async def revoke_others(self, player: UUID, kept: UUID, now_ms: int, *, address_hash: str) -> int:
        """End all but one; how many."""
        ...

    async def devices(self, player: UUID, now_ms: int) -> list[DeviceRow]:
        """What a player has played on, the latest seen first."""
        ...

    async def forget_device(self, player: UUID, device: int, now_ms: int, *, address_hash: str) -> bool:
        """End all logins on a device and forget it; False: the player has no such one."""
        ...


class Sessions:
    """What players do with their logins. A player is a public id; what belongs to another player is not found.

    What the store raises while the database is away passes through; nothing was changed then.

    Args:
        store: where logins are kept.
        clock: where the present comes from.
        address_hash: how whoever ends a login is named in the security log.
    """

    def __init__(self, store: SessionStore, clock: Clock, address_hash: AddressHash) -> None:
        self._store = store
        self._address_hash = address_hash
        self._clock = clock

    async def of(self, player: UUID) -> list[SessionRow]:
        """The live logins, the latest seen first."""
        return await self._store.sessions(player, self._clock.now_ms())

    async def rename(self, player: UUID, session: UUID, name: str) -> None:
        """Give a login a name; "" takes it away.

        Raises:
            InvalidArgument: longer than 64 characters, or with some that cannot be printed.
            NotFound: the player has no such login.
        """
        if len(name) > MAX_SESSION_NAME_CHARS or name != printable(name):
            raise InvalidArgument(
                f"a name has at most {MAX_SESSION_NAME_CHARS} printable characters and single spaces inside"
            )
        if not await self._store.rename(player, session, name):
            raise NotFound("there is no such login")

    async def end(self, player: UUID, session: UUID, visitor: Visitor) -> None:
        """End a login: its tokens are worth nothing any more and its sockets are closed.

        Raises:
            NotFound: the player has no such login.
        """
        address_hash = self._address_hash.of(visitor.address)
        now_ms = self._clock.now_ms()
        if not await self._store.revoke(player, session, now_ms, reason="revoked", address_hash=address_hash):
            raise NotFound("there is no such login")

    async def end_others(self, player: UUID, kept: UUID, visitor: Visitor) -> int:
        """End every login but one; returns how many."""
        address_hash = self._address_hash.of(visitor.address)
        return await self._store.revoke_others(player, kept, self._clock.now_ms(), address_hash=address_hash)

    async def devices(self, player: UUID) -> list[DeviceRow]:
        """What the player has played on, the latest seen first."""
        return await self._store.devices(player, self._clock.now_ms())

    async def forget_device(self, player: UUID, device: int, visitor: Visitor) -> None:
        """End all logins on a device and forget it.

        Raises:
            NotFound: the player has no such device.
        """
        address_hash = self._address_hash.of(visitor.address)
        now_ms = self._clock.now_ms()
        if not await self._store.forget_device(player, device, now_ms, address_hash=address_hash):
            raise NotFound("there is no such device")
