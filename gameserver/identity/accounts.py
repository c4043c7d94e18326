"""Logging in, staying in, logging out.

A login is a session: a family of refresh tokens of which only the newest is good. Refresh tokens are opaque and stored
only as hashes; the store rotates them and ends the family when a used one is shown again. Access tokens are verified
without looking anything up, so that a socket costs no round trip; the public id is resolved when the player is loaded.
"""

import contextlib
import hashlib
import re
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol
from uuid import UUID

from gameserver.clock import Clock
from gameserver.errors import Forbidden, InvalidArgument, Unauthenticated
from gameserver.identity.barred import Banned, Barred
from gameserver.identity.security_log import SecurityLog
from gameserver.identity.telegram import BadInitData, TelegramLogin, TelegramVerifier
from gameserver.identity.tokens import AccessClaims, TokenIssuer
from gameserver.identity.visitor import UNKNOWN, Visitor, printable
from gameserver.rate_limits.limiter import RateLimits
from gameserver.rate_limits.table import LimitClass
from persistence.account_store import AccountRow, LoginProof
from persistence.registration import Newcomer
from persistence.security_log_store import SecurityEvent
from persistence.session_store import NewSession

REFRESH_TTL_S: Final = 7 * 86_400
MAX_NAME_CHARS: Final = 64  #: of a display name

_REFRESH_TOKEN_BYTES: Final = 32
_MAX_REFRESH_CHARS: Final = 128
_NAMELESS: Final = "Player"
_INVITATION: Final = re.compile(r"r_([0-9A-Za-z]{8,12})", re.ASCII)  # game rules, "Referrals"


class AccountStore(Protocol):
    """Where accounts and sessions are kept."""

    async def login_by_telegram(self, user: Newcomer, session: NewSession, proof: LoginProof) -> AccountRow:
        """Record a login of this Telegram user; registers the player the first time."""
        ...

    async def login_by_dev_name(self, name: str, session: NewSession) -> AccountRow:
        """Record a login without Telegram; the same name is the same player."""
        ...

    async def rotate_refresh(
        self, old_hash: bytes, new_hash: bytes, now_ms: int, refresh_ttl_s: int, address: str, address_hash: str
    ) -> AccountRow | None:
        """Replace a refresh token; None: unknown, expired, or used before, which ended its session."""
        ...

    async def end_session(self, session_id: UUID) -> None:
        """End a session; one that has ended already stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """A login or its renewal: who it is, and the tokens to go on with."""

    player_id: int
    public_id: UUID
    session_id: UUID
    display_name: str
    access: str
    refresh: str
    expires_in_s: int  #: of `access`
    created: bool  #: this login registered the player


class Accounts:
    """The front desk. What the store raises while the database is away passes through; nothing was recorded then.

    Args:
        store: where accounts and sessions are kept.
        issuer: signs and verifies access tokens.
        clock: where the present comes from.
        telegram: whose signature under a login counts.
        dev: whether names alone may log in.
        barred: who may not play although the token verifies.
        security_log: told what was refused.
        limits: how often somebody may log in.
    """

    def __init__(
        self,
        store: AccountStore,
        issuer: TokenIssuer,
        clock: Clock,
        *,
        telegram: TelegramVerifier,
        dev: bool,
        barred: Barred,
        security_log: SecurityLog,
        limits: RateLimits,
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._clock = clock
        self._telegram = telegram
        self._dev = dev
        self._barred = barred
        self._security_log = security_log
        self._limits = limits

    async def login_telegram(self, init_data: str, visitor: Visitor = UNKNOWN) -> Login:
        """Log in whoever opened the Mini App; the same `initData` within its age logs in the same player again.

        Args:
            init_data: as Telegram gave it to the page.
            visitor: who shows it.

        Raises:
            BadInitData: it proves nothing.
            RateLimited: too many logins from there, or of this user.
        """
        now_ms = self._look(visitor)
        user = self.prove_telegram(init_data, visitor)
        with self._judging("init_data", visitor):
            return await self._login_telegram("init_data", user, visitor, now_ms)

    async def login_widget(self, fields: Mapping[str, str | int], visitor: Visitor = UNKNOWN) -> Login:
        """Log in whoever used Telegram's login widget on a page; the same fields are the same login, as above.

        Args:
            fields: everything the widget gave to the page.
            visitor: who shows it.

        Raises:
            BadInitData: they prove nothing.
            RateLimited: as above.
        """
        now_ms = self._look(visitor)
        with self._judging("widget", visitor):
            user = self._telegram.widget(fields, now_ms // 1000)
            return await self._login_telegram("widget", user, visitor, now_ms)

    def _look(self, visitor: Visitor) -> int:
        """The present, in ms, where a login from there may be judged; before it is, nobody knows whose it is."""
        self._limits.demand(LimitClass.LOGIN, self._limits.caller(visitor.address), take=False)
        return self._clock.now_ms()

    async def _login_telegram(
        self, kind: Literal["init_data", "widget"], user: TelegramLogin, visitor: Visitor, now_ms: int
    ) -> Login:
        self._limits.demand(LimitClass.LOGIN, self._limits.caller(visitor.address, user.user_id))
        invitation = _INVITATION.fullmatch(user.start_param)
        newcomer = Newcomer(
            display_name(user),
            telegram_id=user.user_id,
            premium=user.is_premium,
            invited_by=invitation[1] if invitation else "",
        )
        refresh, session = self._new_session(visitor, now_ms)
        proof = LoginProof(
            kind, user.digest, not_before_ms=max(1, 1000 * (user.auth_date_s - self._telegram.max_skew_s))
        )
        return self._login(await self._store.login_by_telegram(newcomer, session, proof), refresh)

    async def login_dev(self, name: str, visitor: Visitor = UNKNOWN) -> Login:
        """Log in by name alone, for development and load tests; the same name is the same player.

        Args:
            name: 1 to 64 printable characters, spaces only inside.
            visitor: who shows it.

        Raises:
            Forbidden: this server is not in dev mode.
            InvalidArgument: no such name can be.
            RateLimited: too many logins from there.
        """
        if not self._dev:
            raise Forbidden("login by name exists only with GAME_ENV=dev")
        self._limits.demand(LimitClass.LOGIN, self._limits.caller(visitor.address))
        if not 1 <= len(name) <= MAX_NAME_CHARS or name != printable(name):
            raise InvalidArgument(f"a name has 1 to {MAX_NAME_CHARS} printable characters and single spaces inside")
        refresh, session = self._new_session(visitor, self._clock.now_ms())
        row = await self._store.login_by_dev_name(name, session)
        return self._login(row, refresh)

    async def refresh(self, refresh_token: str, visitor: Visitor = UNKNOWN) -> Login:
        """Trade a refresh token for new tokens; each is good once.

        Args:
            refresh_token: the newest one of the session.
            visitor: who shows it.

        Raises:
            Unauthenticated: unknown, expired, or used before; in the last case its whole session has ended.
            RateLimited: too many from there.
        """
        self._limits.demand(LimitClass.REFRESH, self._limits.caller(visitor.address))
        with self._judging("refresh_token", visitor):
            if len(refresh_token) > _MAX_REFRESH_CHARS or not refresh_token.isascii():
                raise Unauthenticated("this is not a refresh token")
            successor = secrets.token_urlsafe(_REFRESH_TOKEN_BYTES)
            row = await self._store.rotate_refresh(
                _hash(refresh_token),
                _hash(successor),
                self._clock.now_ms(),
                REFRESH_TTL_S,
                visitor.address,
                self._security_log.address_hash(visitor),
            )
            if row is None:
                raise Unauthenticated("the refresh token is not good any more: log in again")
            return self._login(row, successor)

    async def logout(self, session_id: UUID) -> None:
        """End a login: its refresh token is good no more."""
        await self._store.end_session(session_id)

    def prove_telegram(self, init_data: str, visitor: Visitor = UNKNOWN) -> TelegramLogin:
        """Whose Telegram account an `initData` speaks for; nobody is logged in or registered by it.

        Args:
            init_data: as Telegram gave it to the page.
            visitor: who shows it.

        Raises:
            BadInitData: it proves nothing.
            RateLimited: too many bad credentials from there.
        """
        with self._judging("init_data", visitor):
            return self._telegram.init_data(init_data, self._clock.now_ms() // 1000)

    def verify(self, access_token: str, visitor: Visitor = UNKNOWN) -> AccessClaims:
        """Who shows this access token; looks nothing up but who is barred.

        Args:
            access_token: as the client sent it.
            visitor: who shows it.

        Raises:
            Unauthenticated: it does not verify; `expired` if it once did. Or its login has ended.
            Banned: the player is.
            RateLimited: too many bad credentials from there.
        """
        with self._judging("access_token", visitor):
            claims = self._issuer.verify(access_token, self._clock.now_ms() // 1000)
            self._judge(claims.player, claims.session)
            return claims

    @contextlib.contextmanager
    def _judging(self, credential: str, visitor: Visitor) -> Iterator[None]:
        """Inside, the credential is judged: not at all where there were too many bad ones from that address.

        One that is refused is noted in the security log; one that is only too old is no event.
        """
        caller = self._limits.caller(visitor.address)
        self._limits.demand(LimitClass.CREDENTIAL, caller, take=False)
        try:
            yield
        except Banned:
            self._security_log.note(SecurityEvent.LOGIN_REFUSED, f"{credential}: banned", visitor=visitor)
            raise
        except Unauthenticated as error:
            if not error.expired:
                why = error.fault.value if isinstance(error, BadInitData) else "not good"
                self._security_log.note(SecurityEvent.LOGIN_REFUSED, f"{credential}: {why}", visitor=visitor)
                self._limits.count(LimitClass.CREDENTIAL, caller)
            raise

    def _judge(self, player: UUID, session: UUID) -> None:
        if (error := self._barred.refusal(player, session)) is not None:
            raise error

    def _login(self, row: AccountRow, refresh: str) -> Login:
        self._judge(row.public_id, row.session_id)
        return Login(
            player_id=row.player_id,
            public_id=row.public_id,
            session_id=row.session_id,
            display_name=row.display_name,
            access=self._issuer.issue(row.public_id, row.session_id, self._clock.now_ms() // 1000),
            refresh=refresh,
            expires_in_s=self._issuer.ttl_s,
            created=row.created,
        )

    def _new_session(self, visitor: Visitor, now_ms: int) -> tuple[str, NewSession]:
        refresh = secrets.token_urlsafe(_REFRESH_TOKEN_BYTES)
        return refresh, NewSession(
            id=uuid.uuid4(),
            refresh_hash=_hash(refresh),
            expires_at_ms=now_ms + REFRESH_TTL_S * 1000,
            client=visitor.client,
            created_at_ms=now_ms,
            address=visitor.address,
            address_hash=self._security_log.address_hash(visitor),
        )


def display_name(user: TelegramLogin) -> str:
    """The name others see: first and last name, else the user name; printable, at most 64 characters."""
    full = printable(f"{user.first_name} {user.last_name}")[:MAX_NAME_CHARS].rstrip()
    return full or printable(user.username)[:MAX_NAME_CHARS] or _NAMELESS


def _hash(refresh_token: str) -> bytes:
    # A random 256-bit token cannot be guessed, so a fast hash keeps it as safe as a slow one.
    return hashlib.sha256(refresh_token.encode()).digest()
