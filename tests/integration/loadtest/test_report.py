"""The load test as people run it: its own processes, its own server, its own database."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
DEADLINE_S = 180

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("load")]  # one at a time: each fills the machine


def run_report(results: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    command = [sys.executable, "-m", "loadtest.report", "--seconds", "6", "--results", str(results), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    figures = results / "report.json"
    return done, json.loads(figures.read_text()) if figures.exists() else {}


def test_players_are_content_with_the_server(tmp_path: Path) -> None:
    done, figures = run_report(tmp_path, "--users", "10")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "operations, none failed." in done.stdout
    operations = figures["outcome"]["operations"]
    assert operations["hello"]["requests"] >= 10
    assert operations["tap"]["requests"] >= 20
    assert all(operation["lowest_ms"] >= 0 for operation in operations.values())
    assert figures["server_exit"] == 0
    assert figures["ceiling"]["per_s"] > 0
    assert "10 players, 6 s: passed" in (tmp_path / "report.html").read_text()


def test_operations_that_fail_fail_the_test(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("token\n")
    with socket.create_server(("127.0.0.1", 0)) as closing:
        url = f"ws://127.0.0.1:{closing.getsockname()[1]}/ws"
    done, figures = run_report(tmp_path, "--users", "1", "--socket-url", url, "--tokens", str(tokens))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "operations `connect` failed." in done.stdout
    assert "No operation `tap` ran." in figures["faults"]
    assert "failed" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    "arguments",
    [["--users", "0"], ["--users", "1", "--socket-url", "ws://127.0.0.1:1/ws"], ["--users", "1", "--seconds", "1"]],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    done, figures = run_report(tmp_path / "none", *arguments)
    assert done.returncode == 2
    assert "error:" in done.stderr
    assert figures == {}
