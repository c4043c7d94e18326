"""What counting who taps costs a tap: `python -m tests.bench.signals_cost [--players N] [--rounds N]`.

The tap path is built twice, in two copies of `hotpath` under `build/signals_cost`: as it is, and without the two lines
that count. Two processes tap the same players through their seats, one sweep over all of them after the other, a round
of sweeps at a time and in turn, on one core; each says what processor time its round took. So many players do not fit
into the cache, as on a server; the prefetching of a gateway's round is missing. What is told is the median over the
rounds.

Exit status: 0; 2 if it could not be measured.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
TREES: Final = ROOT / "build" / "signals_cost"
SOURCE: Final = "_tap_path_c.pyx"
COUNTING: Final = (
    "            self._signals.batch(<int64_t> count, now_ms, state)\n",
    "            self._signals.refuse(<int64_t> count - accepted)\n",
)
BUILD_S: Final = 300.0
ROUND_S: Final = 60.0
SWEEPS: Final = 10  #: over all players, a round
TAPS: Final = 5  #: a batch; energy comes back as fast


class CannotMeasureError(Exception):
    """One sentence that says why."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a tap, in ns of processor time, Python's call included."""

    counting_ns: float
    not_counting_ns: float
    ratio: float  #: the median of the rounds' own ratios
    rounds: int


def without_counting(source: str) -> str:
    """The tap path's source with the lines removed that count.

    Raises:
        CannotMeasureError: they are not there.
    """
    for line in COUNTING:
        if source.count(line) != 1:
            raise CannotMeasureError(f"{SOURCE} does not have once: {line.strip()}")
        source = source.replace(line, "")
    return source


def build(name: str, *, counting: bool) -> Path:
    """A tree with the extensions that are built in place, and this tap path.

    Raises:
        CannotMeasureError: it cannot be built.
    """
    tree = TREES / name
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(ROOT / "hotpath", tree / "hotpath", ignore=shutil.ignore_patterns("__pycache__", "*.c"))
    source = tree / "hotpath" / SOURCE
    if not counting:
        source.write_text(without_counting(source.read_text(encoding="utf-8")), encoding="utf-8")
    command = [sys.executable, "-c", "from Cython.Build.Cythonize import main; main()", "-q", "-f", "-i", "-3"]
    done = subprocess.run(
        [*command, f"hotpath/{SOURCE}"],
        cwd=tree,
        env=os.environ | {"CFLAGS": "-O3"},  # as setup.py has it
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if done.returncode:
        raise CannotMeasureError(f"the tap path cannot be built: {done.stderr[-500:]}")
    return tree


class Tapper:
    """A process that taps when it is told to.

    Args:
        tree: whose `hotpath` it has.
        players: how many take turns.
    """

    def __init__(self, tree: Path, players: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--tap", "--players", str(players)],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def round_ns(self) -> float:
        """Tap for a round; returns what a tap took.

        Raises:
            CannotMeasureError: it has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
            return float(self._process.stdout.readline())
        except (BrokenPipeError, ValueError) as error:
            raise CannotMeasureError("a process that taps has ended") from error

    def end(self) -> None:
        """No round comes any more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(ROUND_S)
        assert self._process.stdout is not None
        self._process.stdout.close()


def tap_rounds(players: int) -> None:
    """The process that taps: a line in is a round, a line out is what a tap of it took, in ns."""
    from hotpath.player_state import FIELD_RANGES, Cursor, PlayerState, World
    from hotpath.tap_path import Gate, Notices, Seat, Tally, TapLine
    from hotpath.tap_signals import TapSignals

    now_ms, seq = 1_767_225_600_000, 0
    lowest = {name: low for name, (low, _) in FIELD_RANGES.items()}
    fields = lowest | {"energy_ue": 10**10, "energy_cap_level": 20, "energy_regen_level": 20, "energy_at_ms": now_ms}
    gate, world, tally, notices = Gate(), World(), Tally(), Notices(0)
    gate.open = True
    seats = []
    for _ in range(players):
        seat, state = Seat(0, notices), PlayerState(**fields)
        state.awaiting_flush = True
        actor: Any = None  # never asked: the state is marked already, and nobody announces levels
        own_gate = Gate(gate)
        own_gate.open = True
        seat.take(TapLine(state, Cursor(), world, tally, TapSignals()), own_gate, actor, actor)
        seats.append(seat)
    for _ in sys.stdin:
        began_ns = time.process_time_ns()
        for _ in range(SWEEPS):
            now_ms, seq = now_ms + 1_000, seq + 1
            for seat in seats:
                seat.tap(seq, TAPS, now_ms)
        taken_ns = (time.process_time_ns() - began_ns) / (SWEEPS * players)
        sys.stdout.write(f"{taken_ns}\n")
        sys.stdout.flush()
    assert tally.refused_total == 0


def measure(players: int, rounds: int) -> Cost:
    """Build both, and let them tap in turn; the first round of each does not count.

    Raises:
        CannotMeasureError: it cannot be measured.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    counting = Tapper(build("counting", counting=True), players)
    not_counting = Tapper(build("not_counting", counting=False), players)
    try:
        pairs = [(counting.round_ns(), not_counting.round_ns()) for _ in range(rounds + 1)][1:]
    finally:
        for tapper in (counting, not_counting):
            tapper.end()
    return Cost(
        counting_ns=statistics.median(with_ns for with_ns, _ in pairs),
        not_counting_ns=statistics.median(without_ns for _, without_ns in pairs),
        ratio=statistics.median(with_ns / without_ns for with_ns, without_ns in pairs),
        rounds=rounds,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command.

    Args:
        arguments: of the command line; None = those of this process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench.signals_cost", description=__doc__)
    parser.add_argument("--players", type=int, default=10_000, help="who take turns (10000)")
    parser.add_argument("--rounds", type=int, default=40, help="of ten taps a player (40)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a line")
    parser.add_argument("--tap", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.players < 1 or options.rounds < 1:
        parser.error("--players and --rounds are at least 1")
    if options.tap:
        tap_rounds(options.players)
        return 0
    try:
        cost = measure(options.players, options.rounds)
    except CannotMeasureError as error:
        sys.stderr.write(f"It could not be measured: {error}\n")
        return 2
    found = {"counting_ns": cost.counting_ns, "not_counting_ns": cost.not_counting_ns, "ratio": cost.ratio}
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        sys.stdout.write(
            f"a tap through its seat: {cost.counting_ns:.0f} ns, without counting {cost.not_counting_ns:.0f} ns,"
            f" ratio {cost.ratio:.3f} (median of {cost.rounds} rounds, {options.players} players)\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
