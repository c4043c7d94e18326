"""Getting an account back without its Telegram account: with a passphrase, or with a one-time code.

Both are set while one is still logged in. Recovery moves the account to the Telegram account that asks, which proves
itself by `initData`, and ends every login and every move that was under way. Whatever is wrong, account, passphrase or
code, the answer is the same; where there is no such account, a passphrase is checked all the same, so that time does
not tell either.
"""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gameserver.clock import Clock
from gameserver.errors import Conflict, Forbidden, InvalidArgument
from gameserver.identity.accounts import Accounts
from gameserver.identity.passphrases import Passphrases, checked
from gameserver.identity.security_log import AddressHash
from gameserver.identity.throttling import (
    BY_TELEGRAM,
    FROM_ADDRESS,
    OF_ACCOUNT,
    OWN_CHANGES,
    admit,
    network_of,
    subject,
)
from gameserver.identity.visitor import UNKNOWN, Visitor
from persistence.account_changes import CODE_BYTES, hash_of_code
from persistence.caller import Caller
from persistence.errors import Duplicate
from persistence.recovery_store import Recoverable, RecoveryStore
from persistence.throttle_store import ThrottleStore

CODES: Final = 8  #: drawn at once
CODES_TTL_S: Final = 30 * 86_400  #: the longest that the database keeps one good

_REFUSED: Final = "account, passphrase or code is wrong"


@dataclass(frozen=True, slots=True)
class Codes:
    """One-time codes, shown once."""

    codes: tuple[str, ...]
    expires_at_ms: int


class Recovery:
    """Sets what recovers an account, and recovers it. `DatabaseUnavailable` passes through: nothing was done then.

    Args:
        store: where passphrases and codes are kept.
        throttles: where attempts are counted.
        accounts: checks `initData`.
        passphrases: hashes and checks passphrases.
        clock: the present.
        address_hash: how addresses are named.
    """

    def __init__(
        self,
        store: RecoveryStore,
        throttles: ThrottleStore,
        accounts: Accounts,
        passphrases: Passphrases,
        clock: Clock,
        address_hash: AddressHash,
    ) -> None:
        self._store = store
        self._throttles = throttles
        self._accounts = accounts
        self._passphrases = passphrases
        self._clock = clock
        self._address_hash = address_hash

    async def set_passphrase(self, caller: Caller, passphrase: str, old: str | None) -> None:
        """Set the caller's passphrase, or replace it.

        Args:
            caller: who asks.
            passphrase: the new one.
            old: the present one, where there is one.

        Raises:
            LoginEnded: the caller is logged in no more.
            InvalidArgument: no such passphrase can be.
            Forbidden: `old` is missing or wrong.
            Conflict: another request set one just now.
            RateLimited: too many wrong ones, or too many changes, lately.
        """
        new = checked(passphrase)
        kept = await self._prove_passphrase(caller, old)
        await self._admit_change(caller)
        if not await self._store.set_passphrase(caller, kept, await self._passphrases.hash(new), self._clock.now_ms()):
            raise Conflict("the passphrase was changed just now by another request")

    async def issue_codes(self, caller: Caller, passphrase: str | None) -> Codes:
        """Draw new one-time codes for the caller; unused ones from before are good no more.

        Args:
            caller: who asks.
            passphrase: the present one, where there is one.

        Raises:
            LoginEnded: the caller is logged in no more.
            InvalidArgument: no such passphrase can be.
            Forbidden: `passphrase` is missing or wrong.
            RateLimited: too many wrong ones, or too many changes, lately.
        """
        await self._prove_passphrase(caller, passphrase)
        await self._admit_change(caller)
        codes = tuple(secrets.token_urlsafe(CODE_BYTES) for _ in range(CODES))
        now_ms = self._clock.now_ms()
        expires_at_ms = now_ms + CODES_TTL_S * 1_000
        await self._store.issue_codes(caller, [hash_of_code(code) for code in codes], now_ms, expires_at_ms)
        return Codes(codes, expires_at_ms)

    async def recover(
        self,
        init_data: str,
        account: str,
        *,
        passphrase: str | None,
        code: str | None,
        visitor: Visitor = UNKNOWN,
    ) -> UUID:
        """Move an account to the Telegram account that asks.

        Args:
            init_data: proves the new Telegram account.
            account: public id or referral code of the lost one.
            passphrase: the account's passphrase; exactly one of this and `code`.
            code: a one-time code of the account.
            visitor: who asks.

        Returns:
            The account's public id; log in with `init_data`.

        Raises:
            Unauthenticated: `init_data` proves nothing.
            InvalidArgument: not exactly one proof, or no such passphrase can be.
            Forbidden: the proof is not the account's, or there is no such account.
            Conflict: the new Telegram account has a player who has played; a code stays good.
            RateLimited: too many attempts on this account, from this address or by this Telegram account.
        """
        if (passphrase is None) == (code is None):
            raise InvalidArgument("give either the passphrase or a one-time code")
        secret = None if passphrase is None else checked(passphrase)
        telegram_id = self._accounts.prove_telegram(init_data, visitor).user_id
        now_ms, address_hash = self._clock.now_ms(), self._address_hash.of(visitor.address)
        found = await self._store.find(*_named(account))
        of_account = subject("recover account", account if found is None else found.player)
        by_telegram = subject("recover by", telegram_id)
        from_address = subject("recover from", self._address_hash.of(network_of(visitor.address)))
        allowances = {of_account: OF_ACCOUNT, by_telegram: BY_TELEGRAM, from_address: FROM_ADDRESS}
        await admit(self._throttles, allowances, now_ms)
        if secret is not None:
            moved = await self._by_passphrase(found, secret, telegram_id, address_hash)
        else:
            assert code is not None
            moved = await self._by_code(found, code, telegram_id, address_hash)
        if found is None or not moved:
            proof = "code" if secret is None else "passphrase"
            await self._store.refused(
                None if found is None else found.player_id, proof=proof, address_hash=address_hash, now_ms=now_ms
            )
            raise Forbidden(_REFUSED)
        await self._throttles.forget([of_account, by_telegram])
        return found.player

    async def _by_passphrase(
        self, found: Recoverable | None, passphrase: bytes, telegram_id: int, address_hash: str
    ) -> bool:
        kept = None if found is None else found.passphrase_hash
        if not await self._passphrases.matches(passphrase, kept) or found is None or kept is None:
            return False
        with _taken_is_a_conflict():
            return await self._store.move_by_passphrase(
                found, telegram_id, address_hash=address_hash, now_ms=self._clock.now_ms()
            )

    async def _by_code(self, found: Recoverable | None, code: str, telegram_id: int, address_hash: str) -> bool:
        if found is None:
            return False
        with _taken_is_a_conflict():
            return await self._store.move_by_code(
                found, hash_of_code(code), telegram_id, address_hash=address_hash, now_ms=self._clock.now_ms()
            )

    async def _prove_passphrase(self, caller: Caller, passphrase: str | None) -> str | None:
        """The hash that is kept, after the passphrase for it was shown; None where none is kept and none is needed."""
        asking = await self._store.of_caller(caller)
        if asking.passphrase_hash is None:
            return None
        if passphrase is None:
            raise Forbidden("this account has a passphrase: send it along")
        shown = checked(passphrase)
        guesses, now_ms = subject("passphrase of", asking.player), self._clock.now_ms()
        await admit(self._throttles, {guesses: OF_ACCOUNT}, now_ms)
        if not await self._passphrases.matches(shown, asking.passphrase_hash):
            await self._store.refused(asking.player_id, proof="passphrase", address_hash="", now_ms=now_ms)
            raise Forbidden("this is not the passphrase of this account")
        await self._throttles.forget([guesses])
        return asking.passphrase_hash

    async def _admit_change(self, caller: Caller) -> None:
        changes = subject("recovery changes of", caller.player)
        await admit(self._throttles, {changes: OWN_CHANGES}, self._clock.now_ms())


def _named(account: str) -> tuple[UUID | None, str]:
    """What an account is called: by its public id, else by its referral code; neither where it can be neither."""
    try:
        return UUID(account), ""
    except ValueError:
        return None, account if account.isascii() and account.isalnum() else ""


@contextlib.contextmanager
def _taken_is_a_conflict() -> Iterator[None]:
    try:
        yield
    except Duplicate:
        raise Conflict("this Telegram account has a player of its own who has played") from None
