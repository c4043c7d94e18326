"""`python -m loadtest.bench`: see the package. `--quick` takes two minutes at most and writes no page.

Exit status: 0 if everything could be measured, whatever came out; 1 with `--strict` if a target was missed; 2 if the
bench could not run; 130 after Ctrl-C.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

from loadtest.bench.machine import choose_cores, describe, raise_file_limit
from loadtest.bench.measurements import MEASUREMENTS
from loadtest.bench.plan import plan_for
from loadtest.bench.report import HEADER, caveats, line_of, page, write_plots
from loadtest.bench.rows import rows_of
from loadtest.bench.runs import keep, repetition
from loadtest.bench.servers import set_up
from loadtest.own_server import ROOT, LoadTestError

FOLDER: Final = ROOT / "build" / "bench"
DOCS: Final = ROOT / "docs"
INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench.

    Args:
        arguments: of the command line; None = those of this process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="loadtest.bench", description="Every measurement, as ratios in one run.")
    parser.add_argument("--quick", action="store_true", help="one short run, no page")
    parser.add_argument("--strict", action="store_true", help="status 1 if a target is missed")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder for the page and the plots (docs)")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        return _bench(quick=options.quick, strict=options.strict, docs=options.docs)
    except LoadTestError as error:
        _say(f"The bench could not run: {error}")
        return 2
    except KeyboardInterrupt:
        _say("Interrupted; everything it started is stopped.")
        return INTERRUPTED


def _bench(*, quick: bool, strict: bool, docs: Path) -> int:
    began_s = time.perf_counter()
    file_limit = raise_file_limit()
    cores = choose_cores(os.sched_getaffinity(0))
    if cores.generator is not None:
        os.sched_setaffinity(0, {cores.generator})  # the swarm inherits it; servers are pinned one by one
    setup = set_up(FOLDER, cores)
    plan = plan_for(quick=quick, file_limit=file_limit, has_gateway=setup.has_gateway)
    said = list(setup.said)
    if cores.server is None:
        said.append("There is only one core: server and generator shared it.")
    if quick:
        said.append("This is the quick bench: one short run, fewer sockets.")
    for sentence in said:
        _say(sentence)
    machine = describe()
    repetitions: list[dict[str, Any]] = []
    for number in range(plan.repetitions):

        def say(text: str, run: int = number + 1) -> None:
            _say(f"{time.perf_counter() - began_s:4.0f} s  run {run} of {plan.repetitions}: {text}")

        repetitions.append(repetition(setup, plan, number, say))
        for name, error in repetitions[-1].get("failed", {}).items():
            said.append(f"Run {number + 1}: {name} failed, its figures are missing: {error}")
        keep(FOLDER, f"run-{number + 1}.json", {"machine": machine, "said": said, **repetitions[-1]})
    rows = rows_of(repetitions, plan, MEASUREMENTS)
    for caveat in caveats(plan, said, rows):
        _say(f"- {caveat}")
    print(HEADER)  # noqa: T201 - the answer
    for row in rows:
        print(line_of(row))  # noqa: T201 - the answer
    if not quick:
        plots = write_plots(docs, repetitions, plan)
        (docs / "benchmarks.md").write_text(page(rows, plan, machine, said, plots), encoding="utf-8")
        _say(f"Written: {docs / 'benchmarks.md'}")
    _say(f"Took {time.perf_counter() - began_s:.0f} s; raw figures in {FOLDER}.")
    return 1 if strict and any(row.met is False for row in rows) else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - beside the answer


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
