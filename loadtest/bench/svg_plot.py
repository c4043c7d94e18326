"""Line plots as SVG, by hand: a few polylines, axes from zero, and a legend need no library."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 400
LEFT: Final = 70
RIGHT: Final = 170
TOP: Final = 40
BOTTOM: Final = 50
STEPS: Final = 5
COLORS: Final = ("#0b6e4f", "#b3432b", "#2b59b3", "#8a6d00", "#6b3fa0")

Line = Sequence[tuple[float, float]]


def line_plot(title: str, x_label: str, y_label: str, lines: Mapping[str, Line]) -> str:
    """A plot.

    Args:
        title: above it.
        x_label: what is across, with its unit.
        y_label: what is up, with its unit.
        lines: points by name, in order; one without points is left out.

    Returns:
        The file's text.

    Raises:
        ValueError: there is not a single point.
    """
    drawn = {name: line for name, line in lines.items() if line}
    points = [point for line in drawn.values() for point in line]
    if not points:
        raise ValueError("there is nothing to plot")
    x_end, y_end = round_up(max(x for x, _ in points)), round_up(max(y for _, y in points))
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return round(LEFT + across * x / x_end, 1), round(HEIGHT - BOTTOM - up * y / y_end, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 22, title, size=15),
        _text(LEFT + across / 2, HEIGHT - 12, x_label, anchor="middle"),
        _text(16, TOP - 8, y_label),
    ]
    for step in range(STEPS + 1):
        x, y = x_end * step / STEPS, y_end * step / STEPS
        (_, line_y), (line_x, _) = at(0, y), at(x, 0)
        parts += [
            f'<path d="M{LEFT} {line_y}H{LEFT + across}" stroke="#ddd"/>',
            _text(LEFT - 6, line_y + 4, f"{y:,.4g}", anchor="end"),
            _text(line_x, HEIGHT - BOTTOM + 18, f"{x:,.6g}", anchor="middle"),
        ]
    for number, (name, line) in enumerate(drawn.items()):
        color = COLORS[number % len(COLORS)]
        places = [at(x, y) for x, y in line]
        path = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>' for x, y in places]
        legend_y = TOP + 18 * number
        parts.append(f'<path d="M{LEFT + across + 12} {legend_y}h18" stroke="{color}" stroke-width="2"/>')
        parts.append(_text(LEFT + across + 36, legend_y + 4, name))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}">{html.escape(text)}</text>'


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value)
