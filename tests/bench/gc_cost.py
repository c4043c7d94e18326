"""What Python's cyclic collector costs with thousands of players connected: `python -m tests.bench.gc_cost [PLAYERS]`.

Everything a connected player is made of but the socket: session, outbox, cell, actor. One way of running the collector
after the other, each in a process of its own: as Python has it, with one freeze after the start, with late thresholds,
and settled as the server does it (`gameserver/garbage.py`). The machine's noise is in the figures; compare columns.
"""

import gc
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gameserver.clock import ManualClock
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


def connecting(clock: "ManualClock") -> "tuple[Callable[[], tuple[Session, object]], Callable[[], None]]":
    """What makes one more player who is connected and has been greeted; and the heartbeat's beat."""
    from gameserver.actors.actor import Cell
    from gameserver.actors.player import PlayerActor
    from gameserver.actors.tally import Tally
    from gameserver.edge.heartbeat import Heartbeat
    from gameserver.edge.session import Counters, Session, Surroundings
    from hotpath.player_state import World
    from tests.fakes.game_client import HELLO, hello_map
    from tests.fakes.lone_session import HeldDoor
    from tests.fakes.other_side import pack
    from tests.fakes.player_database import PlayerDatabase

    door, world, tally, heartbeat = HeldDoor(), World(), Tally(), Heartbeat(clock)
    shared = Surroundings(clock, door, heartbeat, Counters())
    hello = pack([HELLO, 0, hello_map(token="x")])

    def connect() -> tuple[Session, object]:
        database = PlayerDatabase()  # the server has no such thing, so it goes again
        cell: Cell[PlayerActor] = Cell(
            clock=clock,
            start_drain=lambda _: None,
            on_failure=lambda *_: None,
            observe_turn_s=lambda _: None,
            forward=lambda _: None,
            accepts_writes=lambda: True,
        )
        loaded = database.load(database.add())
        cell.activate(
            PlayerActor(
                loaded, world=world, tally=tally, clock=clock, mark_dirty=lambda _: None, dropped=lambda *_: None
            )
        )
        session = Session(shared, wake=lambda: None, abort=lambda: None)
        session.receive(hello)
        waiting, greeting = door.waiting.pop()
        waiting.join(cell, greeting, "login", None)
        while session.outbox.pop() is not None:
            pass
        return session, cell

    return connect, heartbeat.beat


def measure(way: str, players: int) -> str:
    """One line of the table."""
    import gameserver.main  # noqa: F401 - the modules the server has loaded are objects too
    from gameserver.clock import ManualClock
    from gameserver.garbage import Garbage

    clock = ManualClock()
    connect, beat_heart = connecting(clock)
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
        clock.advance(BEAT_MS)
        beat_heart()
        if way == "settled":
            garbage.settle()

    connected = []
    for number in range(players):
        connected.append(connect())
        if number % ARRIVALS_PER_BEAT == 0:
            pass_time()
    storm = pauses.take()
    for number in range(players):  # everybody comes anew; who was there is freed by counting references
        connected[number][0].gone()
        connected[number] = connect()
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
