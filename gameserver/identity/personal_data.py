"""Everything we hold about a player: handed out, and erased."""

from collections.abc import AsyncIterator
from typing import Final

from gameserver.clock import Clock
from gameserver.errors import InvalidArgument
from gameserver.identity.throttling import EXPORT, admit, subject
from persistence.account_export import ExportStore, Section
from persistence.caller import Caller
from persistence.throttle_store import ThrottleStore

SCHEMA: Final = "ppj.export.1"  #: changes when a section goes, or means something else; more sections are no change


class PersonalData:
    """Exports and erases players. `DatabaseUnavailable` passes through: nothing was done then.

    Args:
        store: where everything is.
        throttles: where exports are counted.
        clock: the present.
    """

    def __init__(self, store: ExportStore, throttles: ThrottleStore, clock: Clock) -> None:
        self._store = store
        self._throttles = throttles
        self._clock = clock

    async def export(self, caller: Caller) -> AsyncIterator[Section]:
        """Everything about the caller, a page of a section at a time.

        Args:
            caller: who asks.

        Returns:
            The pages, in the order of sections; each is read when it is asked for.

        Raises:
            LoginEnded: the caller is logged in no more.
            RateLimited: the last export was a moment ago.
        """
        now_ms = self._clock.now_ms()
        player_id = await self._store.player_of(caller)
        await admit(self._throttles, {subject("export of", caller.player): EXPORT}, now_ms)
        return self._store.pages(player_id, now_ms)

    async def erase(self, caller: Caller, confirm: str) -> None:
        """Erase the caller for good; what the ledger needs stays without a name.

        Args:
            caller: who asks.
            confirm: the caller's display name, so that nobody does it by mistake.

        Raises:
            LoginEnded: the caller is logged in no more.
            InvalidArgument: `confirm` is not the display name; nothing was done.
        """
        if not await self._store.erase(caller, confirm, self._clock.now_ms()):
            raise InvalidArgument("to erase this account, confirm with its display name; nothing was done")
