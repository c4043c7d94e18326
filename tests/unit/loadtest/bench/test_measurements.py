import copy
import functools
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.bench.measurements import MEASUREMENTS
from loadtest.bench.plan import plan_for
from loadtest.bench.report import page, write_plots
from loadtest.bench.rows import Row, rows_of

PLAN = plan_for(quick=True, file_limit=20_000)
Result = dict[str, Any]


def phase(name: str, **more: Any) -> Result:
    return {
        "name": name,
        "kind": "open",
        "per_s": 100_000.0,
        "answered": 500_000,
        "accepted_share": 1.0,
        "latency_ms": {"p99": 4.0},
        "unanswered": 0,
        "unsent": 0,
        "errors": 0,
        "generator_cpu_share": 0.5,
        "server_cpu_share": 0.8,
        "server_core_busy_share": 0.85,
        "server_cpu_us_each": 10.0,
        "server_rss_grown_bytes": 0.0,
        "open": 4_000,
        "metrics_before": {"game_players_load_batches_total": 30.0},
        "metrics_after": {"game_players_load_batches_total": 40.0},
        "whole": {"elapsed_s": 2.0},
        **more,
    }


def run(*phases: Result) -> Result:
    connect = {"s": 4.0, "open": 4_000, "server_rss_grown_bytes": 4_000 * 5 * 1024.0}
    return {"connections": 4_000, "connect": connect, "phases": list(phases)}


def many(**more: Any) -> Result:
    rates = [phase(f"rate_{rate}", rate=float(rate), **more) for rate in (10_000, 20_000, 40_000)]
    return run(phase("idle"), phase("saturation", **more), *rates, phase("actions", **more))


def heard(**more: Any) -> Result:
    """1.6 s at 5 messages/s: 8 to each of the plan's sockets."""
    base = {"kind": "listen", "measured_s": 1.6, "deliveries": 8 * PLAN.sockets, "server_cpu_us_each": 8.0}
    return run(phase("fan_out", **{**base, **more}), phase("slow_readers", **base))


def asked(at_s: float, *, took_ms: float, waited_ms: float = 0.0) -> Result:
    return {"at_s": at_s, "took_ms": took_ms, "waited_ms": waited_ms}


def repetition(**gateway: Any) -> Result:
    storm = phase("storm", storm_s=3.0, failed=0)
    ours = many(**gateway)
    ours["phases"].append(storm)
    growth = {"1000": run(phase("growth")), "4000": run(phase("growth", server_cpu_us_each=14.0))}
    return {
        "null_sink": True,
        "floor": {
            "many": many(),
            "portable": many(),
            "few": run(phase("pipelined")),
            "fan_out": heard(),
            "at_once": heard(),
        },
        "gateway": {
            "many": ours,
            "few": run(phase("pipelined", **gateway)),
            "fair": run(phase("fair", measured_from_s=10.0, measured_to_s=13.0)),
            "probe": {"first_in_line": True, "asked": [asked(10 + 0.02 * at, took_ms=at) for at in range(1, 101)]},
            "growth": growth,
        },
        "uwebsockets": {"many": many(), "few": run(phase("pipelined"))},
        "portable": {"many": run(phase("saturation")), "few": run(phase("pipelined"))},
        "fan_out": {"many": heard(), "at_once": heard(per_s=75_000.0, generator_cpu_share=0.93)},
        "flush": {
            "many": many(server_cpu_us_each=18.0),
            "fair": run(phase("fair", measured_from_s=10.0, measured_to_s=13.0)),
            "probe": {"first_in_line": True, "asked": [asked(10 + 0.02 * at, took_ms=3 * at) for at in range(1, 101)]},
        },
        "rules_ns": 60.0,
        "start_s": 2.0,
    }


DURABLE_ROW: Result = {
    "us_each": 1.5,
    "server_cpu_share": 0.15,
    "server_core_busy_share": 0.2,
    "children_cpu_share": 0.3,
    "generator_core_busy_share": 0.4,
}
COUNTING: Result = {"counting_ns": 88.0, "not_counting_ns": 80.0, "ratio": 1.1}


def row(name: str, *repetitions: Result) -> Row:
    (found,) = (row for row in rows_of(repetitions, PLAN, MEASUREMENTS) if row.name == name)
    return found


@pytest.mark.parametrize(
    ("name", "change", "value", "ratio", "met"),
    [
        ("saturation, unpipelined †", {"per_s": 80_000.0}, 80_000, 0.8, True),
        ("saturation, unpipelined †", {"per_s": 79_000.0}, 79_000, 0.79, False),
        ("saturation, unpipelined †", {"accepted_share": 0.94}, 100_000, 1.0, False),
        ("saturation, unpipelined †", {"errors": 1}, 100_000, 1.0, False),
        ("saturation, pipelined †", {"per_s": 60_000.0, "accepted_share": 0.1}, 60_000, 0.6, True),
        ("pipelined, uWebSockets.js in the same run", {"per_s": 99_000.0}, 100_000, 0.99, False),
        ("latency p99 at 10,000/s †", {}, 4.0, 1.0, True),
        ("latency p99 at 10,000/s †", {"latency_ms": {"p99": 11.9}}, 11.9, 2.975, True),  # ≤ 3 × the floor
        ("latency p99 at 10,000/s †", {"latency_ms": {"p99": 13.0}}, 13.0, 3.25, False),
        ("latency p99 at 40,000/s †", {"unanswered": 1}, 4.0, 1.0, False),
        ("latency p99 at 40,000/s †", {"unsent": 1}, 4.0, 1.0, False),
        ("CPU a tap at 40,000/s †", {"server_cpu_us_each": 16.0}, 16.0, 1.6, True),
        ("CPU a tap at 40,000/s †", {"server_cpu_us_each": 16.5}, 16.5, 1.65, False),
        ("CPU a tap with flush at 10,000/s", {}, 18.0, 1.8, True),
        ("actions, half of the frames", {"per_s": 24_000.0}, 24_000, None, False),
        ("memory an idle player's socket", {}, 5.0, None, True),
        ("connect storm, every state to load", {}, 4.0, None, True),
        ("connect storm, states in memory", {}, 3.0, None, True),
        ("taps a CPU second, unpipelined †", {"server_cpu_us_each": 12.5}, 80_000, 0.8, None),
        ("connect storm, player-load transactions", {}, 30.0, None, True),
        ("GET /healthz p99 at 60 %", {}, 100, None, False),
        ("hard operation p99 at 60 %", {}, 300, None, False),
        ("rules: apply_taps, from Python", {}, 60.0, None, True),
        ("growth: CPU a tap, most sockets to fewest", {}, 14.0, 1.4, True),
        ("start, ready after", {}, 2.0, None, True),
    ],
)
def test_a_target_is_met_or_missed(name: str, change: Result, value: float, ratio: float | None, met: bool) -> None:
    found = row(name, repetition(**change))
    assert found.value == pytest.approx(value)
    assert found.ratio == (None if ratio is None else pytest.approx(ratio))
    assert found.met is met


def test_the_peers_of_the_table_are_scaled_by_the_floor() -> None:
    one = repetition()
    one["floor"]["few"]["phases"][0]["per_s"] = 1_233_000.0 / 2
    one["gateway"]["few"]["phases"][0]["per_s"] = 300_000.0
    socket_io, nakama = row("pipelined, Socket.IO by the table", one), row("pipelined, Nakama by the table", one)
    assert [socket_io.value, nakama.value] == pytest.approx([29_500, 19_000])
    assert (socket_io.met, nakama.met) == (True, True)
    one["gateway"]["few"]["phases"][0]["per_s"] = 294_000.0
    assert row("pipelined, Socket.IO by the table", one).met is False


def test_a_row_is_the_median_and_met_if_most_were() -> None:
    runs = [repetition(per_s=per_s) for per_s in (50_000.0, 90_000.0, 85_000.0)]
    found = row("saturation, unpipelined †", *runs)
    assert [found.value, found.ratio] == pytest.approx([85_000, 0.85])
    assert found.met is True
    runs[1] = repetition(per_s=70_000.0)
    assert row("saturation, unpipelined †", *runs).met is False


@pytest.mark.parametrize(("us_each", "met"), [(1.9, True), (2.1, False)])
def test_the_durable_row_has_a_measurement_of_its_own(us_each: float, met: bool) -> None:
    one = repetition() | {"durable_row": DURABLE_ROW | {"us_each": us_each}}
    found = row("CPU of the server a durable row ‡", one)
    assert (found.value, found.met, found.disturbed) == (us_each, met, False)
    assert row("CPU of the server a durable row ‡", repetition()).note == "could not be measured"


def test_the_counting_of_who_taps_has_no_target() -> None:
    name = "a tap through its seat, with the counting of who taps to without"
    one = repetition() | {"counting": COUNTING}
    found = row(name, one)
    assert (found.value, found.ratio, found.met) == (88.0, 1.1, None)
    assert row(name, repetition()).value is None


def test_a_busy_core_disturbs_the_durable_row() -> None:
    for core in ("server_core_busy_share", "generator_core_busy_share"):
        one = repetition() | {"durable_row": DURABLE_ROW | {core: 0.6}}
        assert row("CPU of the server a durable row ‡", one).disturbed, core
    unpinned = DURABLE_ROW | {"server_core_busy_share": None, "generator_core_busy_share": None}
    assert not row("CPU of the server a durable row ‡", repetition() | {"durable_row": unpinned}).disturbed


@pytest.mark.parametrize(
    ("name", "histogram", "ends", "value", "met"),
    [
        ("flush lag p99 at 20,000/s", "game_flush_lag_seconds", ("0.5", "2.5"), 2.5, False),
        ("flush lag p99 at 20,000/s", "game_flush_lag_seconds", ("0.25", "0.5"), 0.5, True),
        ("loop held by a flush, p99 at 20,000/s", "game_flush_hold_seconds", ("0.001", "0.002"), 2.0, True),
        ("loop held by a flush, p99 at 20,000/s", "game_flush_hold_seconds", ("0.002", "0.005"), 5.0, False),
    ],
)
def test_a_histogram_of_the_server_is_read(
    name: str, histogram: str, ends: tuple[str, str], value: float, met: bool
) -> None:
    one = repetition()
    assert row(name, one).value is None
    (flushed,) = (phase for phase in one["flush"]["many"]["phases"] if phase["name"] == "rate_20000")
    flushed["metrics_before"] = {f'{histogram}_bucket{{le="{ends[0]}"}}': 1_000.0}  # what was before does not count
    counts = zip((*ends, "+Inf"), (1_100.0, 102.0, 102.0), strict=True)
    flushed["metrics_after"] = {f'{histogram}_bucket{{le="{end}"}}': count for end, count in counts}
    found = row(name, one)
    assert (found.value, found.met) == (value, met)


@pytest.mark.parametrize(
    ("change", "value", "met"),
    [
        ({}, 40, True),
        ({"server_cpu_us_each": 9.0}, 45, True),
        ({"server_cpu_us_each": 9.2}, 46, False),
        ({"deliveries": 7 * PLAN.sockets}, 40, True),  # the eighth fell outside of the window
        ({"deliveries": 6 * PLAN.sockets}, 40, False),
    ],
)
def test_the_fan_out_is_judged_at_the_targets_rate(change: Result, value: float, met: bool) -> None:
    one = repetition()
    one["fan_out"]["many"] = heard(**change)
    found = row("fan-out, CPU at 50,000 deliveries/s", one)
    assert found.value == pytest.approx(value)
    assert found.met is met
    assert found.note == "scaled from 20000 deliveries/s"


def test_nothing_is_scaled_where_there_are_as_many_sockets() -> None:
    plan = plan_for(quick=False, file_limit=20_000)
    one = repetition()
    one["fan_out"]["many"] = heard(measured_s=5.0, deliveries=25 * plan.sockets)
    (found,) = (row for row in rows_of([one], plan, MEASUREMENTS) if row.name == "fan-out, CPU at 50,000 deliveries/s")
    assert found.value == pytest.approx(40)
    assert (found.met, found.note) == (True, "")


def test_a_fan_out_as_fast_as_possible_tells_what_the_generator_used() -> None:
    found = row("fan-out, as fast as possible", repetition())
    assert (found.value, found.ratio, found.met, found.generator) == (75_000, 0.75, None, 0.93)
    assert found.note == "the generator used 93 % of its core and 50 % beside the floor"


ASKED = [("GET /healthz p99 at 60 %", "gateway", 50), ("hard operation p99 at 60 %", "flush", 250)]


@pytest.mark.parametrize(("name", "server", "limit_ms"), ASKED)
def test_what_was_asked_counts_within_the_window_alone(name: str, server: str, limit_ms: float) -> None:
    one = repetition()
    while_connecting, afterwards = asked(9.99, took_ms=500), asked(13.01, took_ms=600)
    within = [asked(10 + 0.02 * at, took_ms=limit_ms - 1) for at in range(100)]
    one[server]["probe"]["asked"] = [while_connecting, *within, afterwards]
    found = row(name, one)
    assert (found.value, found.met, found.note) == (limit_ms - 1, True, "")
    one[server]["probe"]["asked"] = [while_connecting, afterwards]
    assert row(name, one).value is None


@pytest.mark.parametrize(("name", "server", "limit_ms"), ASKED)
@pytest.mark.parametrize(("waited_ms", "met", "is_said"), [(0, False, False), (8, False, True), (40, None, True)])
def test_what_the_client_waited_for_its_own_core_is_said_and_is_no_miss(
    name: str, server: str, limit_ms: float, waited_ms: float, met: bool | None, is_said: bool
) -> None:
    one = repetition()
    took_ms, waited_ms = 1.2 * limit_ms, waited_ms * limit_ms / 50
    one[server]["probe"]["asked"] = [asked(10 + 0.02 * at, took_ms=took_ms, waited_ms=waited_ms) for at in range(100)]
    found = row(name, one)
    assert (found.value, found.met) == (took_ms, met)
    assert ("the generator's core was the limit" in found.note) is is_said


def test_without_a_gateway_the_portable_transport_is_ours() -> None:
    one = repetition()
    del one["gateway"]
    one["portable"]["many"]["phases"][0]["per_s"] = 5_000.0
    assert row("saturation, unpipelined †", one).value == 5_000
    assert row("connect storm, states in memory", one).value is None
    assert row("connect storm, states in memory", one).note == "needs the gateway"


def test_the_portable_transport_is_compared_at_its_own_number_of_sockets() -> None:
    one = repetition()
    one["portable"]["many"] = run(phase("saturation", per_s=4_000.0))
    one["floor"]["portable"] = run(phase("saturation", per_s=80_000.0))
    found = row("portable: unpipelined", one)
    assert [found.value, found.ratio] == pytest.approx([4_000, 0.05])


def test_what_is_not_there_is_said_and_has_no_verdict() -> None:
    one = repetition()
    del one["uwebsockets"]
    found = row("pipelined, uWebSockets.js in the same run", one)
    assert (found.value, found.met, found.note) == (None, None, "skipped: no uWebSockets.js here")
    assert row("leaderboard", one).note.startswith("later")


def test_a_busy_core_and_a_busy_generator_are_kept() -> None:
    found = row("saturation, unpipelined †", repetition(server_core_busy_share=0.99, generator_cpu_share=0.97))
    assert (found.disturbed, found.generator) == (True, 0.97)
    assert not row("saturation, unpipelined †", repetition()).disturbed


def test_every_measurement_finds_its_figures() -> None:
    one = repetition(children_cpu_share=0.2) | {"durable_row": DURABLE_ROW, "counting": COUNTING}
    flushed = phase("rate_20000", children_cpu_share=0.2, metrics_before={})
    flushed["metrics_after"] = {
        f'{name}_bucket{{le="{end}"}}': 1.0
        for name in ("game_flush_lag_seconds", "game_flush_hold_seconds")
        for end in ("0.001", "+Inf")
    }
    phases = one["flush"]["many"]["phases"]
    one["flush"]["many"]["phases"] = [flushed if at["name"] == "rate_20000" else at for at in phases]
    found = rows_of([one], PLAN, MEASUREMENTS)
    assert [row.name for row in found if row.value is None] == ["leaderboard"]


def places(value: Any, *at: Any) -> Iterator[tuple[Any, ...]]:
    """Where something stands that may be missing."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, *at, key)


def test_a_figure_that_is_missing_costs_its_row_and_no_other(tmp_path: Path) -> None:
    whole = repetition() | {"durable_row": DURABLE_ROW}
    names = [measurement.name for measurement in MEASUREMENTS]
    for server in ("gateway", "flush"):
        del whole[server]["probe"]["asked"][2:]
    rows = {row.name: row.value for row in rows_of([whole], PLAN, MEASUREMENTS)}
    assert list(rows) == names
    for place in places(whole):
        one = copy.deepcopy(whole)
        *way, last = place
        del functools.reduce(operator.getitem, way, one)[last]
        found = rows_of([one], PLAN, MEASUREMENTS)
        assert [row.name for row in found] == names
        lost = {row.name for row in found if row.value != rows[row.name]}
        assert len(way) < 2 or len(lost) < len(rows) / 2, place
        assert page(found, PLAN, {}, [], write_plots(tmp_path, [one], PLAN)), place


def test_a_part_that_failed_is_why_and_makes_no_other_server_ours() -> None:
    one = repetition() | {"ours": "gateway", "failed": {"gateway": "it did not start"}}
    del one["gateway"]
    found = row("saturation, unpipelined †", one)
    assert (found.value, found.note) == (None, "not measured: a part of the run failed")
    assert row("portable: unpipelined", one).value == 100_000


def test_every_measurement_has_a_row_whatever_is_missing() -> None:
    bare = {"null_sink": False, "floor": {}, "portable": {}, "flush": {}, "rules_ns": 50.0, "start_s": 1.0}
    rows = rows_of([bare], PLAN, MEASUREMENTS)
    assert [row.name for row in rows] == [measurement.name for measurement in MEASUREMENTS]
    assert len({row.name for row in rows}) == len(rows)
    assert {row.name for row in rows if row.value is not None} == {
        "rules: apply_taps, from Python",
        "start, ready after",
    }
