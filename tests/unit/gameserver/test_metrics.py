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


def test_pauses_of_the_collector_are_seen_until_told_otherwise() -> None:
    metrics = Metrics()
    stop = metrics.watch_gc()
    gc.collect()
    stop()
    text = metrics.render().decode()
    seen = 'game_gc_pause_seconds_count{generation="2"} 1.0'
    assert seen in text
    gc.collect()
    assert seen in metrics.render().decode()
