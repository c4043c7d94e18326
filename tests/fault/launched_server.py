"""`gameserver` with something wrong in it: `python -m tests.fault.launched_server OPTIONS -- serve`.

Nothing of this is in the server: it is put over its modules before it starts, in this process alone.
"""

import argparse
import mmap
import random
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gameserver.cli
from gameserver import clock
from gameserver.actors import supervisor
from gameserver.actors.messages import Handler
from gameserver.actors.player import PlayerActor
from gameserver.edge import dispatch
from gameserver.errors import Busy
from persistence import node_lease
from tests.fault.lease_checks import obey_lease_checks
from tests.fault.mutations import MUTATIONS

OFFSET = struct.Struct("<q")  #: of a clock file: ms that the server's wall clock is ahead, signed
RENEWALS_PER_LEASE = 10 / 3
QUARANTINE_MS = 1_000  #: of a player whose handlers have failed too often; a minute would be most of a run


class JumpingClock(clock.SystemClock):
    """The system's clock, off by what stands in a file that others write.

    Args:
        offset: the mapped file.
    """

    __slots__ = ("_offset", "_seen_ms")

    def __init__(self, offset: mmap.mmap) -> None:
        super().__init__()
        self._offset = offset
        self._seen_ms = 0

    def now_ms(self) -> int:
        """As `SystemClock`: stands still while the wall clock is behind an earlier reading."""
        self._seen_ms = max(self._seen_ms, super().now_ms() + OFFSET.unpack_from(self._offset)[0])
        return self._seen_ms


def let_the_clock_jump(path: Path) -> None:
    """Every clock of this process is the system's plus what stands in `path`."""
    with path.open("rb") as file:
        offset = mmap.mmap(file.fileno(), OFFSET.size, prot=mmap.PROT_READ)
    clock.SystemClock = lambda: JumpingClock(offset)  # type: ignore[assignment, misc]  # whoever imports it later


def let_handlers_raise(probability: float) -> None:
    """Each action fails now and then: half of the time by a bug, half of the time with a retryable error."""
    supervisor.QUARANTINE_MS = QUARANTINE_MS
    for name, handler in dispatch.HANDLERS.items():
        dispatch.HANDLERS[name] = _unreliable(handler, probability)


def _unreliable(handler: Handler, probability: float) -> Handler:
    def raising(player: PlayerActor, args: Any, turn: Any) -> Any:
        answer = handler(player, args, turn)  # first: what it has changed must be undone
        if random.random() < probability:
            if random.random() < 0.5:
                raise RuntimeError("a bug, on purpose")
            raise Busy("on purpose", retry_after_ms=50)
        return answer

    return raising


def live_on_a_lease_of(lease_s: float) -> None:
    """A shorter lease, so that a run holds more of them."""
    node_lease.LEASE_S = lease_s
    node_lease.RENEW_S = lease_s / RENEWALS_PER_LEASE


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.launched_server", description=__doc__)
    parser.add_argument("--clock", type=Path, help="file with what the clock is off by")
    parser.add_argument("--raise", dest="raising", type=float, default=0.0, help="how often a handler fails, 0 … 1")
    parser.add_argument("--lease-s", type=float, default=node_lease.LEASE_S)
    parser.add_argument("--lease-checks", type=Path, help="file that says whether leases are checked")
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), help="which promise the server breaks")
    parser.add_argument("command", nargs="+", help="of gameserver")
    arguments = parser.parse_args()
    if arguments.clock:
        let_the_clock_jump(arguments.clock)
    if arguments.raising:
        let_handlers_raise(arguments.raising)
    live_on_a_lease_of(arguments.lease_s)
    if arguments.lease_checks:
        obey_lease_checks(arguments.lease_checks)
    if arguments.mutation:
        mutate: Callable[[], None] = MUTATIONS[arguments.mutation]
        mutate()
    sys.argv = ["gameserver", *arguments.command]
    gameserver.cli.main()


if __name__ == "__main__":
    main()
