import json
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.bench import __main__ as bench
from loadtest.bench.machine import Cores
from loadtest.bench.servers import Setup
from loadtest.own_server import LoadTestError

BARE: dict[str, Any] = {"null_sink": False, "floor": {}, "portable": {}, "flush": {}, "rules_ns": 50.0, "start_s": 6.0}


@pytest.fixture(autouse=True)
def this_process() -> Iterator[None]:
    cores, files = os.sched_getaffinity(0), resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    os.sched_setaffinity(0, cores)
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The numbers of the repetitions that were asked for; each gives the same bare figures."""
    numbers: list[int] = []

    def repetition(_setup: Setup, _plan: object, number: int, say: Callable[[str], None]) -> dict[str, Any]:
        numbers.append(number)
        say("floor …")
        return dict(BARE)

    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    monkeypatch.setattr(bench, "repetition", repetition)
    monkeypatch.setattr(
        bench, "set_up", lambda folder, _cores: Setup(folder, Cores(0, 1), folder, None, False, False, ["No gateway."])
    )
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return numbers


def test_the_quick_bench_is_one_run_and_writes_no_page(
    runs: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--quick", "--docs", str(tmp_path)]) == 0
    said, beside = capsys.readouterr()
    assert runs == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["run-1.json"]
    lines = said.splitlines()
    assert lines[0] == "measurement, value, unit, ratio, target, ok"
    assert "start ready after, 6, s, –, ≤ 5 s, no" in lines
    assert all(line.count(", ") == 5 for line in lines)
    assert "run 1 of 1: floor …" in beside
    assert "No gateway." in beside


def test_the_full_bench_is_three_runs_and_writes_the_page(runs: list[int], tmp_path: Path) -> None:
    assert bench.main(["--docs", str(tmp_path)]) == 0
    assert runs == [0, 1, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"run-1.json", "run-2.json", "run-3.json", "benchmarks.md"}
    assert "No gateway." in (tmp_path / "benchmarks.md").read_text()


@pytest.mark.usefixtures("runs")
def test_what_failed_is_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BARE, "failed", {"fan_out": "it did not start"})
    assert bench.main(["--docs", str(tmp_path)]) == 0
    text = (tmp_path / "benchmarks.md").read_text()
    assert "Run 2: fan_out failed, its figures are missing: it did not start" in text
    assert json.loads((tmp_path / "run-3.json").read_text())["failed"] == {"fan_out": "it did not start"}


@pytest.mark.usefixtures("runs")
def test_a_missed_target_is_a_status_only_when_asked() -> None:
    assert bench.main(["--quick", "--strict"]) == 1


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [(LoadTestError("no compiler."), 2, "could not run: no compiler."), (KeyboardInterrupt(), 130, "Interrupted")],
)
@pytest.mark.usefixtures("runs")
def test_what_ends_it_early_is_told(
    error: BaseException,
    status: int,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(bench, "set_up", fail)
    assert bench.main(["--quick"]) == status
    assert sentence in capsys.readouterr().err
