"""How often what guards an account may be tried, and how long to wait after that.

Some attempts are free; then the wait doubles with each one, up to a bound, and a day without an attempt begins anew.
Counted in the database (`persistence.throttle_store`), so that neither another node nor a restart helps who guesses.
What is counted is a hash of the purpose and of whom it concerns: the counts name nobody.
"""

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gameserver.errors import RateLimited
from gameserver.rate_limits.customer import customer_of
from persistence.throttle_store import ThrottleStore


@dataclass(frozen=True, slots=True)
class Allowance:
    """How patient we are.

    Args:
        free: attempts without a wait.
        first_wait_s: after the next one.
        max_wait_s: the wait doubles up to this.
    """

    free: int
    first_wait_s: int
    max_wait_s: int

    def wait_ms(self, attempts: int) -> int:
        """How long to wait after so many attempts (1 and more), in ms."""
        if attempts < self.free:
            return 0
        doublings = min(attempts - self.free, 32)
        return 1_000 * min(self.first_wait_s << doublings, self.max_wait_s)


#: Of one account, by whoever. Not longer than an hour: a stranger who guesses must not shut the owner out for good.
OF_ACCOUNT: Final = Allowance(free=5, first_wait_s=60, max_wait_s=3_600)
#: From one address, which may be many people's.
FROM_ADDRESS: Final = Allowance(free=20, first_wait_s=30, max_wait_s=3_600)
#: By one Telegram account, which is one person's.
BY_TELEGRAM: Final = Allowance(free=5, first_wait_s=60, max_wait_s=86_400)
#: Of what guards the own account: each is kept for months, and nobody needs many.
OWN_CHANGES: Final = Allowance(free=10, first_wait_s=60, max_wait_s=3_600)
#: Of something that costs much and is rarely needed.
EXPORT: Final = Allowance(free=1, first_wait_s=60, max_wait_s=60)


def subject(purpose: str, whom: object) -> bytes:
    """The name under which attempts are counted, 32 bytes."""
    return hashlib.sha256(f"{purpose}:{whom}".encode()).digest()


def network_of(address: str) -> str:
    """Whom an address stands for: itself, or of IPv6 its first 64 bits; what is no address stands for all such."""
    try:
        return customer_of(str(ipaddress.ip_address(address)))[0]
    except ValueError:
        return "unknown"


async def admit(store: ThrottleStore, allowances: Mapping[bytes, Allowance], now_ms: int) -> None:
    """Count an attempt before it is made.

    Args:
        store: where.
        allowances: by subject.
        now_ms: the present.

    Raises:
        RateLimited: one of the subjects has to wait; nothing was counted.
    """
    wait_ms = await store.attempt({what: allowance.wait_ms for what, allowance in allowances.items()}, now_ms)
    if wait_ms:
        raise RateLimited("too many attempts: wait before the next one", retry_after_ms=wait_ms)
