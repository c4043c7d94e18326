"""Locust as a process: how it is started, watched, ended, and what it found."""

import csv
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.cpu_watch import CpuShare, CpuWatch, Watched
from loadtest.own_server import ROOT, LoadTestError, end_process

LOCUSTFILE: Final = ROOT / "loadtest" / "locustfile.py"
STOP_TIMEOUT_S: Final = 15  #: for answers that are still due when time is up
END_S: Final = 60.0  #: for writing the report, after everything else
TOTAL: Final = "Aggregated"  #: locust's name for the row of all operations


@dataclass(frozen=True, slots=True)
class Operation:
    """What locust says about one kind of round trip; times in milliseconds."""

    name: str
    requests: int
    failures: int
    per_s: float
    lowest_ms: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    highest_ms: float


@dataclass(frozen=True, slots=True)
class Failure:
    """One kind of failure."""

    operation: str
    error: str
    times: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of locust found."""

    exit_code: int
    operations: dict[str, Operation]  #: by name; without the total
    failures: list[Failure]
    cpu: dict[str, CpuShare]  #: `generator`, and whoever else was watched, once everybody was there

    @property
    def requests(self) -> int:
        """Round trips in all."""
        return sum(operation.requests for operation in self.operations.values())

    def per_s(self, name: str) -> float:
        """Round trips of a kind a second; 0 if there was none."""
        return self.operations[name].per_s if name in self.operations else 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What locust is to do.

    Attributes:
        user_class: of the locustfile.
        url: of the game socket.
        tokens_file: an access token a line, one per user at least.
        users: how many at once.
        ramp_s: time in which they come.
        seconds: all in all.
    """

    user_class: str
    url: str
    tokens_file: Path
    users: int
    ramp_s: float
    seconds: int


def run_locust(
    scenario: Scenario, results: Path, *, html: Path | None = None, watch: Mapping[str, Watched] | None = None
) -> Outcome:
    """Run a scenario to its end.

    Args:
        scenario: what to do.
        results: begin of the names of locust's own files: `<results>_stats.csv` and more, `<results>.log`.
        html: where locust is to write its report.
        watch: whose CPU to watch beside the generator's.

    Raises:
        LoadTestError: locust did not come to its end.
        KeyboardInterrupt: from outside; locust is ended first.
    """
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), scenario.user_class]
    command += ["--headless", "--only-summary", "--csv", str(results), "--tokens", str(scenario.tokens_file)]
    command += ["--host", scenario.url, "--users", str(scenario.users), "--run-time", f"{scenario.seconds}s"]
    command += ["--spawn-rate", str(max(1.0, scenario.users / scenario.ramp_s)), "--stop-timeout", str(STOP_TIMEOUT_S)]
    if html is not None:
        command += ["--html", str(html)]
    for old in results.parent.glob(f"{results.name}_*.csv"):
        old.unlink()
    log_path = results.with_name(f"{results.name}.log")
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )
    start_s = time.perf_counter()
    with CpuWatch({"generator": Watched(process.pid), **(watch or {})}) as cpu_watch:
        try:
            exit_code = process.wait(scenario.seconds + STOP_TIMEOUT_S + END_S)
        except subprocess.TimeoutExpired:
            raise LoadTestError(f"locust did not end by itself; {log_path} says how far it came") from None
        finally:
            end_process(process, STOP_TIMEOUT_S)
    stats, failures = (results.with_name(f"{results.name}_{part}.csv") for part in ("stats", "failures"))
    if not stats.exists():
        raise LoadTestError(f"locust ended with status {exit_code} and no figures: {_tail(log_path)}")
    return Outcome(
        exit_code=exit_code,
        operations=read_stats(stats),
        failures=read_failures(failures),
        cpu=cpu_watch.shares(since_s=start_s + scenario.ramp_s),
    )


def read_stats(path: Path) -> dict[str, Operation]:
    """The operations in locust's `_stats.csv`, by name.

    Raises:
        LoadTestError: it is not such a file.
    """
    operations = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                if row["Name"] != TOTAL:
                    operations[row["Name"]] = Operation(
                        name=row["Name"],
                        requests=int(row["Request Count"]),
                        failures=int(row["Failure Count"]),
                        per_s=float(row["Requests/s"]),
                        lowest_ms=_ms(row["Min Response Time"]),
                        median_ms=_ms(row["Median Response Time"]),
                        p95_ms=_ms(row["95%"]),
                        p99_ms=_ms(row["99%"]),
                        highest_ms=_ms(row["Max Response Time"]),
                    )
            except (KeyError, TypeError, ValueError) as error:
                raise LoadTestError(f"{path} is not what this version of locust should write: {error}") from None
    return operations


def read_failures(path: Path) -> list[Failure]:
    """The failures in locust's `_failures.csv`, most frequent first; none if there is no file.

    Raises:
        LoadTestError: it is not such a file.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        try:
            found = [Failure(row["Name"], row["Error"], int(row["Occurrences"])) for row in csv.DictReader(file)]
        except (KeyError, TypeError, ValueError) as error:
            raise LoadTestError(f"{path} is not what this version of locust should write: {error}") from None
    return sorted(found, key=lambda failure: -failure.times)


def _ms(text: str) -> float:
    return 0.0 if text in ("", "N/A") else float(text)


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()[-500:]
