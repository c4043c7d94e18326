"""What Python's cyclic collector costs with thousands of players connected: `python -m tests.bench.gc_cost [PLAYERS]`.

Everything a connected player is made of but the socket: session, outbox, cell, actor. One way of running the collector
after the other, each in a process of its own: as Python has it, with one freeze after the start, with late thresholds,
and settled as the server does it (`gameserver/garbage.py`). The machine's noise is in the figures; compare columns.
"""

import gc
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gameserver.edge.session import Session

WAYS = ("as Python has it", "one freeze", "late thresholds", "settled")
ARRIVALS_PER_BEAT = 500  #: 2 000 players a second
BEAT_MS = 250


class Pauses:
    """The collector's pauses in one phase."""

    def __init__(self) -> None:
        self._began_s = 0.0
        self._pauses_ms: list[float] = []
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        del info
        now_s = time.perf_counter()
        if phase == "start":
            self._began_s = now_s
        else:
            self._pauses_ms.append((now_s - self._began_s) * 1_000)

    def take(self) -> str:
        """The longest and the sum since the last time, in ms."""
        pauses_ms, self._pauses_ms = self._pauses_ms, []
        return f"{max(pauses_ms, default=0):6.1f} {sum(pauses_ms):7.1f}"


class Crowd:
    """Players who are connected and have been greeted, without their sockets."""

    def __init__(self) -> None:
        from tests.fakes.lone_session import LoneSession

        self._lone = LoneSession()
        self._lone.database.mark_dirty = lambda _: None  # type: ignore[method-assign, assignment]  # no list
        self._habitat = self._lone.database.habitat(self._lone.clock)

    def connect(self) -> "tuple[Session, object]":
        """One more: his session, and what the registry keeps of him."""
        from gameserver.actors.player import PlayerActor
        from gameserver.edge.session import Session
        from hotpath.outbox import Outbox

        lone = self._lone
        lone.cell = lone.new_cell()
        lone.session = Session(lone.shared, Outbox(lambda: None), lambda: None)
        loaded = lone.database.load(lone.database.add())
        lone.database.dirty.clear()
        lone.database.rows.clear()  # the server has no such thing
        lone.cell.activate(PlayerActor(loaded, self._habitat))
        lone.live()
        return lone.session, lone.cell

    def wait(self, ms: int) -> None:
        """Time passes, and the heart beats."""
        self._lone.wait(ms, step_ms=ms)


def measure(way: str, players: int) -> str:
    """One line of the table."""
    import gameserver.main  # noqa: F401 - the modules the server has loaded are objects too
    from gameserver.garbage import Garbage

    crowd = Crowd()
    garbage = Garbage(lambda *_: None)
    if way == "settled":
        garbage.look_at_everything()
    elif way != "as Python has it":
        gc.collect()
        gc.freeze()
    if way == "late thresholds":
        gc.set_threshold(10_000, 50, 1_000)
    pauses = Pauses()

    def pass_time() -> None:
        crowd.wait(BEAT_MS)
        if way == "settled":
            garbage.settle()

    connected = []
    for number in range(players):
        connected.append(crowd.connect())
        if number % ARRIVALS_PER_BEAT == 0:
            pass_time()
    storm = pauses.take()
    for number in range(players):  # everybody comes anew; who was there is freed by counting references
        connected[number][0].gone()
        connected[number] = crowd.connect()
        if number % ARRIVALS_PER_BEAT == 0:
            pass_time()
    anew = pauses.take()
    gc.collect()
    return f"{storm}   {anew}   {pauses.take()[:6]}"


def main() -> None:
    """Print the table, or one line's figures for the process that asked."""
    if len(sys.argv) > 2:
        print(measure(sys.argv[2], int(sys.argv[1])))  # noqa: T201 - the answer
        return
    players = sys.argv[1] if len(sys.argv) > 1 else "10000"
    print(f"{players} players; pauses in ms: longest, sum")  # noqa: T201 - the answer
    print(f"{'':18}{'they come':>14}   {'all anew':>14}   full collection")  # noqa: T201 - the answer
    for way in WAYS:
        line = subprocess.run(
            [sys.executable, "-m", "tests.bench.gc_cost", players, way], check=True, capture_output=True, text=True
        )
        print(f"{way:18}{line.stdout.rstrip()}", flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
