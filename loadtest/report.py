"""`python -m loadtest.report`: a locust scenario against a server of its own, and what is to be said about it.

In this order: what the generator itself can do, against a server that only answers (`fixed_answers.py`); then the game
server, with players of its own, the scenario, and an orderly stop. Everything lands in one folder: report.html,
report.json, locust's own figures, the logs.

Exit status: 0 if every operation succeeded and the server stopped cleanly, 1 if not, 2 if the test could not run, 130
after Ctrl-C.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from loadtest.cpu_watch import Watched
from loadtest.locust_run import Outcome, Scenario, run_locust
from loadtest.own_server import ROOT, STOP_S, LoadTestError, OwnServer, end_process
from loadtest.verdict import Ceiling, Findings, as_json, caveats, judge, render_table, with_findings

RESULTS: Final = ROOT / "build" / "load"
CEILING_SECONDS: Final = 4
CEILING_USERS: Final = 50
RAMP_SHARE: Final = 0.25  #: of the time, for the players to come in
MAX_RAMP_S: Final = 10.0
MIN_SECONDS: Final = 5
FILES_BESIDE_SOCKETS: Final = 200
SHOWN_FAILURES: Final = 5
INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load test.

    Args:
        arguments: of the command line; None = those of this process.

    Returns:
        The exit status.
    """
    options = _parse(arguments)
    console = Console(soft_wrap=True, highlight=False)
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a background job starts with it ignored
        signal.signal(number, _interrupt)
    try:
        _allow_files(options.users + FILES_BESIDE_SOCKETS)
        options.results.mkdir(parents=True, exist_ok=True)
        findings = _run(options, console)
    except LoadTestError as error:
        console.print(f"The load test could not run: {error}", markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("Interrupted; the server and the generator are stopped.")
        return INTERRUPTED
    _write(findings, options.results)
    return _tell(findings, options.results, console)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtest.report", description="Load test with locust.")
    parser.add_argument("--users", type=int, default=200, help="players at once (200)")
    parser.add_argument("--seconds", type=int, default=30, help="how long, all in all (30)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for reports and logs (build/load)")
    parser.add_argument("--socket-url", help="a server that is there already, ws://…; needs --tokens")
    parser.add_argument("--tokens", type=Path, help="file with an access token a line, for --socket-url")
    options = parser.parse_args(arguments)
    options.results = options.results.absolute()
    if options.users < 1 or options.seconds < MIN_SECONDS:
        parser.error(f"at least 1 user and {MIN_SECONDS} seconds")
    if (options.socket_url is None) != (options.tokens is None):
        parser.error("--socket-url and --tokens belong together")
    return options


def _run(options: argparse.Namespace, console: Console) -> Findings:
    with tempfile.TemporaryDirectory(prefix="ppj-tokens-") as folder:
        tokens_file = Path(folder, "tokens")
        console.print("measuring the generator against a server that only answers …")
        ceiling = _measure_ceiling(tokens_file, options.results)
        if options.socket_url is not None:
            outcome = _play(options, options.socket_url, options.tokens, {}, console)
            return _findings(options, outcome, ceiling, None, own_server=False)
        console.print("starting a server …")
        with OwnServer(options.results / "server.log") as server:
            _write_tokens(tokens_file, server.make_players(options.users))
            watch = {"server": Watched(server.pid), "database": Watched(server.pid, descendants=True)}
            outcome = _play(options, server.socket_url, tokens_file, watch, console)
            console.print("stopping the server …")
            return _findings(options, outcome, ceiling, server.stop(), own_server=True)


def _findings(
    options: argparse.Namespace, outcome: Outcome, ceiling: Ceiling, server_exit: int | None, *, own_server: bool
) -> Findings:
    return Findings(
        users=options.users,
        seconds=options.seconds,
        cores=os.cpu_count() or 1,
        outcome=outcome,
        ceiling=ceiling,
        server_exit=server_exit,
        own_server=own_server,
    )


def _measure_ceiling(tokens_file: Path, results: Path) -> Ceiling:
    _write_tokens(tokens_file, [str(number) for number in range(CEILING_USERS)])
    with _fixed_answers() as url:
        scenario = Scenario("EagerPlayer", url, tokens_file, CEILING_USERS, ramp_s=1.0, seconds=CEILING_SECONDS)
        outcome = run_locust(scenario, results / "ceiling")
    if outcome.failures or not outcome.per_s("tap"):
        raise LoadTestError(f"the generator's ceiling cannot be measured: {outcome.failures or 'nothing ran'}")
    return Ceiling(outcome.per_s("tap"), outcome.cpu["generator"])


@contextlib.contextmanager
def _fixed_answers() -> Iterator[str]:
    """A server that only answers, in a process; gives its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "loadtest.fixed_answers"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()  # the end of the process ends this too
        if not url:
            raise LoadTestError("the server that only answers did not start")
        yield url
    finally:
        end_process(process, STOP_S)
        if process.stdout is not None:
            process.stdout.close()


def _play(
    options: argparse.Namespace, url: str, tokens_file: Path, watch: dict[str, Watched], console: Console
) -> Outcome:
    console.print(f"{options.users:,} players for {options.seconds} s on {url} …")
    ramp_s = min(MAX_RAMP_S, options.seconds * RAMP_SHARE)
    scenario = Scenario("HumanPlayer", url, tokens_file, options.users, ramp_s, options.seconds)
    return run_locust(scenario, options.results / "locust", html=options.results / "report.html", watch=watch)


def _write_tokens(path: Path, tokens: list[str]) -> None:
    path.write_text("\n".join(tokens) + "\n", encoding="ascii")


def _write(findings: Findings, results: Path) -> None:
    page = results / "report.html"
    page.write_text(with_findings(page.read_text(encoding="utf-8"), findings), encoding="utf-8")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607 - a person's git
    machine = {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "commit": commit.stdout.strip(),
    }
    text = json.dumps({"machine": machine, **as_json(findings)}, indent=2)
    (results / "report.json").write_text(text + "\n", encoding="utf-8")


def _tell(findings: Findings, results: Path, console: Console) -> int:
    console.print()
    for caveat in caveats(findings):
        console.print(caveat, markup=False)
    console.print()
    console.print(render_table(findings))
    console.print()
    for failure in findings.outcome.failures[:SHOWN_FAILURES]:
        console.print(f"{failure.times} × {failure.operation}: {failure.error}", style="red", markup=False)
    faults = judge(findings)
    for fault in faults:
        console.print(fault, style="bold red", markup=False)
    console.print(f"Report: {results / 'report.html'}", markup=False)
    if not faults:
        console.print(f"{findings.outcome.requests:,} operations, none failed.", style="bold green")
    return 1 if faults else 0


def _allow_files(files: int) -> None:
    """Raise this process's limit of open files, which its children inherit.

    Raises:
        LoadTestError: the machine does not allow so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < files:
        raise LoadTestError(f"{files} open files are needed and {hard} are allowed; try fewer USERS.")
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
