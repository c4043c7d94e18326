import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from loadtest.bench import runs, servers
from loadtest.bench.machine import Cores
from loadtest.bench.plan import FAIR_SHARE, Plan, plan_for
from loadtest.bench.probe import Probe
from loadtest.bench.servers import Server, Setup
from loadtest.own_server import LoadTestError

SETUP = Setup(Path(), Cores(None, None), Path(), Path(), has_gateway=True, has_null_sink=True)
QUICK, FULL = (plan_for(quick=quick, file_limit=20_000) for quick in (True, False))


class SilentProbe(Probe):
    """Is never asked: the swarm that is pretended ends at once."""

    def __init__(self, *told: object) -> None:
        super().__init__()
        self.told = told
        self.is_finished = False

    def ask(self) -> None:
        """Nothing."""

    def finish(self) -> None:
        self.is_finished = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was run in place of the real thing: (server, sockets), in order."""
    found: list[tuple[str, int]] = []

    @contextlib.contextmanager
    def start(name: str) -> Iterator[Server]:
        yield Server(name, 1, ready_s=1.5)

    def game(
        _setup: Setup, name: str, settings: dict[str, str], _players: int
    ) -> contextlib.AbstractContextManager[Server]:
        return start(" ".join([name, *settings.values()]))

    def swarm(server: Server, connections: int, _phases: list[str], **_: Any) -> dict[str, Any]:
        found.append((server.url, connections))
        return {"phases": [{"name": "saturation", "per_s": 1_000.0}]}

    monkeypatch.setattr(servers, "floor", lambda _setup, *words: start(" ".join(["floor", *words])))
    monkeypatch.setattr(servers, "uwebsockets", lambda _setup: start("uwebsockets"))
    monkeypatch.setattr(servers, "game", game)
    monkeypatch.setattr(servers, "printing_port", lambda _setup, command: start(" ".join(["fan_out", *command[1:]])))
    monkeypatch.setattr(servers, "time_to_ready_s", lambda _setup, _settings, players: players / 1_000)
    monkeypatch.setattr(runs, "swarm", swarm)
    monkeypatch.setattr(runs, "HardOperationProbe", SilentProbe)
    monkeypatch.setattr(servers, "last_hello", lambda _server: b"hello")
    monkeypatch.setattr(runs, "time_rules_ns", lambda: 60.0)
    monkeypatch.setattr(runs, "flush_cost", lambda _setup, plan: {"us_each": plan.flush_cost_s})
    monkeypatch.setattr(runs, "signals_cost", lambda _setup: {"ratio": 1.1})
    return found


def servers_of(done: list[tuple[str, int]]) -> list[str]:
    return list(dict.fromkeys(name.split()[0] if "flush" not in name else "flush" for name, _ in done))


def repeat(setup: Setup = SETUP, plan: Plan = QUICK, number: int = 0) -> dict[str, Any]:
    return runs.repetition(setup, plan, number, lambda _text: None)


def test_every_server_has_its_turn_and_the_next_time_backwards(done: list[tuple[str, int]]) -> None:
    repeat()
    forth = servers_of(done)
    assert forth == ["floor", "gateway", "uwebsockets", "portable", "flush", "fan_out"]
    done.clear()
    repeat(number=1)
    assert servers_of(done) == forth[::-1]


def test_only_the_flush_has_a_database_behind_it(done: list[tuple[str, int]]) -> None:
    repeat()
    games = {name for name, _ in done if name.split()[0] in ("gateway", "portable", "flush")}
    assert games == {"gateway gateway dry-run null", "portable portable dry-run null", "flush gateway dry-run"}


def test_a_hard_operation_is_asked_by_a_player_beside_the_swarm_at_a_share_of_its_saturation(
    done: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked = [], []

    def game(_setup: Setup, name: str, _settings: dict[str, str], players: int) -> Any:
        made.append((name, players))
        return contextlib.nullcontext(Server(name, 1))

    def swarm(server: Server, connections: int, phases: list[str], *, while_it_runs: Any = None) -> dict[str, Any]:
        if while_it_runs is not None and server.url == "flush":
            asked.append((while_it_runs.__self__, connections, phases))
        return {"phases": [{"name": "saturation", "per_s": 1_000.0}]}

    monkeypatch.setattr(servers, "game", game)
    monkeypatch.setattr(runs, "swarm", swarm)
    results = repeat()
    assert ("flush", QUICK.sockets + 1) in made
    rate = 1_000 * FAIR_SHARE
    [(probe, sockets, phases)] = asked
    assert (probe.told, sockets, phases) == (("flush", b"hello"), QUICK.sockets, [QUICK.fair(rate)])
    assert probe.is_finished
    assert results["flush"]["probe"]["asked"] == []
    assert done == []


def test_the_floor_is_measured_at_every_number_of_sockets(done: list[tuple[str, int]]) -> None:
    repeat()
    ours = {sockets for name, sockets in done if name.startswith(("gateway", "portable"))}
    assert ours - {sockets for name, sockets in done if name.startswith("floor")} == set()


def test_the_full_bench_grows_the_floor_too(done: list[tuple[str, int]]) -> None:
    results = repeat(plan=FULL)
    assert results["floor"]["growth"].keys() == results["gateway"]["growth"].keys()
    assert list(results["gateway"]["growth"]) == ["1000", "2000", "5000", "10000", "18000"]
    assert done


def test_the_start_is_timed_with_players_once(done: list[tuple[str, int]]) -> None:
    assert repeat(plan=FULL)["start_s"] == 100.0
    assert "start_s" not in repeat(plan=FULL, number=1)
    assert repeat()["start_s"] == 1.5
    assert done


def test_what_is_not_there_is_left_out(done: list[tuple[str, int]]) -> None:
    results = repeat(replace(SETUP, node_modules=None, has_gateway=False, has_null_sink=False))
    assert servers_of(done) == ["floor", "portable", "flush", "fan_out"]
    names = {name for name, _ in done}
    assert {"portable dry-run", "flush dry-run"} <= names, "and neither transport nor sink, which it does not know"
    assert results["portable"].keys() >= {"fair", "probe"}
    assert results["flush"].keys() == {"ready_s", "many"}
    assert results["null_sink"] is False


def test_the_fan_out_server_sends_what_the_floor_sends(done: list[tuple[str, int]]) -> None:
    results = repeat()
    assert results["fan_out"].keys() == {"many", "at_once"}
    assert results["floor"].keys() >= {"fan_out", "at_once"}
    ours = [name for name, _ in done if name.startswith("fan_out")]
    assert [name.rpartition("fanout_server")[2] for name in ours] == [" 5 100", " 0 100"]
    assert {("floor --fanout 5 100", QUICK.sockets), ("floor --fanout 0 100", QUICK.sockets)} <= set(done)


def test_the_durable_row_is_measured_with_every_repetition(done: list[tuple[str, int]]) -> None:
    assert repeat()["durable_row"] == {"us_each": 2.0}
    assert repeat(plan=FULL, number=1)["durable_row"] == {"us_each": 6.0}
    assert done


def test_the_counting_is_measured_once_in_a_full_run(done: list[tuple[str, int]]) -> None:
    assert repeat(plan=FULL)["counting"] == {"ratio": 1.1}
    assert "counting" not in repeat(plan=FULL, number=1)
    assert "counting" not in repeat()
    assert done


def module(folder: Path, program: str) -> str:
    """A module with this program, for a process whose current folder is `folder`."""
    (folder / "pretended_flush_cost.py").write_text(program)
    return "pretended_flush_cost"


def test_the_durable_row_has_the_database_on_the_other_core(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = "import json, sys; print(json.dumps({'words': sys.argv[1:]}))"
    monkeypatch.setattr(runs, "FLUSH_COST_MODULE", module(tmp_path, program))
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(servers, "pinned", lambda _cores: [])
    assert runs.flush_cost(SETUP, QUICK)["words"] == ["--json", "--seconds", "2.0"]
    pinned = replace(SETUP, cores=Cores(0, 1))
    assert runs.flush_cost(pinned, QUICK)["words"] == ["--json", "--seconds", "2.0", "--database-core", "1"]


def test_a_durable_row_that_cannot_be_measured_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runs, "FLUSH_COST_MODULE", module(tmp_path, "raise SystemExit('no room')"))
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    with pytest.raises(LoadTestError, match="no room"):
        runs.flush_cost(SETUP, QUICK)


def test_the_counting_is_measured_by_its_own_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = "import json, sys; print(json.dumps({'words': sys.argv[1:]}))"
    monkeypatch.setattr(runs, "SIGNALS_COST_MODULE", module(tmp_path, program))
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(servers, "pinned", lambda _cores: [])
    assert runs.signals_cost(SETUP) == {"words": ["--json"]}
    monkeypatch.setattr(runs, "SIGNALS_COST_MODULE", module(tmp_path, "raise SystemExit('no compiler')"))
    with pytest.raises(LoadTestError, match="the counting cannot be measured: no compiler"):
        runs.signals_cost(SETUP)


def test_what_fails_is_told_and_the_others_are_measured(
    done: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise LoadTestError("it did not start")

    monkeypatch.setattr(servers, "uwebsockets", fail)
    monkeypatch.setattr(runs, "flush_cost", fail)
    told: list[str] = []
    results = runs.repetition(SETUP, QUICK, 0, told.append)
    assert results["failed"] == {"uwebsockets": "it did not start", "durable_row": "it did not start"}
    assert "uwebsockets failed: it did not start" in told
    assert servers_of(done) == ["floor", "gateway", "portable", "flush", "fan_out"]
    assert results.keys() >= {"floor", "gateway", "portable", "flush", "fan_out", "rules_ns", "start_s"}


def test_where_nothing_can_be_measured_there_is_no_repetition(
    done: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise LoadTestError("it did not start")

    monkeypatch.setattr(runs, "swarm", fail)
    monkeypatch.setattr(runs, "flush_cost", fail)
    monkeypatch.setattr(runs, "time_rules_ns", fail)
    with pytest.raises(LoadTestError, match="nothing could be measured: it did not start"):
        repeat()
    assert done == []
