"""Metrics: pulled from each component's `statistics()` when Prometheus asks; hot code only counts.

A statistics dataclass becomes one metric a field, named `game_<component>_<field>`: fields that end in `_total` are
counters, all others gauges. What needs a distribution is a histogram that its component observes, and what needs labels
a table of totals.
"""

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FLUSH_LAG_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
FLUSH_HOLD_BUCKETS_S = (1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1)
TURN_BUCKETS_S = (1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 1e-1)
PAUSE_BUCKETS_S = (1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 1e-1, 1.0)
GENERATIONS = 3  #: that Python's collector has

#: → (values of the labels, total) of each.
Totals = Callable[[], Iterable[tuple[tuple[str, ...], float]]]


class Metrics:
    """The node's metrics; one per run, so that tests do not share any."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._sources: dict[str, Callable[[], object]] = {}
        self._tables: list[tuple[str, str, tuple[str, ...], Totals]] = []
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.flush_lag_seconds = Histogram(
            "game_flush_lag_seconds",
            "From a player's first unwritten change to its commit.",
            buckets=FLUSH_LAG_BUCKETS_S,
            registry=self._registry,
        )
        self.flush_hold_seconds = Histogram(
            "game_flush_hold_seconds",
            "Time for which a flush let nothing else run: asking players for their writes, telling them their fate.",
            buckets=FLUSH_HOLD_BUCKETS_S,
            registry=self._registry,
        )
        self.turn_seconds = Histogram(
            "game_turn_seconds",
            "Time an actor's turn took (sampled); taps that the gateway answers are no turns of their own.",
            buckets=TURN_BUCKETS_S,
            registry=self._registry,
        )
        self.gc_pauses = GcPauses()
        self._registry.register(self.gc_pauses)

    def add(self, component: str, statistics: Callable[[], object]) -> None:
        """Expose a component.

        Args:
            component: goes into the metrics' names.
            statistics: returns a dataclass of numbers, cheap enough for every scrape.
        """
        self._sources[component] = statistics

    def add_totals(self, name: str, text: str, labels: tuple[str, ...], totals: Totals) -> None:
        """Expose one counter with labels.

        Args:
            name: the metric's, without `_total`.
            text: what it counts.
            labels: their names.
            totals: returns (values of the labels, total) of each, cheap enough for every scrape.
        """
        self._tables.append((name, text, labels, totals))

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks for at each scrape."""
        for name, text, labels, totals in self._tables:
            family = CounterMetricFamily(name, text, labels=labels)
            for label_values, total in totals():
                family.add_metric(label_values, total)
            yield family
        for component, statistics in self._sources.items():
            values = statistics()
            assert dataclasses.is_dataclass(values)
            for field in dataclasses.fields(values):
                name = f"game_{component}_{field.name}"
                text = f"{component.replace('_', ' ')}: {field.name.replace('_', ' ')}"
                value = float(getattr(values, field.name))
                if field.name.endswith("_total"):
                    yield CounterMetricFamily(name, text, value=value)
                else:
                    yield GaugeMetricFamily(name, text, value=value)

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)


class GcPauses:
    """How long Python's cyclic collector held everything up, by generation.

    Not one of prometheus-client's own histograms: those take locks, and the collector, from whose inside this is told,
    may have interrupted whoever holds them.
    """

    def __init__(self) -> None:
        self._counts = [[0] * (len(PAUSE_BUCKETS_S) + 1) for _ in range(GENERATIONS)]
        self._sums_s = [0.0] * GENERATIONS

    def observe(self, generation: int, pause_s: float) -> None:
        """Count one collection.

        Args:
            generation: the oldest it looked at.
            pause_s: seconds it took.
        """
        self._counts[generation][bisect.bisect_left(PAUSE_BUCKETS_S, pause_s)] += 1
        self._sums_s[generation] += pause_s

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks for at each scrape."""
        family = HistogramMetricFamily(
            "game_gc_pause_seconds", "Pauses of Python's cyclic garbage collector.", labels=["generation"]
        )
        bounds = [*map(str, PAUSE_BUCKETS_S), "+Inf"]
        for generation, counts in enumerate(self._counts):
            buckets = list(zip(bounds, itertools.accumulate(counts), strict=True))
            family.add_metric([str(generation)], buckets, self._sums_s[generation])
        yield family
