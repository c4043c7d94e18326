"""Recovery passphrases: which ones can be, and bcrypt, which is slow on purpose.

bcrypt reads at most 72 bytes. What is longer is refused, not cut off: two passphrases that begin alike must not be one.
It takes some 0.25 s of a processor, so it runs in worker threads (bcrypt gives up the GIL): at most `THREADS` at once,
and who would be further back than `MAX_WAITING` is told to come again.
"""

import unicodedata
from collections.abc import Callable
from typing import Final, TypeVar

import bcrypt
import trio

from gameserver.errors import Busy, InvalidArgument

T = TypeVar("T")

MIN_CHARS: Final = 12
MAX_BYTES: Final = 72  #: what bcrypt reads
COST: Final = 12  #: 2^12 rounds
THREADS: Final = 2
MAX_WAITING: Final = 16
RETRY_MS: Final = 2_000


def checked(passphrase: str) -> bytes:
    """The bytes of a passphrase, the same for each way of typing it (NFC).

    Raises:
        InvalidArgument: too short, too long or not printable; says which, and never what it was.
    """
    text = unicodedata.normalize("NFC", passphrase)
    if text.isprintable() and len(text) >= MIN_CHARS:
        data = text.encode()
        if len(data) <= MAX_BYTES:
            return data
    raise InvalidArgument(f"a passphrase has at least {MIN_CHARS} printable characters and at most {MAX_BYTES} bytes")


class Passphrases:
    """Hashes and checks passphrases.

    Args:
        cost: the logarithm of the rounds, 4 … 31.
    """

    def __init__(self, *, cost: int = COST) -> None:
        self._cost = cost
        self._threads = trio.CapacityLimiter(THREADS)
        # Well-formed, and no passphrase's: what is checked where there is nothing to check takes as long.
        self._nobodys = bcrypt.gensalt(cost) + b"." * 31

    async def hash(self, passphrase: bytes) -> str:
        """The hash to be kept.

        Raises:
            Busy: too many are waiting; try again.
        """
        return (await self._in_thread(bcrypt.hashpw, passphrase, bcrypt.gensalt(self._cost))).decode()

    async def matches(self, passphrase: bytes, kept: str | None) -> bool:
        """Whether it is the one whose hash was kept; takes as long where none was.

        Raises:
            Busy: too many are waiting; try again.
        """
        return await self._in_thread(bcrypt.checkpw, passphrase, self._nobodys if kept is None else kept.encode())

    async def _in_thread(self, function: Callable[[bytes, bytes], T], passphrase: bytes, salt: bytes) -> T:
        if self._threads.statistics().tasks_waiting >= MAX_WAITING:
            raise Busy("too many passphrases are being checked; try again", retry_after_ms=RETRY_MS)
        return await trio.to_thread.run_sync(function, passphrase, salt, limiter=self._threads)
