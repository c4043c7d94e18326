from xml.etree import ElementTree as ET

import pytest

from loadtest.bench.svg_plot import line_plot, round_up

SVG = "{http://www.w3.org/2000/svg}"


def test_every_line_with_points_is_drawn_and_named() -> None:
    text = line_plot("a < b", "sockets", "µs", {"floor": [(0, 0), (10, 5)], "none": [], "we": [(10, 10)]})
    root = ET.fromstring(text)
    assert len(root.findall(f"{SVG}polyline")) == 2
    assert len(root.findall(f"{SVG}circle")) == 3
    words = {found.text for found in root.findall(f"{SVG}text")}
    assert {"a < b", "sockets", "µs", "floor", "we"} <= words
    assert "none" not in words


def test_the_largest_values_are_in_the_corner() -> None:
    root = ET.fromstring(line_plot("t", "x", "y", {"only": [(0, 0), (10, 10)]}))
    assert [(at.get("cx"), at.get("cy")) for at in root.findall(f"{SVG}circle")] == [
        ("70.0", "350.0"),
        ("550.0", "40.0"),
    ]


def test_nothing_cannot_be_plotted() -> None:
    with pytest.raises(ValueError, match="nothing to plot"):
        line_plot("t", "x", "y", {"none": []})


@pytest.mark.parametrize(
    ("value", "end"), [(0, 1), (1, 1), (1.1, 2), (2.2, 2.5), (3, 5), (7, 10), (18_000, 20_000), (0.03, 0.05)]
)
def test_axes_end_at_round_numbers(value: float, end: float) -> None:
    assert round_up(value) == pytest.approx(end)
