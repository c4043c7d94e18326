"""The command itself, small: its figures, and nothing left behind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_folders import new_data_folder

ROOT = Path(__file__).parents[3]
DEADLINE_S = 120.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where temporary folders go; PostgreSQL may run as another user, so it can be passed through."""
    path = new_data_folder("ppj-bench-")
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.slow
def test_a_durable_row_is_measured_and_nothing_is_left(folder: Path) -> None:
    command = [sys.executable, "-m", "tests.bench.flush_cost", "--json", "--seconds", "0.5"]
    done = subprocess.run(
        [*command, "--players", "100", "--rate", "1000"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["rows_per_s"] > 0
    assert 0 < found["rows_per_batch"] <= 100
    assert found["taps_per_s"] > 0
    assert found["flush_lag_s"]["p50"] >= 0.25  # so long a change waits for others
    assert found["retries"] == 0
    assert min(found["tap_us"].values()) > 0
    assert list(folder.iterdir()) == []
