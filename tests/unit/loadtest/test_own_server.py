import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.own_server import LoadTestError, OwnServer, end_process

SLEEPER = "import signal, sys; print('up', flush=True); signal.pause()"


def start(program: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def test_a_process_that_follows_is_ended() -> None:
    assert end_process(start(f"import signal, sys; signal.signal(15, lambda *_: sys.exit(3)); {SLEEPER}"), 10) == 3


def test_a_process_that_does_not_follow_is_killed() -> None:
    process = start(f"import signal; signal.signal(15, signal.SIG_IGN); {SLEEPER}")
    assert end_process(process, 0.1) is None
    assert process.returncode == -9


def test_a_process_that_has_ended_keeps_its_status() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(5)"])
    process.wait(10)
    assert end_process(process, 10) == 5


def test_a_server_that_does_not_start_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(OwnServer, "_command", lambda *_: [sys.executable, "-c", "raise SystemExit('no such port')"])
    with pytest.raises(LoadTestError, match=r"status 1:\nno such port"), OwnServer(tmp_path / "log"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_tokens_that_do_not_come_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OwnServer, "_command", lambda *_: [sys.executable, "-c", "print('one')"])
    with pytest.raises(LoadTestError, match="status 0 and 1 tokens"):
        OwnServer(tmp_path / "log").make_players(2)


def test_the_settings_of_whoever_runs_it_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_DATABASE_URL", "postgresql://production.example/game")
    environment = OwnServer(tmp_path / "log")._environment()
    assert "GAME_DATABASE_URL" not in environment
    assert environment["GAME_ENV"] == "dev"
