"""What a bench says: a line a measurement on the terminal, and the page with its plots. The caveats come first."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtest.bench.measurements import MIN_ACCEPTED
from loadtest.bench.plan import GROWTH_RATE, Plan
from loadtest.bench.rows import BUSY_ELSEWHERE, Row, growth_of
from loadtest.bench.svg_plot import Line, line_plot

GENERATOR_LIMIT: Final = 0.90  #: of a core; above it a figure is the generator's
HEADER: Final = "measurement, value, unit, ratio, target, ok"
NAMES: Final = {"floor": "floor", "gateway": "gateway", "uwebsockets": "uWebSockets.js", "portable": "portable"}

Result = dict[str, Any]


def line_of(row: Row) -> str:
    """A row as text: name, value, unit, ratio, target, ok."""
    return ", ".join([row.name.replace(",", ""), *cells(row)])


def cells(row: Row) -> list[str]:
    """Value, unit, ratio, target, ok; commas are no part of them."""
    if row.value is None:
        return ["–", row.unit.replace(",", ""), "–", row.target.replace(",", ""), row.note.replace(",", "")]
    ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
    marks = "*" * (row.generator > GENERATOR_LIMIT) + "!" * row.disturbed
    value = f"{in_digits(row.value)}{marks}"
    ok = f"{verdict(row)} ({row.note.replace(',', '')})" if row.note else verdict(row)
    return [value, row.unit.replace(",", ""), ratio, row.target.replace(",", ""), ok]


def verdict(row: Row) -> str:
    """Yes, no, or nothing where there is no target."""
    return {True: "yes", False: "no", None: "–"}[row.met]


def in_digits(value: float) -> str:
    """Three digits that count, and whole numbers above."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def caveats(plan: Plan, said: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """What has to be known before the figures are read."""
    told = [
        (
            "Everything ran on one machine over the loopback: no network, and the kernel's work for a message is partly"
            " on the other side's account. Absolute figures say only the order of magnitude; compare ratios, which"
            " are within one run."
        ),
        (
            "The server has one core, the generator the other, and PostgreSQL shares the generator's. Other work on the"
            f" machine disturbs: `!` marks what ran while something else took more than {BUSY_ELSEWHERE:.0%} of"
            " one of the two cores, here or in what a ratio is to."
        ),
        (
            "The generator is our own swarm. `*` marks where it used more than 90 % of its core: that figure is the"
            " generator's as much as the server's, and the ratio is nearer to 1 than it would be."
        ),
        (
            f"Each figure is the median of {plan.repetitions} run{'s' * (plan.repetitions > 1)} of {plan.s:g} s after"
            f" {plan.warmup_s:g} s of warm-up, over {plan.sockets:,} sockets, the portable transport"
            f" over {plan.portable_sockets:,}, where nothing else is said; the floor always over as many."
        ),
        (
            "Latencies are of an open loop and count from when the schedule had the tap due. Saturation is a closed"
            " loop and says nothing about latency."
        ),
        (
            f"A refused tap is less work than an accepted one. Unpipelined at least {MIN_ACCEPTED:.0%} must be"
            " accepted; pipelined over 200 sockets most are refused by the players' buckets, with us and with"
            " uWebSockets.js."
        ),
        (
            "The floor has no game, no login and no protocol checks. uWebSockets.js has a simplified game and no login."
            " The peers of the table were not run: their figures are scaled by the floor here over the floor there."
        ),
        "† without flush (`GAME_FLUSH_SINK=null`), so that the ratio to the floor is like for like.",
        (
            "‡ of `python -m tests.bench.flush_cost`: 10,000 players who are dirty all the time, without sockets; what"
            " their taps cost is subtracted."
        ),
        (
            "`GET /healthz` and hard operations are asked from the generator's core, before everybody else there where"
            " that is permitted; what they waited for that core all the same is said where it counts."
        ),
        (
            "A hard operation is sent every 20 ms, answered or not, and timed from its frame to its answer, which comes"
            " after its commit; with the flush, at 60 % of what is saturation with it. PostgreSQL's own wait for the"
            " core that it shares with the swarm is part of the figure."
        ),
        "What is called `at most` is the end of a histogram's bucket in `/metrics`.",
    ]
    told += said
    if any(row.disturbed for row in rows):
        told.append("This run was disturbed: see the marks.")
    return told


def page(rows: Sequence[Row], plan: Plan, machine: Mapping[str, str], said: Sequence[str], plots: Sequence[str]) -> str:
    """docs/benchmarks.md.

    Args:
        rows: the figures.
        plan: how they were taken.
        machine: what on.
        said: what was missing.
        plots: file names beside the page.
    """
    lines = ["# Benchmarks", "", "Written by `make bench`; do not edit.", "", "## Before you read the figures", ""]
    lines += [f"* {caveat}" for caveat in caveats(plan, said, rows)]
    lines += ["", "## Machine", "", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine.items())]
    lines += ["| command | `make bench` |", "", "## Figures", ""]
    lines += ["| measurement | value | unit | ratio | target | ok | generator |", "|---|--:|---|--:|---|---|--:|"]
    for row in rows:
        generator = f"{row.generator:.0%}" if row.value is not None and row.generator else ""
        lines.append(f"| {' | '.join([row.name, *cells(row), generator])} |")
    lines += ["", "The raw figures of every run are JSON files in `build/bench/`."]
    lines += ["What the time goes to, and why what is missed is missed: [profiles.md](profiles.md)."]
    if plots:
        lines += ["", "## Plots", "", *(f"![{name.removesuffix('.svg')}]({name})" for name in plots)]
    return "\n".join([*lines, ""])


def write_plots(folder: Path, repetitions: Sequence[Result], plan: Plan) -> list[str]:
    """Write the plots for which there are figures; returns their names."""
    drawn = {
        "benchmarks-growth.svg": (
            f"CPU a tap at {GROWTH_RATE:,} taps/s", "sockets", "µs of the server's core", {
                name: _growth_line(repetitions, name) for name in ("floor", "gateway")
            },
        ),
        "benchmarks-latency.svg": (
            f"p99 from the scheduled time, {plan.sockets:,} sockets", "taps a second", "ms", {
                shown: _latency_line(repetitions, name) for name, shown in NAMES.items()
            },
        ),
    }  # fmt: skip
    written = []
    for name, (title, x_label, y_label, lines) in drawn.items():
        if any(lines.values()):
            (folder / name).write_text(line_plot(title, x_label, y_label, lines), encoding="utf-8")
            written.append(name)
    return written


def _growth_line(repetitions: Sequence[Result], server: str) -> Line:
    runs = [dict(growth_of(one, server)) for one in repetitions]
    return [
        (sockets, statistics.median(run[sockets] for run in runs if sockets in run))
        for sockets in sorted(set().union(*runs))
    ]


def _latency_line(repetitions: Sequence[Result], server: str) -> Line:
    points: dict[float, list[float]] = {}
    for one in repetitions:
        for phase in one.get(server, {}).get("many", {}).get("phases", ()):
            p99_ms = phase.get("latency_ms", {}).get("p99")
            if phase.get("kind") == "open" and p99_ms is not None and "rate" in phase:
                points.setdefault(phase["rate"], []).append(p99_ms)
    return [(rate, statistics.median(found)) for rate, found in sorted(points.items())]
