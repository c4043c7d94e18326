from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from loadtest.bench.plan import plan_for
from loadtest.bench.report import HEADER, caveats, line_of, page, write_plots
from loadtest.bench.rows import Row

PLAN = plan_for(quick=False, file_limit=20_000)
GOOD = Row("latency p99 at 10,000/s †", "ms", "< 5 ms", 3.14159, 1.2345, True, 0.5)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (GOOD, "latency p99 at 10000/s †, 3.14, ms, 1.23, < 5 ms, yes"),
        (replace(GOOD, met=False, value=123_456.7), "latency p99 at 10000/s †, 123457, ms, 1.23, < 5 ms, no"),
        (replace(GOOD, met=None, ratio=None), "latency p99 at 10000/s †, 3.14, ms, –, < 5 ms, –"),
        (replace(GOOD, generator=0.91), "latency p99 at 10000/s †, 3.14*, ms, 1.23, < 5 ms, yes"),
        (replace(GOOD, disturbed=True), "latency p99 at 10000/s †, 3.14!, ms, 1.23, < 5 ms, yes"),
        (replace(GOOD, note="a, b"), "latency p99 at 10000/s †, 3.14, ms, 1.23, < 5 ms, yes (a b)"),
        (Row("board", "µs", "≤ 2 µs", note="later: none, yet"), "board, –, µs, –, ≤ 2 µs, later: none yet"),
    ],
)
def test_a_measurement_is_one_line_of_six(row: Row, line: str) -> None:
    assert line_of(row) == line
    assert line.count(", ") == HEADER.count(", ") == 5


def test_the_caveats_come_before_the_table() -> None:
    text = page([GOOD], PLAN, {"cpu": "one", "commit": "abc"}, ["No Node here."], ["a.svg"])
    assert text.index("No Node here.") < text.index("| cpu | one |") < text.index("| latency p99")
    assert "| command | `make bench` |" in text
    assert "| latency p99 at 10,000/s † | 3.14 | ms | 1.23 | < 5 ms | yes | 50% |" in text
    assert "![a](a.svg)" in text
    assert "median of 3 runs of 5 s" in text


def test_a_disturbed_run_says_so() -> None:
    sentence = "This run was disturbed: see the marks."
    assert sentence not in caveats(PLAN, [], [GOOD])
    assert sentence in caveats(PLAN, [], [replace(GOOD, disturbed=True)])


def run(name: str, rate: float, **more: Any) -> dict[str, Any]:
    return {"phases": [{"name": name, "kind": "open", "rate": rate, **more}]}


def test_plots_show_the_medians_of_what_was_measured(tmp_path: Path) -> None:
    repetitions = [
        {
            "floor": {"many": run("rate_10000", 10_000.0, latency_ms={"p99": p99_ms})},
            "gateway": {"growth": {"1000": run("growth", 10_000.0, server_cpu_us_each=10.0)}},
        }
        for p99_ms in (1.0, 2.0, 9.0)
    ]
    assert write_plots(tmp_path, repetitions, PLAN) == ["benchmarks-growth.svg", "benchmarks-latency.svg"]
    for name in ("benchmarks-growth.svg", "benchmarks-latency.svg"):
        assert ET.parse(tmp_path / name).getroot().tag.endswith("svg")
    # 2 ms at the top of an axis that ends there
    assert 'cy="40.0"' in (tmp_path / "benchmarks-latency.svg").read_text()


def test_without_figures_there_are_no_plots(tmp_path: Path) -> None:
    assert write_plots(tmp_path, [{"floor": {}}], PLAN) == []
    assert list(tmp_path.iterdir()) == []
