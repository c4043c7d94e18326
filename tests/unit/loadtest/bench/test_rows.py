from typing import Any

import pytest

from loadtest.bench.plan import plan_for
from loadtest.bench.rows import Measurement, Reading, Row, found_phase, growth_of, ours, reading, rows_of

PLAN = plan_for(quick=True, file_limit=20_000)


def row(*readings: Reading | None) -> Row:
    mine = Measurement("x", "s", "< 1 s", lambda one, _plan: one["reading"], "not today")
    (found,) = rows_of([{"reading": reading} for reading in readings], PLAN, [mine])
    return found


def test_a_row_is_the_median_and_met_if_most_were() -> None:
    found = row(Reading(5.0, 0.5, False, 0.9, True), Reading(2.0, 0.9, True), Reading(3.0, 0.7, True))
    assert found == Row("x", "s", "< 1 s", 3.0, 0.7, True, 0.9, True)
    assert row(Reading(1.0, met=True), Reading(1.0, met=False)).met is False


def test_without_a_target_there_is_no_verdict() -> None:
    assert row(Reading(1.0)) == Row("x", "s", "< 1 s", 1.0)


def test_what_no_repetition_has_is_said() -> None:
    assert row(None, None) == Row("x", "s", "< 1 s", note="not today")
    assert row(None, Reading(4.0)).value == 4.0


CALM = {
    "server_core_busy_share": 0.95,
    "server_cpu_share": 0.9,
    "generator_core_busy_share": 0.9,
    "generator_cpu_share": 0.4,
    "children_cpu_share": 0.4,
}


@pytest.mark.parametrize(
    ("change", "disturbed"),
    [
        ({}, False),
        ({"server_cpu_share": 0.75}, True),
        ({"generator_core_busy_share": 1.0}, True),
        ({"children_cpu_share": None}, True),
        ({"server_core_busy_share": None, "generator_core_busy_share": None}, False),
    ],
)
def test_a_core_busy_with_something_else_is_a_disturbance(change: dict[str, float | None], disturbed: bool) -> None:
    assert reading(CALM | change, 1.0) == Reading(1.0, generator=0.4, disturbed=disturbed)
    assert reading(CALM, 1.0, 0.5, met=True, beside=CALM | change) == Reading(1.0, 0.5, True, 0.4, disturbed)


def test_ours_is_the_gateway_where_there_is_one() -> None:
    assert ours({"portable": {}, "gateway": {}}) == "gateway"
    assert ours({"portable": {}}) == "portable"


def growth(**cpu_us: float | None) -> dict[str, Any]:
    return {
        sockets[1:]: {"phases": [{"name": "growth", "server_cpu_us_each": each}]} for sockets, each in cpu_us.items()
    }


def test_growth_is_in_the_order_of_sockets() -> None:
    one = {"gateway": {"growth": growth(_10000=12.0, _2000=10.0, _5000=None)}}
    assert growth_of(one) == [(2_000, 10.0), (10_000, 12.0)]
    assert growth_of({}) == []


def test_a_phase_is_found_by_name_or_not_at_all() -> None:
    one = {"floor": {"many": {"phases": [{"name": "idle"}]}}}
    assert found_phase(one, "floor", "many", "idle") == {"name": "idle"}
    assert found_phase(one, "floor", "many", "storm") is None
    assert found_phase(one, "floor", "few", "idle") is None
    assert found_phase(one, "gateway", "many", "idle") is None
