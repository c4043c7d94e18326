"""Moving a player to another Telegram account, with both sides' consent.

The old side, logged in, is given a code; the new side enters it and proves itself by `initData`. Then nothing happens
for `COOLING_S`, in which the old side sees what is under way and may cancel: a stolen login alone takes nothing away
unseen. After that the schedule completes the move (`persistence.schedule_store`), once. Nothing of this needs the new
side to be a player; one who has played by then keeps it from happening, for no tokens change hands.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from gameserver.clock import Clock
from gameserver.errors import Conflict, Forbidden, NotFound
from gameserver.identity.accounts import Accounts
from gameserver.identity.security_log import AddressHash
from gameserver.identity.throttling import BY_TELEGRAM, FROM_ADDRESS, OWN_CHANGES, admit, network_of, subject
from gameserver.identity.visitor import UNKNOWN, Visitor
from persistence.account_changes import CODE_BYTES, hash_of_code
from persistence.caller import Caller
from persistence.errors import Duplicate
from persistence.move_store import Confirmation, MoveStore
from persistence.throttle_store import ThrottleStore

OFFER_S: Final = 3_600  #: how long the new side may confirm
COOLING_S: Final = 86_400  #: how long the old side may cancel after that

_CONFLICTS: Final = {
    Confirmation.SAME: "the player belongs to this Telegram account already",
    Confirmation.PLAYED: "this Telegram account has a player of its own who has played",
    Confirmation.EXPECTS_ANOTHER: "another player is about to move to this Telegram account",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What the old side shows to the new one."""

    code: str
    expires_at_ms: int


class Moves:
    """Offers, confirms and cancels moves. `DatabaseUnavailable` passes through: nothing was done then.

    Args:
        store: where they are kept.
        throttles: where attempts to confirm are counted.
        accounts: checks `initData`.
        clock: the present.
        address_hash: how addresses are named.
    """

    def __init__(
        self,
        store: MoveStore,
        throttles: ThrottleStore,
        accounts: Accounts,
        clock: Clock,
        address_hash: AddressHash,
    ) -> None:
        self._store = store
        self._throttles = throttles
        self._accounts = accounts
        self._clock = clock
        self._address_hash = address_hash

    async def offer(self, caller: Caller) -> Offer:
        """Draw a code with which another Telegram account may take the caller's player; an older one is good no more.

        Raises:
            LoginEnded: the caller is logged in no more.
            Conflict: a move has been confirmed already; cancel it first.
            RateLimited: too many offers lately.
        """
        now_ms = self._clock.now_ms()
        await admit(self._throttles, {subject("offers of", caller.player): OWN_CHANGES}, now_ms)
        code = secrets.token_urlsafe(CODE_BYTES)
        expires_at_ms = now_ms + OFFER_S * 1_000
        if not await self._store.offer(caller, hash_of_code(code), now_ms, expires_at_ms):
            raise Conflict("a move has been confirmed already: cancel it first")
        return Offer(code, expires_at_ms)

    async def confirm(self, init_data: str, code: str, visitor: Visitor = UNKNOWN) -> int:
        """Say that the Telegram account of `init_data` takes the player of the code.

        Args:
            init_data: proves the new Telegram account.
            code: from the old side.
            visitor: who confirms.

        Returns:
            When the move is completed, Unix milliseconds.

        Raises:
            Unauthenticated: `init_data` proves nothing.
            Forbidden: the code is unknown, expired, taken back or used.
            Conflict: that Telegram account cannot take the player; says why.
            RateLimited: too many attempts from this address or by this Telegram account.
        """
        telegram_id = self._accounts.prove_telegram(init_data, visitor).user_id
        now_ms = self._clock.now_ms()
        by_telegram = subject("move by", telegram_id)
        from_address = subject("move from", self._address_hash.of(network_of(visitor.address)))
        await admit(self._throttles, {by_telegram: BY_TELEGRAM, from_address: FROM_ADDRESS}, now_ms)
        due_at_ms = now_ms + COOLING_S * 1_000
        try:
            outcome = await self._store.confirm(hash_of_code(code), telegram_id, now_ms, due_at_ms)
        except Duplicate:  # two at once to the same Telegram account
            outcome = Confirmation.EXPECTS_ANOTHER
        if outcome is Confirmation.UNKNOWN:
            raise Forbidden("this code is unknown, expired, taken back or used")
        if outcome in _CONFLICTS:
            raise Conflict(_CONFLICTS[outcome])
        await self._throttles.forget([by_telegram])
        return due_at_ms

    async def cancel(self, caller: Caller) -> None:
        """Cancel the caller's move, offered or confirmed.

        Raises:
            LoginEnded: the caller is logged in no more: also when the move was completed.
            NotFound: none is open.
        """
        if not await self._store.cancel(caller, self._clock.now_ms()):
            raise NotFound("no move of this account is under way")
