"""Claims players in the database, a batch at a time, and makes actors of them; writes those that leave."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

from gameserver.actors.player import PlayerActor
from gameserver.errors import RETRY_MS, Unavailable, WireError
from gameserver.logs import get_logger
from persistence.errors import DatabaseUnavailable
from persistence.records import LoadedPlayer, OwnedElsewhere

log = get_logger(__name__)

#: Claims players by public id; who does not exist is absent.
Claim = Callable[[Sequence[UUID]], Awaitable[Sequence[LoadedPlayer | OwnedElsewhere]]]


class Moved(WireError):
    """The player is served by another node.

    Args:
        url: that node's own socket address; "" where it told none.
    """

    code = Unavailable.code

    def __init__(self, url: str) -> None:
        super().__init__("this player is served by another node", retry_after_ms=RETRY_MS)
        self.url = url


class PlayerLoader:
    """The registry's loader for players.

    Args:
        claim: the database's side.
        build: makes the actor of a claimed player.
    """

    def __init__(self, claim: Claim, build: Callable[[LoadedPlayer], PlayerActor]) -> None:
        self._claim = claim
        self._build = build

    async def load(self, public_ids: Sequence[UUID]) -> Mapping[UUID, PlayerActor | WireError]:
        """Claim and build; players that do not exist are absent, one that cannot be built is refused alone.

        Raises:
            Unavailable: the database is away; nothing was claimed, or it is claimed again with the next try.
        """
        try:
            found = await self._claim(public_ids)
        except DatabaseUnavailable:
            raise Unavailable("the database is away") from None
        return {
            player.public_id: Moved(player.url) if isinstance(player, OwnedElsewhere) else self._build_one(player)
            for player in found
        }

    def _build_one(self, player: LoadedPlayer) -> PlayerActor | WireError:
        try:
            return self._build(player)
        except Exception:  # what one row holds, or a bug in it, must not refuse the thousand loaded with it
            log.exception("a player cannot be built from what was loaded", player=player.id)
            return Unavailable("this player cannot be loaded just now")
