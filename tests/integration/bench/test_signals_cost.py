"""The command itself, small."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEADLINE_S = 150.0


@pytest.mark.slow
def test_a_tap_is_measured_with_and_without_counting() -> None:
    command = [sys.executable, "-m", "tests.bench.signals_cost", "--json", "--players", "50", "--rounds", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert min(found.values()) > 0
