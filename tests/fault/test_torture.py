"""A short run of everything, and a run for each promise that the servers can be made to break: the checker finds it.

Each is a process of its own, as `make torture` is: it starts a PostgreSQL, which wants a main thread.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chosen_postgres import embedded_only

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, embedded_only]

_WITHOUT_FENCE = ("good writes refused: ", "taps lost: ", "ledger and balances disagree: ")
#: what is broken where → (mutation, what else is to be said, what the checker reports: at least one of them)
CAUGHT = {
    "fence": ("fence", ["--scenario", "fenced", "--seconds", "12", "--seed", "3"], _WITHOUT_FENCE),
    "fence in a fight": ("fence", ["--scenario", "fight", "--seconds", "5", "--seed", "3"], _WITHOUT_FENCE),
    "cursor": (
        "cursor",
        ["--scenario", "server-dies", "--seconds", "10", "--seed", "3"],
        ("taps lost: ", "taps twice: "),
    ),
    "batch-row": (
        "batch-row",
        ["--scenario", "unknown", "--seconds", "4", "--seed", "3"],
        ("ledger and balances disagree: ",),
    ),
    "go-back-n": (
        "go-back-n",
        ["--scenario", "none", "--seconds", "5", "--seed", "3", "--raise", "0.2"],
        ("overtaken: ",),
    ),
    "idempotency-key": (
        "idempotency-key",
        ["--scenario", "none", "--seconds", "2", "--seed", "3"],
        ("effect missing: ",),
    ),
}


def torture(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fault.torture", "--players", "8", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_short_run_loses_nothing_and_does_nothing_twice() -> None:
    done = torture("--scenario", "short", "--seconds", "15", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "violations: 0" in done.stdout


def test_a_server_that_stood_still_past_its_lease_gives_nobody_an_old_state() -> None:
    done = torture("--scenario", "frozen", "--seconds", "15", "--seed", "6")
    assert done.returncode == 0, done.stdout + done.stderr


def test_servers_that_fight_for_the_same_players_lose_nothing_and_do_nothing_twice() -> None:
    done = torture("--scenario", "fight", "--seconds", "10", "--seed", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "players stolen  " in done.stdout


@pytest.mark.mutation
@pytest.mark.parametrize("where", CAUGHT)
def test_a_broken_promise_is_caught(where: str) -> None:
    mutation, options, findings = CAUGHT[where]
    done = torture("--mutation", mutation, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    violations = done.stdout.partition("\nviolations: ")[2]
    assert any(f"\n  {finding}" in violations for finding in findings), done.stdout + done.stderr
