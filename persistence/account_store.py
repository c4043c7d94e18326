"""Players and their logins: registration, sessions, refresh tokens.

Registration is one transaction: player, gap-free `join_seq`, generation, session. It is serialised by an advisory lock,
so that a registration that fails leaves no gap and two at once get two numbers.

A session is a refresh-token family: every use of the refresh token replaces it, the hashes of the replaced ones are
kept, and whoever shows one of those again (the thief or the robbed, nobody can tell) ends the whole family.
"""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NewSession:
    """A login to be recorded."""

    id: UUID
    refresh_hash: bytes  #: hash of the refresh token, 32 bytes; the token itself is never stored
    expires_at_ms: int  #: when the refresh token ends
    client: str  #: what the client calls itself
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class AccountRow:
    """Who logged in."""

    player_id: int
    public_id: UUID
    session_id: UUID
    display_name: str
    created: bool  #: this login registered the player
