"""Profiles: what players tell of themselves, and how much of it others see.

What somebody may not see is answered like what does not exist: there is no way to tell a hidden player, a
shadow-limited one, one who has blocked the asker, and nobody at all from each other.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gameserver.clock import Clock
from gameserver.errors import Conflict, InvalidArgument, NotFound
from gameserver.identity.accounts import MAX_NAME_CHARS
from gameserver.identity.visitor import printable
from hotpath import rules
from persistence.caller import Caller
from persistence.profile_store import Audience, OwnProfile, Privacy, ProfileStore, Relation, SeenProfile

LOCALE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Visible:
    """What somebody sees of a player."""

    profile: SeenProfile
    rank: bool  #: level, rank, influence too
    status: bool  #: whether and when the player plays too


def may_see(audience: Audience, relation: Relation) -> bool:
    """Whether something that is for `audience` is for somebody of this relation."""
    if relation in (Relation.SELF, Relation.BLOCKED):
        return relation is Relation.SELF
    return audience is Audience.EVERYONE or (audience is Audience.FRIENDS and relation is Relation.FRIEND)


def visible(seen: SeenProfile) -> Visible | None:
    """What the asker sees of a player; None: nothing, not even that there is one."""
    relation, privacy = seen.relation, seen.privacy
    if not may_see(privacy.profile, relation) or not (seen.shown or relation is Relation.SELF):
        return None
    return Visible(seen, rank=may_see(privacy.rank, relation), status=may_see(privacy.status, relation))


def checked_name(name: str) -> str:
    """A display name in its one form (NFC).

    Raises:
        InvalidArgument: nobody can be called that.
    """
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= MAX_NAME_CHARS or name != printable(name):
        raise InvalidArgument(f"a name has 1 to {MAX_NAME_CHARS} printable characters and single spaces inside")
    return name


def rank_name(xp: int) -> str:
    """The rank of who has `xp`, as others read it."""
    return rules.RANK_NAMES[rules.rank_of(rules.level_of(xp))]


class Profiles:
    """Reads and changes profiles.

    Every method raises `LoginEnded` where who asks is logged in no more, and `DatabaseUnavailable` while the database
    is away.

    Args:
        store: where they are kept.
        clock: the present.
        renamed: told the new name of a player (public id) who may be in this node's memory.
    """

    def __init__(self, store: ProfileStore, clock: Clock, renamed: Callable[[UUID, str], None]) -> None:
        self._store = store
        self._clock = clock
        self._renamed = renamed

    async def own(self, caller: Caller) -> OwnProfile:
        """The caller's own profile."""
        return await self._store.own(caller, self._clock.now_ms())

    async def change(self, caller: Caller, display_name: str | None, locale: str | None) -> OwnProfile:
        """Rename the caller, set the locale, or both.

        Args:
            caller: who asks.
            display_name: None: as it is.
            locale: `de`, `pt-BR`; None: as it is.

        Returns:
            The profile after that.

        Raises:
            InvalidArgument: no such name or locale can be.
            Conflict: the one free renaming is used.
        """
        name = None if display_name is None else checked_name(display_name)
        if locale is not None and not LOCALE.fullmatch(locale):
            raise InvalidArgument("a locale is a language and, where it matters, a country: de, pt-BR")
        if not await self._store.change(caller, name, locale, self._clock.now_ms()):
            raise Conflict("the one free renaming of this account is used")
        if name is not None:
            self._renamed(caller.player, name)
        return await self.own(caller)

    async def set_privacy(self, caller: Caller, privacy: Privacy) -> None:
        """Say who sees what of the caller; boards follow with their next snapshot."""
        await self._store.set_privacy(caller, privacy)

    async def of(self, caller: Caller, player: UUID) -> Visible:
        """What the caller sees of a player.

        Raises:
            NotFound: there is none, or none that the caller may know of.
        """
        seen = await self._store.seen(caller, player, self._clock.now_ms())
        found = None if seen is None else visible(seen)
        if found is None:
            raise NotFound("there is no such player")
        return found
