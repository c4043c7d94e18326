"""An account store in memory, for the logic above it; the real one is tested against PostgreSQL."""

import uuid
from dataclasses import dataclass, field
from uuid import UUID

from persistence.account_store import AccountRow, LoginProof
from persistence.registration import Newcomer
from persistence.session_store import NewSession


@dataclass
class Session:
    """A login and every refresh token it ever had, the present one last."""

    player_id: int
    hashes: list[bytes]
    expires_at_ms: int
    client: str
    ended: bool = False


@dataclass
class Player:
    """A registered player."""

    id: int
    name: str
    public_id: UUID = field(default_factory=uuid.uuid4)
    premium: bool = False
    invited_by: str = ""


class MemoryAccounts:
    """What `identity.accounts.AccountStore` asks for."""

    def __init__(self) -> None:
        self.players: dict[str, Player] = {}
        self.sessions: dict[UUID, Session] = {}
        self.proofs: list[LoginProof] = []

    async def login_by_telegram(self, user: Newcomer, session: NewSession, proof: LoginProof) -> AccountRow:
        row = self._login(f"telegram:{user.telegram_id}", user.display_name, session)
        player = self.players[f"telegram:{user.telegram_id}"]
        player.premium = player.premium if user.premium is None else user.premium
        player.invited_by = user.invited_by if row.created else player.invited_by
        self.proofs.append(proof)
        return row

    async def login_by_dev_name(self, name: str, session: NewSession) -> AccountRow:
        return self._login(f"dev:{name}", name, session)

    async def rotate_refresh(
        self, old_hash: bytes, new_hash: bytes, now_ms: int, refresh_ttl_s: int, address: str, address_hash: str
    ) -> AccountRow | None:
        del address, address_hash
        for session_id, session in self.sessions.items():
            if old_hash not in session.hashes or session.ended or session.expires_at_ms <= now_ms:
                continue
            if old_hash != session.hashes[-1]:
                session.ended = True
                continue
            session.hashes.append(new_hash)
            session.expires_at_ms = now_ms + refresh_ttl_s * 1000
            player = next(player for player in self.players.values() if player.id == session.player_id)
            return AccountRow(player.id, player.public_id, session_id, player.name, False)
        return None

    async def end_session(self, session_id: UUID) -> None:
        if session_id in self.sessions:
            self.sessions[session_id].ended = True

    def _login(self, key: str, name: str, session: NewSession) -> AccountRow:
        created = key not in self.players
        player = self.players.setdefault(key, Player(len(self.players) + 1, name))
        self.sessions[session.id] = Session(player.id, [session.refresh_hash], session.expires_at_ms, session.client)
        return AccountRow(player.id, player.public_id, session.id, player.name, created)
