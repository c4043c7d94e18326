"""Who may connect: limits on sockets in all and per address, on handshakes in progress and per second.

Sans-I/O. A transport asks `admit` for each connection it has accepted, says `opened` when the opening handshake is
over, and `release` when the socket is gone. Whoever is refused is answered 503 and when to come back.

What one address is: `gameserver.rate_limits.customer`. Behind a proxy everybody has the proxy's address; there the
limit per address is the proxy's business and is switched off here.

A refused connection uses up no handshake: who knocks too often is not locked out for longer, and a peer that is over
its own limit takes nothing away from the others.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from gameserver.edge.upgrade import Refusal
from gameserver.rate_limits.customer import customer_of
from gameserver.settings import Settings

#: Each one is a task with a parser of its own for up to the handshake's deadline; the kernel's queue is as long.
MAX_HANDSHAKES = 4_096
FULL_RETRY_S = 5  #: players leave by and by
BUSY_RETRY_S = 1  #: handshakes are over soon


@dataclass(slots=True)
class AdmissionStatistics:
    """The sockets of a node at one moment, and who has been refused since the start."""

    sockets: int = 0  #: counted in, handshakes in progress included
    max_sockets: int = 0  #: how many there may be
    handshakes: int = 0  #: in progress
    addresses: int = 0  #: that have a socket
    admitted_total: int = 0  #: connections taken
    refused_full_total: int = 0  #: all sockets were taken
    refused_address_total: int = 0  #: their address had its share
    refused_busy_total: int = 0  #: too many handshakes in progress
    refused_rate_total: int = 0  #: too many handshakes this second


class Admission:
    """Counts sockets in and out.

    Args:
        max_sockets: at most so many at a time.
        max_sockets_per_address: at most so many of one address; 0 = any number.
        handshakes_per_s: at most so many begin in a second, as many at once; 0 = any number.
        exempt_loopback: whether the two limits before do not hold for this machine itself.
        now_s: monotonic seconds.
        max_handshakes: at most so many in progress.
    """

    def __init__(
        self,
        max_sockets: int,
        max_sockets_per_address: int,
        handshakes_per_s: int,
        *,
        exempt_loopback: bool,
        now_s: Callable[[], float],
        max_handshakes: int = MAX_HANDSHAKES,
    ) -> None:
        self._max_sockets = max_sockets
        self._max_per_address = max_sockets_per_address
        self._per_s = handshakes_per_s
        self._exempt_loopback = exempt_loopback
        self._now_s = now_s
        self._max_handshakes = max_handshakes
        self._by_address: dict[str, int] = {}
        # Token bucket: what it held at a moment; it holds one second's worth at most.
        self._bucket = float(handshakes_per_s)
        self._bucket_at_s = now_s()
        self._counts = AdmissionStatistics(max_sockets=max_sockets)

    @classmethod
    def of(cls, settings: Settings, now_s: Callable[[], float]) -> Self:
        """As the settings want it; `now_s`: monotonic seconds."""
        return cls(
            settings.max_sockets,
            settings.max_sockets_per_address,
            settings.handshakes_per_s,
            exempt_loopback=settings.is_dev,
            now_s=now_s,
        )

    def admit(self, address: str) -> Refusal | None:
        """Count a connection in, whose handshake begins now.

        Args:
            address: the peer's, as `getpeername` writes it.

        Returns:
            None if it is welcome: then `release` must follow, whatever happens. Otherwise why not.
        """
        counts = self._counts
        if counts.sockets >= self._max_sockets:
            counts.refused_full_total += 1
            return _later(FULL_RETRY_S, "All seats are taken; try again.")
        if counts.handshakes >= self._max_handshakes:
            counts.refused_busy_total += 1
            return _later(BUSY_RETRY_S, "Too many players are just coming in; try again.")
        customer, is_loopback = customer_of(address)
        if not (is_loopback and self._exempt_loopback):
            if 0 < self._max_per_address <= self._by_address.get(customer, 0):
                counts.refused_address_total += 1
                return _later(FULL_RETRY_S, f"Your address has {self._max_per_address} sockets; close one of them.")
            if self._per_s and not self._take_from_bucket():
                counts.refused_rate_total += 1
                wait_s = math.ceil((1 - self._bucket) / self._per_s)
                return _later(max(wait_s, 1), "Too many players come in this second; try again.")
        self._by_address[customer] = self._by_address.get(customer, 0) + 1
        counts.sockets += 1
        counts.handshakes += 1
        counts.admitted_total += 1
        return None

    def opened(self) -> None:
        """The handshake of one that was admitted is over, and its socket lives on."""
        assert self._counts.handshakes > 0
        self._counts.handshakes -= 1

    def release(self, address: str, *, opened: bool) -> None:
        """Count a socket out.

        Args:
            address: what was admitted.
            opened: whether `opened` was called for it.
        """
        customer, _ = customer_of(address)
        left = self._by_address[customer] - 1
        if left:
            self._by_address[customer] = left
        else:
            del self._by_address[customer]  # memory is bounded by the sockets there are, not by those there were
        self._counts.sockets -= 1
        if not opened:
            self.opened()

    def statistics(self) -> AdmissionStatistics:
        """What is there now, and what was refused."""
        return dataclasses.replace(self._counts, addresses=len(self._by_address))

    def _take_from_bucket(self) -> bool:
        now_s = self._now_s()
        self._bucket = min(float(self._per_s), self._bucket + (now_s - self._bucket_at_s) * self._per_s)
        self._bucket_at_s = now_s
        if self._bucket < 1:
            return False
        self._bucket -= 1
        return True


def _later(retry_after_s: int, sentence: str) -> Refusal:
    return Refusal(503, sentence, retry_after_s)
