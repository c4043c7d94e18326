import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.pinned import main

ROOT = Path(__file__).parents[3]


def test_the_command_takes_the_place_and_has_one_core() -> None:
    core = min(os.sched_getaffinity(0))
    program = "import os; print(os.getpid(), *os.sched_getaffinity(0))"
    command = [sys.executable, "-m", "loadtest.pinned", str(core), sys.executable, "-c", program]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    said, _ = process.communicate(timeout=30)
    assert said.split() == [str(process.pid), str(core)]


@pytest.mark.parametrize("words", [[], ["0"], ["first", "true"]])
def test_it_says_how_it_is_used(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "usage:" in capsys.readouterr().err
