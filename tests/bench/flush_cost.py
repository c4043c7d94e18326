"""What a durable row costs the server: `python -m tests.bench.flush_cost [--seconds N] [--rate N] [--players N]`.

Real actors are tapped all the time through their seats, each in its turn; the real write-behind writes what changes to
an embedded PostgreSQL on another core. The CPU is this process's alone, by its own clock. Before and after, the same
taps come at the same rate and nobody writes: what they cost, the loop's idling and the collector's beats with them, is
subtracted. What is left is marking, asking, encoding, sending, hearing the answer and telling. There are no sockets and
no events of levels; rewards and postings of income are written as they fall due.

Ends within `SETUP_S` and three times the seconds, and leaves no process and no folder. Exit status: 0; 2 if it could
not be measured; 130 after Ctrl-C or SIGTERM.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import trio

from gameserver.actors.habitat import Directory, Habitat, Writer
from gameserver.actors.messages import Attach, Welcomed
from gameserver.actors.player import PlayerActor
from gameserver.clock import SystemClock
from gameserver.garbage import Garbage
from gameserver.main import LANES
from gameserver.settings import Settings
from hotpath.player_state import World
from hotpath.tap_path import Gate, Notices, Seat, Tally
from loadtest.bench.machine import Cores, choose_cores, move_descendants
from loadtest.process_usage import core_busy_s, descendants_cpu_s
from persistence import player_store
from persistence.embedded import Embedded
from persistence.errors import SetupFailed
from persistence.flush_sink import PostgresSink
from persistence.migrations import migrate
from persistence.postgres import Database, open_loop
from persistence.records import LoadedPlayer
from persistence.write_behind import WriteBehind
from tests.fakes.database_probe import add_node, rows
from tests.fakes.recording_origin import RecordingOrigin

SETUP_S: Final = 90.0  #: for PostgreSQL, its schema and the players
SETTLE_S: Final = 1.0  #: before each window; longer where a round of taps takes longer
TICK_S: Final = 0.005
TAPS_A_TICK_MAX: Final = 2_000  #: after a stall the rest comes later, not at once
CLAIM_AT_ONCE: Final = 1_000
NODE: Final = "flush-cost"
INTERRUPTED: Final = 130

Sample = Mapping[str, float]


class CannotMeasureError(Exception):
    """One sentence that says why."""


@dataclass(eq=False)
class Socket(RecordingOrigin):
    """A player's socket up to its seat: TAPs in, notices of what is durable out."""

    notices: Notices = field(default_factory=lambda: Notices(0))
    seq: int = 0
    seat: Seat = field(init=False)

    def __post_init__(self) -> None:
        self.seat = Seat(0, self.notices)
        self._gate = Gate()
        self._gate.open = True

    def welcome(self, welcomed: Welcomed) -> None:
        self.seq = welcomed.applied_seq
        self.seat.take(welcomed.line, self._gate, welcomed.actor, self)

    def durable(self, durable_seq: int) -> None:
        self.seat.durable(durable_seq)

    def tell_durable(self, durable_seq: int) -> None:
        """The frame is encoded elsewhere."""

    def crashed(self, error: Exception) -> None:
        raise error


class Crowd:
    """Players who tap.

    Args:
        clock: the present.
        writer: the write-behind.
        directory: never asked, for nobody looks anything up here.
    """

    def __init__(self, clock: SystemClock, writer: Writer, directory: Directory) -> None:
        self.taps_total = 0
        self.dropped: list[str] = []  #: why players could not go on
        self._clock = clock
        self._habitat = Habitat(World(), Tally(), clock, writer, directory, self._drop)
        self._notices = Notices(clock.uptime_ms())
        self._sockets: list[Socket] = []

    def add(self, loaded: LoadedPlayer) -> None:
        """One more, attached."""
        actor = PlayerActor(loaded, self._habitat)
        socket = Socket(uuid4().bytes, notices=self._notices)
        actor.handle(Attach(socket, {}), self._clock.now_ms())
        self._sockets.append(socket)

    async def tap(self, per_s: float) -> None:
        """Tap until cancelled, each player in turn."""
        began_s, due, at = trio.current_time(), 0, 0
        while True:
            await trio.sleep(TICK_S)
            count = min(int((trio.current_time() - began_s) * per_s) - due, TAPS_A_TICK_MAX)
            due += count
            now_ms, uptime_ms = self._clock.now_ms(), self._clock.uptime_ms()
            self._notices.beat(uptime_ms)
            for _ in range(count):
                socket = self._sockets[at]
                socket.seq += 1
                socket.seat.heard_ms = uptime_ms
                assert socket.seat.tap(socket.seq, 1, now_ms) is not None
                at = (at + 1) % len(self._sockets)
            self.taps_total += count

    def _drop(self, _public_id: UUID, reason: str, _actor: PlayerActor, *, quarantine: bool = False) -> None:
        del quarantine
        self.dropped.append(reason)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be measured."""

    seconds: float
    rate: float
    players: int
    cores: Cores  #: the server's and, as the generator's, the database's


class Rig:
    """Everything a measurement looks at.

    Args:
        order: what is wanted.
        database: open, with its schema.
    """

    def __init__(self, order: Order, database: Database) -> None:
        self._order = order
        self._clock = SystemClock()
        self.lags_s: list[float] = []
        self.holds_s: list[float] = []
        self._database = database
        self.write_behind = WriteBehind(
            PostgresSink(database),
            node_run=uuid4(),
            lanes=LANES,
            flush_ms=Settings.model_fields["flush_ms"].default,
            observe_flush_lag_s=self.lags_s.append,
            observe_hold_s=self.holds_s.append,
        )
        self.crowd = Crowd(self._clock, self.write_behind, player_store.PlayerDirectory(database))

    async def populate(self) -> None:
        """Make the players and let them come in."""
        await add_node(self._database, NODE)
        ids = await player_store.create_load_test_players(
            self._database, self._order.players, now_ms=self._clock.now_ms()
        )
        for first in range(0, len(ids), CLAIM_AT_ONCE):
            some = ids[first : first + CLAIM_AT_ONCE]
            for loaded in await player_store.claim_and_load(self._database, some, node=NODE):
                assert isinstance(loaded, LoadedPlayer)
                self.crowd.add(loaded)
        await rows(self._database, "VACUUM ANALYZE")

    async def measure(self, seconds: float) -> dict[str, float]:
        """What a window used, once everything has settled."""
        await trio.sleep(max(SETTLE_S, 1.5 * self._order.players / self._order.rate))
        self.lags_s.clear()
        self.holds_s.clear()
        before = self._sample()
        await trio.sleep(seconds)
        after = self._sample()
        return {name: after[name] - before[name] for name in after}

    def _sample(self) -> dict[str, float]:
        written, cores = self.write_behind.statistics(), self._order.cores
        return {
            "s": time.perf_counter(),
            "cpu_s": time.process_time(),
            "taps": self.crowd.taps_total,
            "rows": written.rows,
            "batches": written.batches,
            "retries": written.retries,
            "database_s": descendants_cpu_s(os.getpid()),
            "busy_s": (cores.server is not None and core_busy_s(cores.server)) or 0.0,
            "database_busy_s": (cores.generator is not None and core_busy_s(cores.generator)) or 0.0,
        }


def flush_cpu_us(before: Sample, flushing: Sample, after: Sample) -> float:
    """CPU a row in µs: what the window with the flush used beyond what its taps cost in the windows round it."""
    base_s = (before["cpu_s"] + after["cpu_s"]) / (before["taps"] + after["taps"]) * flushing["taps"]
    return (flushing["cpu_s"] - base_s) / flushing["rows"] * 1e6


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def _run(order: Order, dsn: str) -> dict[str, Any]:
    with trio.fail_after(SETUP_S + 3 * order.seconds):
        async with open_loop(), Database.open(dsn) as database:
            await migrate.up(database)
            rig = Rig(order, database)
            await rig.populate()
            async with trio.open_nursery() as nursery:
                await nursery.start(Garbage(lambda *_: None).run)
                nursery.start_soon(rig.crowd.tap, order.rate)
                before = await rig.measure(order.seconds / 2)
                async with trio.open_nursery() as writing:
                    await writing.start(rig.write_behind.run)
                    flushing = await rig.measure(order.seconds)
                    lags_s, holds_s = list(rig.lags_s), list(rig.holds_s)
                    writing.cancel_scope.cancel()
                after = await rig.measure(order.seconds / 2)
                nursery.cancel_scope.cancel()
    if rig.crowd.dropped or not flushing["rows"]:
        raise CannotMeasureError(rig.crowd.dropped[0] if rig.crowd.dropped else "nothing was written")
    elapsed_s, pinned = flushing["s"], order.cores.server is not None
    return {
        "players": order.players,
        "measured_s": elapsed_s,
        "us_each": flush_cpu_us(before, flushing, after),
        "tap_us": {name: 1e6 * one["cpu_s"] / one["taps"] for name, one in (("before", before), ("after", after))},
        "taps_per_s": flushing["taps"] / elapsed_s,
        "rows_per_s": flushing["rows"] / elapsed_s,
        "rows_per_batch": flushing["rows"] / flushing["batches"],
        "retries": flushing["retries"],
        "flush_lag_s": {"p50": quantile(lags_s, 0.5), "p99": quantile(lags_s, 0.99), "max": max(lags_s)},
        "hold_ms": {"p99": 1000 * quantile(holds_s, 0.99), "max": 1000 * max(holds_s)},
        "server_cpu_share": flushing["cpu_s"] / elapsed_s,
        "server_core_busy_share": flushing["busy_s"] / elapsed_s if pinned else None,
        "children_cpu_share": flushing["database_s"] / elapsed_s,  # PostgreSQL's
        "generator_core_busy_share": flushing["database_busy_s"] / elapsed_s if pinned else None,
    }


def measure(order: Order) -> dict[str, Any]:
    """Start a PostgreSQL, measure, and remove it.

    Raises:
        CannotMeasureError: a player was refused, or nothing was written.
    """
    if order.cores.server is not None:
        os.sched_setaffinity(0, {order.cores.server})
    folder = Path(tempfile.mkdtemp(prefix="ppj-flush-cost-"))
    try:
        with Embedded.start(folder) as postgres:
            move_descendants(os.getpid(), order.cores.generator)  # what the postmaster starts follows it
            return trio.run(_run, order, postgres.dsn)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def text_of(found: Mapping[str, Any]) -> str:
    """The figures for a reader."""
    tap_us, lag_s, hold_ms = found["tap_us"], found["flush_lag_s"], found["hold_ms"]
    busy = found["server_core_busy_share"]
    lines = [
        f"{found['players']} players, {found['taps_per_s']:.0f} taps/s, {found['measured_s']:.1f} s",
        f"CPU a durable row  {found['us_each']:.2f} µs",
        f"subtracted a tap   {tap_us['before']:.2f} µs before, {tap_us['after']:.2f} µs after",
        f"written            {found['rows_per_s']:.0f} rows/s, {found['rows_per_batch']:.0f} a batch",
        f"flush lag          p50 {lag_s['p50']:.3f}, p99 {lag_s['p99']:.3f}, at most {lag_s['max']:.3f} s",
        f"loop held          p99 {hold_ms['p99']:.2f}, at most {hold_ms['max']:.2f} ms",
        f"this process       {found['server_cpu_share']:.1%} of a core"
        + ("; not pinned: the figures are the machine's" if busy is None else f", which was busy for {busy:.1%}"),
        f"PostgreSQL         {found['children_cpu_share']:.1%} of a core",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Args:
        arguments: of the command line; None = those of this process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flush_cost", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="with the flush; as long without (6)")
    parser.add_argument("--rate", type=float, default=20_000, help="taps a second (20000)")
    parser.add_argument("--players", type=int, default=10_000, help="how many take turns (10000)")
    parser.add_argument("--database-core", type=int, help="PostgreSQL's, if this process is pinned to another already")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args(arguments)
    if options.seconds <= 0 or options.rate <= 0 or not 1 <= options.players <= 100_000:
        parser.error("--seconds and --rate are positive, --players 1 to 100000")
    cores = choose_cores(os.sched_getaffinity(0))
    if options.database_core is not None:
        cores = Cores(min(os.sched_getaffinity(0)), options.database_core)
    # As Ctrl-C, which Trio delivers where nothing is left half done.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    status = 0
    try:
        found = measure(Order(options.seconds, options.rate, options.players, cores))
        sys.stdout.write((json.dumps(found) if options.json else text_of(found)) + "\n")
    except* KeyboardInterrupt:
        status = INTERRUPTED
    except* (CannotMeasureError, SetupFailed, trio.TooSlowError) as errors:
        sys.stderr.write(f"It could not be measured: {errors.exceptions[0]!r}\n")
        status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
