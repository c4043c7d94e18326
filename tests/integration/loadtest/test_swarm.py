"""The swarm as people run it: as a process, against the floor and against the real server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtest.bench import servers
from loadtest.bench.hard_operation import HardOperationProbe
from loadtest.bench.machine import Cores
from loadtest.bench.probe import FAILED_MS
from loadtest.bench.runs import phase_of, swarm, time_rules_ns
from loadtest.bench.servers import Setup
from loadtest.own_server import ROOT

DEADLINE_S = 60

pytestmark = [pytest.mark.xdist_group("load")]  # one at a time: each fills the machine


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    folder = tmp_path_factory.mktemp("bench")
    return Setup(folder, Cores(None, None), servers.build_floor(folder), None, False, False)


def phase(result: dict[str, Any], name: str) -> dict[str, Any]:
    found = phase_of(result, name)
    assert found is not None
    return found


def test_the_floor_answers_every_tap(setup: Setup) -> None:
    phases = ["closed:s=0.3,window=4,name=closed", "open:s=0.3,rate=500,name=open", "storm:name=storm"]
    with servers.floor(setup) as server:
        result = swarm(server, 20, phases)
    assert (result["connect"]["open"], result["open_at_the_end"], result["failed"]) == (20, 20, 0)
    closed, opened, storm = (phase(result, name) for name in ("closed", "open", "storm"))
    assert closed["accepted_share"] == 1
    assert closed["per_s"] > 500
    assert closed["server_cpu_share"] > 0
    assert opened["sent"] == pytest.approx(150, abs=60)
    assert closed["unmatched"] == opened["unmatched"] == closed["unanswered"] == opened["unanswered"] == 0
    assert storm["dropped"] == 20
    assert storm["welcome_ms"]["count"] == 20


def test_the_floor_fans_out_with_the_time_it_was(setup: Setup) -> None:
    with servers.floor(setup, "--fanout", "20", "300") as server:
        result = swarm(server, 10, ["listen:s=0.5,warmup_s=0.1,stamp_at=0,name=all"])
    heard = phase(result, "all")
    assert heard["deliveries"] == pytest.approx(100, abs=60)
    assert heard["delivered_bytes"] == 300 * heard["deliveries"]
    assert heard["latency_ms"]["count"] == heard["deliveries"]
    assert 0 < heard["latency_ms"]["p50"] < 5_000
    assert heard["unreadable"] == 0


@pytest.mark.slow
def test_players_are_served_by_the_real_server(setup: Setup) -> None:
    phases = [
        "closed:s=0.5,window=1,name=closed",
        "open:s=0.5,rate=100,actions=0.5,name=actions",
        "storm:name=storm",
        "open:s=0.5,rate=100,name=after",
    ]
    with servers.game(setup, "game", {}, 13) as server:
        assert server.hello is not None
        hello = server.hello
        with HardOperationProbe(server.url, servers.last_hello(server)) as probe:
            beside = swarm(server, 12, ["open:s=0.3,rate=100,name=beside"], while_it_runs=probe.ask)
        assert max(each["took_ms"] for each in probe.asked) < FAILED_MS
        assert phase(beside, "beside")["errors"] == 0
        first = swarm(server, 12, phases)
        second = swarm(server, 12, ["open:s=0.3,rate=100,name=again"])
    assert not hello.exists()
    assert (first["connect"]["open"], first["open_at_the_end"], first["failed"]) == (12, 12, 0)
    closed, actions, after = (phase(first, name) for name in ("closed", "actions", "after"))
    again = phase(second, "again")
    for found in (closed, actions, after, again):
        assert found["answered"] > 0, found["name"]
        assert found["errors"] == found["unmatched"] == found["unanswered"] == found["unreadable"] == 0, found["name"]
    assert actions["results"] > 0
    assert actions["taps_answered"] > 0
    # The cursor went on across reconnects and across swarms: nothing was taken for a repeat.
    assert after["accepted_share"] == again["accepted_share"] == 1
    assert phase(first, "storm")["welcome_ms"]["count"] == 12
    connected = "game_sessions_connections_total"
    storm = phase(first, "storm")
    assert storm["metrics_after"][connected] - storm["metrics_before"][connected] == 12
    assert closed["children_cpu_share"] is not None
    assert server.ready_s > 0


def run_swarm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest.swarm", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def test_the_result_goes_where_it_is_wanted(setup: Setup, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    with servers.floor(setup) as server:
        done = run_swarm("--url", server.url, "--plain", "--connections", "2", "--out", str(out), "idle:s=0.05")
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(out.read_text())["connections"] == 2


def test_a_connection_that_fails_is_a_status(setup: Setup) -> None:
    with servers.floor(setup) as server:
        url = server.url
    done = run_swarm("--url", url, "--plain", "--connections", "2")
    assert done.returncode == 1
    assert json.loads(done.stdout)["system_errors"] == {"111": 2}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--plain", "--url", "http://127.0.0.1:1/"],
        ["--plain", "--url", "ws://127.0.0.1:1/", "--pid", str(2**30)],
        ["--hello", "/nowhere", "--url", "ws://127.0.0.1:1/"],
        ["--plain", "--url", "ws://127.0.0.1:1/", "dance"],
        ["--url", "ws://127.0.0.1:1/"],
    ],
)
def test_what_cannot_run_is_told(arguments: list[str]) -> None:
    done = run_swarm(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr


def test_the_rules_are_timed_over_accepted_taps() -> None:
    assert 1 < time_rules_ns() < 100_000
