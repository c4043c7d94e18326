"""What Prometheus reads."""

import gc
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gameserver.metrics import Metrics


@dataclass(frozen=True)
class Statistics:
    taps_total: int = 5
    sessions: int = 2
    age_s: float = 0.25
    up: bool = True


def samples(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def kinds(metrics: Metrics) -> dict[str, str]:
    return {family.name: family.type for family in text_string_to_metric_families(metrics.render().decode())}


def test_each_field_of_a_component_is_a_metric() -> None:
    metrics = Metrics()
    metrics.add("game_edge", Statistics)
    found = samples(metrics)
    assert found["game_game_edge_taps_total"] == 5
    assert found["game_game_edge_sessions"] == 2
    assert found["game_game_edge_age_s"] == 0.25
    assert found["game_game_edge_up"] == 1
    assert kinds(metrics)["game_game_edge_taps"] == "counter"
    assert kinds(metrics)["game_game_edge_sessions"] == "gauge"


def test_totals_have_labels() -> None:
    metrics = Metrics()
    metrics.add_totals("game_doors", "Doors by colour.", ("colour",), lambda: [(("red",), 3), (("green",), 0)])
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    assert families["game_doors"].type == "counter"
    assert [(one.name, one.labels, one.value) for one in families["game_doors"].samples] == [
        ("game_doors_total", {"colour": "red"}, 3),
        ("game_doors_total", {"colour": "green"}, 0),
    ]


def test_statistics_are_asked_at_each_scrape() -> None:
    metrics, asked = Metrics(), []

    def statistics() -> Statistics:
        asked.append(1)
        return Statistics(taps_total=len(asked))

    metrics.add("edge", statistics)
    before = len(asked)
    assert samples(metrics)["game_edge_taps_total"] == before + 1
    assert samples(metrics)["game_edge_taps_total"] == before + 2


def test_histograms_and_the_process_are_there() -> None:
    metrics = Metrics()
    metrics.flush_lag_seconds.observe(0.2)
    metrics.turn_seconds.observe(2e-6)
    found = samples(metrics)
    assert found["game_flush_lag_seconds_count"] == 1
    assert found["game_turn_seconds_sum"] == pytest.approx(2e-6)
    assert found["process_resident_memory_bytes"] > 0


def test_two_nodes_in_one_process_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.turn_seconds.observe(1)
    assert samples(second)["game_turn_seconds_count"] == 0


def test_pauses_of_the_collector_are_a_histogram_by_generation() -> None:
    metrics = Metrics()
    for pause_s in (0.0002, 0.0005, 0.03, 2.0):
        metrics.gc_pauses.observe(2, pause_s)
    metrics.gc_pauses.observe(0, 0.0)
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    family = families["game_gc_pause_seconds"]
    assert family.type == "histogram"
    found = {
        sample.labels["le"]: sample.value
        for sample in family.samples
        if sample.name.endswith("_bucket") and sample.labels["generation"] == "2"
    }
    assert [found[bound] for bound in ("0.0001", "0.0005", "0.05", "1.0", "+Inf")] == [0, 2, 3, 3, 4]
    sums = {s.labels["generation"]: s.value for s in family.samples if s.name.endswith("_sum")}
    assert sums == {"0": 0.0, "1": 0.0, "2": pytest.approx(2.0307)}
    counts = {s.labels["generation"]: s.value for s in family.samples if s.name.endswith("_count")}
    assert counts == {"0": 1, "1": 0, "2": 4}


def test_a_collection_in_the_middle_of_a_scrape_holds_nothing_up() -> None:
    metrics = Metrics()
    pauses = 0

    def on_collection(phase: str, info: dict[str, int]) -> None:
        nonlocal pauses
        if phase == "stop":
            pauses += 1
            metrics.gc_pauses.observe(info["generation"], 0.001)

    thresholds = gc.get_threshold()
    gc.callbacks.append(on_collection)
    gc.set_threshold(1)
    try:
        for _ in range(5):
            metrics.render()
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(on_collection)
    assert pauses > 100
