"""What players tell of themselves, and whom."""

import enum
from dataclasses import dataclass
from uuid import UUID

from persistence.caller import Caller, player_of
from persistence.postgres import Connection, Database


class Audience(enum.StrEnum):
    """Who may see something of a player."""

    EVERYONE = "everyone"
    FRIENDS = "friends"
    NOBODY = "nobody"


class Relation(enum.StrEnum):
    """What one player is to another."""

    SELF = "self"
    FRIEND = "friend"
    STRANGER = "stranger"
    BLOCKED = "blocked"  #: by either side


@dataclass(frozen=True, slots=True)
class Privacy:
    """Who sees what of a player."""

    profile: Audience = Audience.EVERYONE
    rank: Audience = Audience.EVERYONE
    status: Audience = Audience.EVERYONE


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """A player as the player sees it."""

    display_name: str
    locale: str | None
    telegram_linked: bool  #: there is a Telegram account; else a name of the dev login
    premium: bool
    referral_code: str
    generation: int
    xp: int
    created_at_ms: int
    renamed_at_ms: int  #: 0: the free renaming is unused
    privacy: Privacy
    passphrase_set_at_ms: int  #: 0: there is none
    recovery_codes: int  #: unused and not expired
    move_state: str | None  #: `offered` or `confirmed` while one is open
    move_expires_at_ms: int  #: until then the new side may confirm
    move_due_at_ms: int  #: until then the old side may cancel; 0 until it is confirmed


@dataclass(frozen=True, slots=True)
class SeenProfile:
    """A player as the database knows it, with what decides how much of it somebody else may see."""

    player: UUID
    display_name: str
    generation: int
    title: str | None
    community: str | None
    achievements: int
    badges: int
    invited: int
    xp: int
    influence: int
    supporters: int
    created_at_ms: int
    last_seen_at_ms: int  #: 0: never
    playing: bool  #: in the memory of a node that lives
    shown: bool  #: neither shadow-limited nor banned
    relation: Relation  #: of who asks to this player
    privacy: Privacy


_OWN = """
    SELECT p.display_name, s.locale, p.telegram_id IS NOT NULL, p.premium, p.referral_code, p.generation, p.xp,
        ms_from_time(p.created_at), ms_from_time(s.renamed_at),
        s.profile_audience::text, s.rank_audience::text, s.status_audience::text,
        ms_from_time(w.set_at), (
            SELECT count(*) FROM account_recovery AS r
            WHERE r.player_id = p.id AND r.used_at IS NULL AND r.expires_at > time_from_ms($2)
        ), m.state::text, ms_from_time(m.expires_at), ms_from_time(m.due_at)
    FROM players AS p
    LEFT JOIN player_settings AS s ON s.player_id = p.id
    LEFT JOIN recovery_passphrases AS w ON w.player_id = p.id
    LEFT JOIN account_moves AS m ON m.player_id = p.id AND m.closed_at IS NULL
        AND (m.state = 'confirmed' OR m.expires_at > time_from_ms($2))
    WHERE p.id = $1
"""
_SEEN = """
    SELECT v.public_id, v.display_name, v.generation, v.title, v.community, v.achievements, v.badges, v.invited, v.xp,
        v.influence, v.supporters, ms_from_time(v.created_at), ms_from_time(v.last_seen_at),
        EXISTS (SELECT FROM nodes AS n WHERE n.name = v.owner_node AND n.lease_until > time_from_ms($3)),
        is_shown(v.shadow_limited_at, v.erased_at, v.banned_until, time_from_ms($3)),
        CASE WHEN v.id = $1 THEN 'self' WHEN f.state = 'accepted' THEN 'friend' WHEN f.state = 'blocked' THEN 'blocked'
            ELSE 'stranger' END,
        s.profile_audience::text, s.rank_audience::text, s.status_audience::text
    FROM player_profiles AS v
    LEFT JOIN player_settings AS s ON s.player_id = v.id
    LEFT JOIN friendships AS f ON f.low_id = least(v.id, $1) AND f.high_id = greatest(v.id, $1)
    WHERE v.public_id = $2 AND v.erased_at IS NULL
"""
_SET_LOCALE = """
    INSERT INTO player_settings (player_id, locale) VALUES ($1, $2)
    ON CONFLICT (player_id) DO UPDATE SET locale = excluded.locale
"""
_USE_RENAMING = """
    INSERT INTO player_settings AS s (player_id, renamed_at) VALUES ($1, time_from_ms($2))
    ON CONFLICT (player_id) DO UPDATE SET renamed_at = excluded.renamed_at WHERE s.renamed_at IS NULL
"""
_SET_PRIVACY = """
    INSERT INTO player_settings (player_id, profile_audience, rank_audience, status_audience)
    VALUES ($1, $2::text::audience, $3::text::audience, $4::text::audience)
    ON CONFLICT (player_id) DO UPDATE SET profile_audience = excluded.profile_audience,
        rank_audience = excluded.rank_audience, status_audience = excluded.status_audience
"""


class ProfileStore:
    """Profiles in PostgreSQL.

    Every method raises `LoginEnded` where who asks is logged in no more, and `DatabaseUnavailable` while the database
    is away.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def own(self, caller: Caller, now_ms: int) -> OwnProfile:
        """The caller's own profile."""
        return await self._database.transaction(_own, caller, now_ms)

    async def change(self, caller: Caller, display_name: str | None, locale: str | None, now_ms: int) -> bool:
        """Rename the caller, set the locale, or both; None leaves it as it is.

        Returns:
            False: the one free renaming is used, and nothing was changed. The present name is no renaming.
        """
        return await self._database.transaction(_change, caller, display_name, locale, now_ms)

    async def set_privacy(self, caller: Caller, privacy: Privacy) -> None:
        """Say who sees what of the caller, from now on."""
        await self._database.transaction(_set_privacy, caller, privacy)

    async def seen(self, caller: Caller, player: UUID, now_ms: int) -> SeenProfile | None:
        """A player with what decides how much the caller may see; None: there is none, or no more."""
        return await self._database.transaction(_seen, caller, player, now_ms)


async def _own(connection: Connection, caller: Caller, now_ms: int) -> OwnProfile:
    row = await connection.fetchrow(_OWN, await player_of(connection, caller), now_ms)
    assert row is not None, "the row of a player is never removed"
    values = tuple(row)
    return OwnProfile(*(*values[:9], _privacy(*values[9:12]), *values[12:]))


async def _change(
    connection: Connection, caller: Caller, display_name: str | None, locale: str | None, now_ms: int
) -> bool:
    player_id = await player_of(connection, caller, to_change=True)
    present = await connection.fetchval("SELECT display_name FROM players WHERE id = $1", player_id)
    if display_name is not None and display_name != present:
        if await connection.execute(_USE_RENAMING, player_id, now_ms) == "INSERT 0 0":
            return False
        await connection.execute("UPDATE players SET display_name = $2 WHERE id = $1", player_id, display_name)
    if locale is not None:
        await connection.execute(_SET_LOCALE, player_id, locale)
    return True


async def _set_privacy(connection: Connection, caller: Caller, privacy: Privacy) -> None:
    player_id = await player_of(connection, caller, to_change=True)
    await connection.execute(_SET_PRIVACY, player_id, privacy.profile, privacy.rank, privacy.status)


async def _seen(connection: Connection, caller: Caller, player: UUID, now_ms: int) -> SeenProfile | None:
    row = await connection.fetchrow(_SEEN, await player_of(connection, caller), player, now_ms)
    if row is None:
        return None
    values = tuple(row)
    return SeenProfile(*(*values[:15], Relation(values[15]), _privacy(*values[16:])))


def _privacy(profile: str | None, rank: str | None, status: str | None) -> Privacy:
    if profile is None or rank is None or status is None:  # no row: the defaults
        return Privacy()
    return Privacy(Audience(profile), Audience(rank), Audience(status))
