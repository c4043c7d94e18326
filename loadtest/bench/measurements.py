"""Every measurement of the performance targets: how it is read from a repetition, and what is enough."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from loadtest.bench.plan import FANOUT_RATE, RATES, Plan
from loadtest.bench.rows import Measurement, Reading, all_answered, found_phase, growth_of, ours, reading
from loadtest.bench.runs import phase_of
from loadtest.scrape import quantile_between

Result = dict[str, Any]

MIN_ACCEPTED: Final = 0.95
MAX_HEALTH_MS: Final = 50
MAX_HARD_MS: Final = 250
FANOUT_TARGET_PER_S: Final = 50_000
MAX_FANOUT_SHARE: Final = 0.45  #: of a core
#: The peers' figures of the table in the performance targets, with the floor beside which they were measured.
TABLE_FLOOR_PER_S: Final = 1_233_000
TABLE_SOCKET_IO_PER_S: Final = 59_000
TABLE_NAKAMA_PER_S: Final = 38_000


def _against_floor(run: str, name: str, least: float) -> Callable[[Result, Plan], Reading | None]:
    def read(one: Result, _plan: Plan) -> Reading | None:
        mine, floor = found_phase(one, ours(one), run, name), found_phase(one, "floor", run, name)
        if mine is None or floor is None:
            return None
        ratio = mine["per_s"] / floor["per_s"]
        accepted = run != "many" or mine["accepted_share"] >= MIN_ACCEPTED
        return reading(mine, mine["per_s"], ratio, met=ratio >= least and accepted and not mine["errors"], beside=floor)

    return read


def _accepted(run: str, name: str) -> Callable[[Result, Plan], Reading | None]:
    def read(one: Result, _plan: Plan) -> Reading | None:
        mine = found_phase(one, ours(one), run, name)
        if mine is None:
            return None
        share = mine["accepted_share"]
        return reading(mine, 100 * share, met=share >= MIN_ACCEPTED if run == "many" else None)

    return read


def _against_peer(one: Result, _plan: Plan) -> Reading | None:
    mine, peer = (found_phase(one, name, "few", "pipelined") for name in (ours(one), "uwebsockets"))
    if mine is None or peer is None:
        return None
    ratio = mine["per_s"] / peer["per_s"]
    return reading(mine, peer["per_s"], ratio, met=ratio >= 1, beside=peer)


def _against_table(peer_per_s: float, times: float) -> Callable[[Result, Plan], Reading | None]:
    def read(one: Result, _plan: Plan) -> Reading | None:
        mine, floor = (found_phase(one, name, "few", "pipelined") for name in (ours(one), "floor"))
        if mine is None or floor is None:
            return None
        peer_here = peer_per_s * floor["per_s"] / TABLE_FLOOR_PER_S
        return reading(mine, peer_here, mine["per_s"] / peer_here, met=mine["per_s"] >= times * peer_here, beside=floor)

    return read


def _latency(rate: int, limit_ms: float, server: str = "") -> Callable[[Result, Plan], Reading | None]:
    def read(one: Result, _plan: Plan) -> Reading | None:
        mine = found_phase(one, server or ours(one), "many", f"rate_{rate}")
        floor = found_phase(one, "floor", "many", f"rate_{rate}")
        if mine is None or floor is None:
            return None
        p99_ms, ratio = mine["latency_ms"]["p99"], mine["latency_ms"]["p99"] / floor["latency_ms"]["p99"]
        near = p99_ms < limit_ms or (ratio <= 3 and server != "flush")
        return reading(mine, p99_ms, ratio, met=near and all_answered(mine), beside=floor)

    return read


def _cpu(rate: int, most: float, server: str = "") -> Callable[[Result, Plan], Reading | None]:
    def read(one: Result, _plan: Plan) -> Reading | None:
        mine = found_phase(one, server or ours(one), "many", f"rate_{rate}")
        floor = found_phase(one, "floor", "many", f"rate_{rate}")
        if mine is None or floor is None or not floor["server_cpu_us_each"] or mine["server_cpu_us_each"] is None:
            return None
        ratio = mine["server_cpu_us_each"] / floor["server_cpu_us_each"]
        return reading(mine, mine["server_cpu_us_each"], ratio, met=ratio <= most, beside=floor)

    return read


def _per_cpu_s(run: str, name: str) -> Callable[[Result, Plan], Reading | None]:
    """Answers a second of the server's CPU: where others take part of its core, fairer than answers a second."""

    def read(one: Result, _plan: Plan) -> Reading | None:
        mine, floor = found_phase(one, ours(one), run, name), found_phase(one, "floor", run, name)
        if mine is None or floor is None or not mine["server_cpu_us_each"] or not floor["server_cpu_us_each"]:
            return None
        ratio = floor["server_cpu_us_each"] / mine["server_cpu_us_each"]
        return reading(mine, 1e6 / mine["server_cpu_us_each"], ratio, beside=floor)

    return read


def _actions(one: Result, _plan: Plan) -> Reading | None:
    mine = found_phase(one, ours(one), "many", "actions")
    if mine is None:
        return None
    return reading(mine, mine["per_s"], met=mine["per_s"] >= 25_000 and not mine["errors"])


def _memory(one: Result, _plan: Plan) -> Reading | None:
    result = one[ours(one)].get("many")
    idle = phase_of(result, "idle") if result is not None else None
    if idle is None or not idle["open"]:
        return None
    grown_bytes = result["connect"]["server_rss_grown_bytes"] + (idle["server_rss_grown_bytes"] or 0)
    kib = grown_bytes / 1024 / idle["open"]
    return reading(idle, kib, met=kib <= 6)


def _storm(one: Result, _plan: Plan) -> Reading | None:
    storm = found_phase(one, ours(one), "many", "storm")
    if storm is None:
        return None
    return reading(storm, storm["storm_s"], met=storm["storm_s"] <= 5 and not storm["failed"])


def _first_connect(one: Result, _plan: Plan) -> Reading | None:
    """Nobody is in memory: every state is loaded."""
    result = one[ours(one)].get("many")
    if result is None:
        return None
    connect = result["connect"]
    met = connect["s"] <= 5 and connect["open"] == result["connections"]
    return reading(connect, connect["s"], met=met)


def _loads(one: Result, _plan: Plan) -> Reading | None:
    """Of the worse of both storms."""
    storm, idle = (found_phase(one, ours(one), "many", name) for name in ("storm", "idle"))
    if storm is None or idle is None:
        return None
    loads = storm["metrics_after"].get("game_players_load_batches_total")
    first = idle["metrics_before"].get("game_players_load_batches_total")
    if loads is None or first is None:
        return None
    reloads = loads - storm["metrics_before"]["game_players_load_batches_total"]
    return reading(storm, max(reloads, first), met=max(reloads, first) <= 100)


def _fan_out(one: Result, plan: Plan) -> Reading | None:
    """The target is for 50 000 deliveries/s: with fewer sockets a delivery's CPU is scaled to as many."""
    mine, floor = found_phase(one, "fan_out", "many", "fan_out"), found_phase(one, "floor", "fan_out", "fan_out")
    if mine is None or floor is None or not mine["server_cpu_us_each"] or not floor["server_cpu_us_each"]:
        return None
    per_s = FANOUT_RATE * plan.sockets
    share = mine["server_cpu_us_each"] * FANOUT_TARGET_PER_S / 1e6
    # the messages at both ends of the window are in it or not, as their rounds and its clock happen to fall
    least = 0.99 * (per_s * mine["measured_s"] - plan.sockets)
    met = share <= MAX_FANOUT_SHARE and mine["deliveries"] >= least
    note = "" if per_s == FANOUT_TARGET_PER_S else f"scaled from {per_s} deliveries/s"
    ratio = mine["server_cpu_us_each"] / floor["server_cpu_us_each"]
    return dataclasses.replace(reading(mine, 100 * share, ratio, met=met, beside=floor), note=note)


def _fan_out_at_once(one: Result, _plan: Plan) -> Reading | None:
    mine, floor = found_phase(one, "fan_out", "at_once", "fan_out"), found_phase(one, "floor", "at_once", "fan_out")
    if mine is None or floor is None or not floor["per_s"]:
        return None
    found = reading(mine, mine["per_s"], mine["per_s"] / floor["per_s"], beside=floor)
    busy, floors = (f"{100 * (each['generator_cpu_share'] or 0):.0f} %" for each in (mine, floor))
    return dataclasses.replace(found, note=f"the generator used {busy} of its core and {floors} beside the floor")


def _slow_readers(one: Result, _plan: Plan) -> Reading | None:
    alone, beside = (found_phase(one, "fan_out", "many", name) for name in ("fan_out", "slow_readers"))
    if alone is None or beside is None:
        return None
    ratio = beside["latency_ms"]["p99"] / alone["latency_ms"]["p99"]
    return reading(beside, beside["latency_ms"]["p99"], ratio, met=ratio < 1.1, beside=alone)


def _floor_fan_out(one: Result, _plan: Plan) -> Reading | None:
    floor = found_phase(one, "floor", "fan_out", "fan_out")
    if floor is None or not floor["server_cpu_us_each"]:
        return None
    return reading(floor, 100 * floor["server_cpu_us_each"] * FANOUT_TARGET_PER_S / 1e6)


def _flush_lag(one: Result, _plan: Plan) -> Reading | None:
    phase = found_phase(one, "flush", "many", "rate_20000")
    if phase is None:
        return None
    lag_s = quantile_between(phase["metrics_before"], phase["metrics_after"], "game_flush_lag_seconds", 0.99)
    return None if lag_s is None else reading(phase, lag_s, met=lag_s <= 1)


def _durable_row(one: Result, _plan: Plan) -> Reading | None:
    """Of a measurement of its own: as the difference of two runs under load it drowns in their noise."""
    found = one.get("durable_row")
    return None if found is None else reading(found, found["us_each"], met=found["us_each"] <= 2)


def _counting(one: Result, _plan: Plan) -> Reading | None:
    """Once a bench: it builds the tap path twice."""
    found = one.get("counting")
    return None if found is None else Reading(found["counting_ns"], found["ratio"])


def _flush_hold(one: Result, _plan: Plan) -> Reading | None:
    phase = found_phase(one, "flush", "many", "rate_20000")
    if phase is None:
        return None
    hold_s = quantile_between(phase["metrics_before"], phase["metrics_after"], "game_flush_hold_seconds", 0.99)
    return None if hold_s is None else reading(phase, 1000 * hold_s, met=hold_s <= 0.002)


def _database_cpu(one: Result, _plan: Plan) -> Reading | None:
    phase = found_phase(one, "flush", "many", "rate_20000")
    if phase is None or phase.get("children_cpu_share") is None:
        return None
    return reading(phase, 100 * phase["children_cpu_share"])


def _asked(limit_ms: float, server: str = "") -> Callable[[Result, Plan], Reading | None]:
    """Of what was asked within the measured window; a miss that is the client's own wait has no verdict."""

    def read(one: Result, _plan: Plan) -> Reading | None:
        name = server or ours(one)
        phase = found_phase(one, name, "fair", "fair")
        if phase is None:
            return None
        from_s, to_s = phase["measured_from_s"], phase["measured_to_s"]
        asked = [each for each in one[name]["probe"]["asked"] if from_s <= each["at_s"] < to_s]
        if not asked:
            return None
        p99_ms = _p99([each["took_ms"] for each in asked])
        server_p99_ms = _p99([each["took_ms"] - each["waited_ms"] for each in asked])
        met: bool | None = p99_ms < limit_ms
        if not met and server_p99_ms < limit_ms:
            met = None
        generators_own = server_p99_ms < 0.9 * p99_ms
        note = f"the generator's core was the limit: {server_p99_ms:.1f} ms without waiting for it"
        return dataclasses.replace(reading(phase, p99_ms, met=met), note=note if generators_own else "")

    return read


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.99 * len(values)))]


def _rules(one: Result, _plan: Plan) -> Reading | None:
    return Reading(one["rules_ns"], met=one["rules_ns"] <= 100)


def _growth(one: Result, _plan: Plan) -> Reading | None:
    points = growth_of(one)
    if len(points) < 2:
        return None
    ratio = points[-1][1] / points[0][1]
    first, last = (phase_of(one["gateway"]["growth"][str(at)], "growth") for at, _ in (points[0], points[-1]))
    assert last is not None
    return reading(last, points[-1][1], ratio, met=ratio < 1.5, beside=first)


def _start(one: Result, _plan: Plan) -> Reading | None:
    return Reading(one["start_s"], met=one["start_s"] <= 5)


def _plainly(
    server: str, run: str, name: str, key: str, floor_run: str = ""
) -> Callable[[Result, Plan], Reading | None]:
    """For information."""

    def read(one: Result, _plan: Plan) -> Reading | None:
        phase, floor = found_phase(one, server, run, name), found_phase(one, "floor", floor_run or run, name)
        if phase is None or floor is None:
            return None
        value, base = (at["latency_ms"]["p99"] if key == "p99" else at[key] for at in (phase, floor))
        return None if not value or not base else reading(phase, value, value / base, beside=floor)

    return read


NO_PEER: Final = "skipped: no uWebSockets.js here"
NO_GATEWAY: Final = "needs the gateway"

MEASUREMENTS: Final = (
    Measurement("saturation, unpipelined †", "taps/s", "≥ 0.8 of the floor", _against_floor("many", "saturation", 0.8)),
    Measurement("taps a CPU second, unpipelined †", "taps", "", _per_cpu_s("many", "saturation")),
    Measurement("taps accepted, unpipelined †", "%", "≥ 95 %", _accepted("many", "saturation")),
    Measurement("saturation, pipelined †", "taps/s", "≥ 0.6 of the floor", _against_floor("few", "pipelined", 0.6)),
    Measurement("taps a CPU second, pipelined †", "taps", "", _per_cpu_s("few", "pipelined")),
    Measurement("taps accepted, pipelined †", "%", "", _accepted("few", "pipelined")),
    Measurement("pipelined, uWebSockets.js in the same run", "taps/s", "we ≥ 1 ×", _against_peer, NO_PEER),
    Measurement(
        "pipelined, Socket.IO by the table",
        "taps/s",
        "we ≥ 10 ×",
        _against_table(TABLE_SOCKET_IO_PER_S, 10),
        NO_GATEWAY,
    ),
    Measurement(
        "pipelined, Nakama by the table", "taps/s", "we ≥ 15 ×", _against_table(TABLE_NAKAMA_PER_S, 15), NO_GATEWAY
    ),
    Measurement("latency p99 at 10,000/s †", "ms", "< 5 ms or ≤ 3 × the floor", _latency(10_000, 5), NO_GATEWAY),
    Measurement("latency p99 at 40,000/s †", "ms", "< 20 ms or ≤ 3 × the floor", _latency(40_000, 20), NO_GATEWAY),
    *(
        Measurement(f"CPU a tap at {rate:,}/s †", "µs", "≤ 1.6 × the floor", _cpu(rate, 1.6), NO_GATEWAY)
        for rate in RATES
    ),
    *(
        Measurement(
            f"CPU a tap with flush at {rate:,}/s", "µs", "≤ 2.2 × the floor", _cpu(rate, 2.2, "flush"), NO_GATEWAY
        )
        for rate in RATES
    ),
    Measurement("latency p99 with flush at 40,000/s", "ms", "< 30 ms", _latency(40_000, 30, "flush"), NO_GATEWAY),
    Measurement("actions, half of the frames", "frames/s", "≥ 25,000/s", _actions, NO_GATEWAY),
    Measurement("memory an idle player's socket", "KiB", "≤ 6 KiB", _memory),
    Measurement("connect storm, every state to load", "s", "≤ 5 s, none failed", _first_connect),
    Measurement("connect storm, states in memory", "s", "≤ 5 s, none failed", _storm, NO_GATEWAY),
    Measurement("connect storm, player-load transactions", "", "≤ 100", _loads, NO_GATEWAY),
    Measurement("fan-out, CPU at 50,000 deliveries/s", "% of a core", "≤ 45 %", _fan_out),
    Measurement("fan-out, as fast as possible", "deliveries/s", "", _fan_out_at_once),
    Measurement("fan-out, p99 beside 1 % slow readers to without", "ms", "< 1.1 ×", _slow_readers),
    Measurement("fan-out, the floor's CPU at 50,000 deliveries/s", "% of a core", "", _floor_fan_out),
    Measurement("flush lag p99 at 20,000/s", "s, at most", "< 1 s", _flush_lag, NO_GATEWAY),
    Measurement("CPU of the server a durable row ‡", "µs", "≤ 2 µs", _durable_row, "could not be measured"),
    Measurement("loop held by a flush, p99 at 20,000/s", "ms, at most", "≤ 2 ms", _flush_hold, NO_GATEWAY),
    Measurement("database at 20,000/s", "% of a core", "", _database_cpu, NO_GATEWAY),
    Measurement("GET /healthz p99 at 60 %", "ms", "< 50 ms", _asked(MAX_HEALTH_MS)),
    Measurement("hard operation p99 at 60 %", "ms", "< 250 ms", _asked(MAX_HARD_MS, "flush"), NO_GATEWAY),
    Measurement("leaderboard", "µs", "≤ 2 µs", lambda _one, _plan: None, "later: there is none yet"),
    Measurement("rules: apply_taps, from Python", "ns", "≤ 100 ns", _rules),
    Measurement(
        "a tap through its seat, with the counting of who taps to without", "ns", "", _counting, "only in a full run"
    ),
    Measurement("growth: CPU a tap, most sockets to fewest", "µs", "< 1.5 ×", _growth, NO_GATEWAY),
    Measurement("start, ready after", "s", "≤ 5 s", _start),
    Measurement(
        "uWebSockets.js: unpipelined", "taps/s", "", _plainly("uwebsockets", "many", "saturation", "per_s"), NO_PEER
    ),
    *(
        Measurement(
            f"uWebSockets.js: p99 at {rate:,}/s",
            "ms",
            "",
            _plainly("uwebsockets", "many", f"rate_{rate}", "p99"),
            NO_PEER,
        )
        for rate in RATES
    ),
    Measurement("portable: unpipelined", "taps/s", "", _plainly("portable", "many", "saturation", "per_s", "portable")),
    Measurement("portable: pipelined", "taps/s", "", _plainly("portable", "few", "pipelined", "per_s")),
)
