"""One repetition: every server after the other, each with the same swarm. What comes out is raw: nothing is judged."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from loadtest.bench import servers
from loadtest.bench.hard_operation import HardOperationProbe
from loadtest.bench.health import HealthProbe
from loadtest.bench.plan import (
    AT_ONCE,
    FAIR_SHARE,
    FANOUT_BYTES,
    FANOUT_RATE,
    GROWTH_RATE,
    STORM_AT_ONCE,
    Plan,
    duration_s,
)
from loadtest.bench.probe import Probe, first_in_line
from loadtest.bench.servers import Server, Setup
from loadtest.own_server import ROOT, LoadTestError, end_process

Result = dict[str, Any]

CONNECT_S: Final = 150.0  #: a swarm's own deadline for connecting is 120 s, and a storm connects again
STOP_S: Final = 10.0
#: The gateway with sessions that only listen: `python -m MODULE RATE BYTES` prints its port, knows no HELLO and sends
#: as the floor does with `--fanout`, each message beginning with CLOCK_REALTIME in µs.
FANOUT_MODULE: Final = "tests.fanout_server"
#: `python -m MODULE --json --seconds N --database-core N` prints one object, with what a phase has of CPU.
FLUSH_COST_MODULE: Final = "tests.bench.flush_cost"
#: `python -m MODULE --json` builds the tap path with and without the counting and prints what a tap costs in both.
SIGNALS_COST_MODULE: Final = "tests.bench.signals_cost"
SIGNALS_COST_S: Final = 900.0  #: it takes that long at most, on a slow machine
FLUSH_COST_BESIDE_S: Final = 150.0  #: it takes that long at most, and three times its seconds
TAPS_TIMED: Final = 300_000
RULES_PROGRAM: Final = f"""
import time
from hotpath.player_state import FIELD_RANGES, PlayerState, World
fields = dict.fromkeys(FIELD_RANGES, 0)
for name in ("tap_level", "energy_cap_level", "energy_regen_level", "generation"):
    if name in fields: fields[name] = 1
state, world, start_ms = PlayerState(**fields), World(), 1_800_000_000_000
state.fill_energy(start_ms)
best_ns = float("inf")
for _ in range(5):
    nows = range(start_ms, start_ms + {TAPS_TIMED} * 1000, 1000)
    apply_taps = state.apply_taps
    began = time.perf_counter_ns()
    for now_ms in nows: apply_taps(1, now_ms, world)
    took = time.perf_counter_ns() - began
    began = time.perf_counter_ns()
    for now_ms in nows: pass
    best_ns = min(best_ns, (took - (time.perf_counter_ns() - began)) / {TAPS_TIMED})
    start_ms += {TAPS_TIMED} * 1000
print(best_ns, state.taps)
"""


def swarm(
    server: Server, connections: int, phases: Sequence[str], *, while_it_runs: Callable[[], None] | None = None
) -> Result:
    """Run a swarm against a server.

    Args:
        server: which.
        connections: how many.
        phases: as on the swarm's command line.
        while_it_runs: called again and again until it ends.

    Raises:
        LoadTestError: it could not run, or took too long.
    """
    command = [sys.executable, "-m", "loadtest.swarm", "--url", server.url, "--connections", str(connections)]
    command += ["--pid", str(server.pid), *(["--hello", str(server.hello)] if server.hello else ["--plain"])]
    if server.page_url:
        command += ["--at-once", str(STORM_AT_ONCE), "--metrics-url", f"{server.page_url}metrics", "--watch-children"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, *phases],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )
    try:
        while while_it_runs is not None and process.poll() is None:
            while_it_runs()
        said, complaints = process.communicate(timeout=2 * CONNECT_S + duration_s(list(phases)))
    except subprocess.TimeoutExpired:
        raise LoadTestError(f"the swarm did not end: {' '.join(phases)}") from None
    finally:
        end_process(process, STOP_S)
    if process.returncode not in (0, 1):
        raise LoadTestError(f"the swarm ended with status {process.returncode}: {complaints.decode().strip()[-500:]}")
    found: Result = json.loads(said)
    return found


def phase_of(result: Result, name: str) -> Result | None:
    """A swarm's phase by name."""
    return next((phase for phase in result.get("phases", ()) if phase.get("name") == name), None)


def repetition(setup: Setup, plan: Plan, number: int, say: Callable[[str], None]) -> Result:
    """Everything once.

    Args:
        setup: what is there.
        plan: how large.
        number: from 0; every other one goes through the servers backwards.
        say: told what is being done.

    Returns:
        Raw figures by server and run; a server that is not there is missing, and what failed is told as `failed`.

    Raises:
        LoadTestError: nothing at all could be measured.
    """
    ours = "gateway" if setup.has_gateway else "portable"
    todo: dict[str, Callable[[], Any]] = {"floor": lambda: _floor(setup, plan)}
    if setup.has_gateway:
        todo["gateway"] = lambda: _game(setup, plan, "gateway")
    if setup.node_modules is not None:
        todo["uwebsockets"] = lambda: _uwebsockets(setup, plan)
    todo["portable"] = lambda: _game(setup, plan, "portable")
    todo["flush"] = lambda: _flush(setup, plan, ours)
    todo["fan_out"] = lambda: _fan_out(setup, plan)
    in_turn = [*(reversed(todo) if number % 2 else todo), "durable_row", "rules_ns"]
    todo["durable_row"] = lambda: flush_cost(setup, plan)
    todo["rules_ns"] = time_rules_ns
    if plan.start_players and number == 0:  # once: making so many players takes longer than the rest of it
        in_turn.append("start_s")
        settings = _settings(setup, ours, null_sink=False)
        todo["start_s"] = lambda: servers.time_to_ready_s(setup, settings, plan.start_players)
    if not plan.quick and number == 0:  # once: it builds the extensions twice
        in_turn.append("counting")
        todo["counting"] = lambda: signals_cost(setup)
    results: Result = {"null_sink": setup.has_null_sink, "ours": ours}
    failed: dict[str, str] = {}
    for name in in_turn:
        say(f"{name} …")
        try:
            results[name] = todo[name]()
        except LoadTestError as error:  # the others are worth having without it
            failed[name] = str(error)
            say(f"{name} failed: {error}")
    if failed:
        results["failed"] = failed
    if len(failed) == len(in_turn):
        raise LoadTestError(f"nothing could be measured: {failed['floor']}")
    if not plan.start_players and "flush" in results:
        results["start_s"] = results["flush"]["ready_s"]
    return results


def _settings(setup: Setup, transport: str, *, null_sink: bool) -> dict[str, str]:
    # One player does a hard operation fifty times a second, as no real one may: counted, and not refused.
    settings = ({"GAME_TRANSPORT": transport} if setup.has_gateway else {}) | {"GAME_RATE_LIMITS": "dry-run"}
    return settings | ({"GAME_FLUSH_SINK": "null"} if null_sink and setup.has_null_sink else {})


def _floor(setup: Setup, plan: Plan) -> Result:
    with servers.floor(setup) as server:
        results = {"many": swarm(server, plan.sockets, plan.floor_phases())}
        results["portable"] = results["many"]  # what the portable transport is compared with: as many sockets
        if plan.portable_sockets != plan.sockets:
            results["portable"] = swarm(server, plan.portable_sockets, [plan.saturation()])
        if not plan.quick:
            results["growth"] = _growth(server, plan)
    with servers.floor(setup) as server:
        results["few"] = swarm(server, plan.few, [plan.pipelined()])
    with servers.floor(setup, "--fanout", str(FANOUT_RATE), str(FANOUT_BYTES)) as server:
        results["fan_out"] = swarm(server, plan.sockets, [plan.listen()])
    with servers.floor(setup, "--fanout", str(AT_ONCE), str(FANOUT_BYTES)) as server:
        results["at_once"] = swarm(server, plan.sockets, [plan.listen()])
    return results


def _fan_out(setup: Setup, plan: Plan) -> Result:
    results = {}
    for rate, run, phases in (
        (FANOUT_RATE, "many", [plan.listen(), plan.listen_beside_slow()]),
        (AT_ONCE, "at_once", [plan.listen()]),
    ):
        command = [sys.executable, "-m", FANOUT_MODULE, str(rate), str(FANOUT_BYTES)]
        with servers.printing_port(setup, command) as server:
            results[run] = swarm(server, plan.sockets, phases)
    return results


def _uwebsockets(setup: Setup, plan: Plan) -> Result:
    with servers.uwebsockets(setup) as server:
        return {
            "many": swarm(server, plan.sockets, plan.floor_phases()),
            "few": swarm(server, plan.few, [plan.pipelined()]),
        }


def _game(setup: Setup, plan: Plan, transport: str) -> Result:
    is_gateway = transport == "gateway"
    is_ours = is_gateway or not setup.has_gateway
    phases = plan.gateway_phases() if is_gateway else plan.portable_phases()
    sockets = plan.sockets if is_gateway else plan.portable_sockets
    players = plan.players if is_gateway else max(sockets, plan.few)
    with servers.game(setup, transport, _settings(setup, transport, null_sink=True), players) as server:
        results: Result = {"ready_s": server.ready_s, "many": swarm(server, sockets, phases)}
        results["few"] = swarm(server, plan.few, [plan.pipelined()])
        if is_ours:
            results |= _beside(server, sockets, plan, results["many"], HealthProbe(server.page_url))
        if is_gateway:
            results["growth"] = _growth(server, plan)
    return results


def _beside(server: Server, sockets: int, plan: Plan, many: Result, probe: Probe) -> Result:
    """What a probe finds while the swarm does a share of what it did at saturation."""
    saturation = phase_of(many, "saturation")
    rate = max(100.0, FAIR_SHARE * (saturation["per_s"] if saturation else 0.0))
    with first_in_line() as is_first:
        fair = swarm(server, sockets, [plan.fair(rate)], while_it_runs=probe.ask)
        probe.finish()
    return {"fair": fair, "probe": {"first_in_line": is_first, "asked": probe.asked}}


def _growth(server: Server, plan: Plan) -> Result:
    return {str(at): swarm(server, at, [plan.open_loop(GROWTH_RATE, "growth")]) for at in plan.growth}


def _flush(setup: Setup, plan: Plan, transport: str) -> Result:
    """Ours with PostgreSQL behind it, which runs on the generator's core."""
    is_gateway = transport == "gateway"
    phases = plan.flush_phases() if is_gateway else [plan.idle()]  # more than the portable one carries
    settings = _settings(setup, transport, null_sink=False)
    with servers.game(setup, "flush", settings, plan.sockets + 1) as server:  # and who asks beside them
        results: Result = {"ready_s": server.ready_s, "many": swarm(server, plan.sockets, phases)}
        if is_gateway:
            with HardOperationProbe(server.url, servers.last_hello(server)) as probe:
                results |= _beside(server, plan.sockets, plan, results["many"], probe)
        return results


def flush_cost(setup: Setup, plan: Plan) -> Result:
    """What a durable row costs the server, without sockets: the process on its core, PostgreSQL on the other.

    Raises:
        LoadTestError: it could not be measured.
    """
    arguments = ["--seconds", str(plan.flush_cost_s)]
    if setup.cores.generator is not None:
        arguments += ["--database-core", str(setup.cores.generator)]
    timeout_s = FLUSH_COST_BESIDE_S + 3 * plan.flush_cost_s
    return _measured(setup, FLUSH_COST_MODULE, arguments, what="a durable row", timeout_s=timeout_s)


def signals_cost(setup: Setup) -> Result:
    """What counting who taps costs a tap: with it and without, in one run, without sockets.

    Raises:
        LoadTestError: it could not be measured.
    """
    return _measured(setup, SIGNALS_COST_MODULE, [], what="the counting", timeout_s=SIGNALS_COST_S)


def _measured(setup: Setup, module: str, arguments: Sequence[str], *, what: str, timeout_s: float) -> Result:
    """What a module that measures prints, on the server's core."""
    command = [*servers.pinned(setup.cores), sys.executable, "-m", module, "--json", *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )
    try:
        said, complaints = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise LoadTestError(f"{what} cannot be measured: it takes too long") from None
    finally:
        end_process(process, STOP_S)
    if process.returncode:
        raise LoadTestError(f"{what} cannot be measured: {complaints.decode().strip()[-500:]}")
    found: Result = json.loads(said)
    return found


def time_rules_ns() -> float:
    """What one accepted tap costs in `apply_taps`, called from Python: an upper bound of what the gateway pays.

    Raises:
        LoadTestError: the program failed, or taps were refused.
    """
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", RULES_PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    words = done.stdout.split()
    if done.returncode or len(words) != 2 or int(words[1]) != 5 * TAPS_TIMED:
        raise LoadTestError(f"apply_taps cannot be timed: {done.stderr.strip()[-500:]} {done.stdout.strip()}")
    return float(words[0])


def keep(folder: Path, name: str, raw: object) -> None:
    """Write raw figures beside the report."""
    (folder / name).write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
