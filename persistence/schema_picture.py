"""The overview picture of the schema as SVG: every table by system, every foreign key as a line.

Tables stand in columns. On the left of a column a line leads up to `players`, which most tables point to; on the right
each other table that is pointed to has a lane of its own, with an arrow where it arrives. So no line crosses a table.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from persistence.schema_catalogue import Schema, Table
from persistence.schema_systems import HUB, SYSTEMS, System, system_of

_BOX_WIDTH: Final = 206
_BOX_HEIGHT: Final = 24
_STEP: Final = 31  #: from one box to the next
_LEFT: Final = 34  #: room for the line to the hub
_LANE: Final = 11
_LANES: Final = 4
_COLUMN: Final = _LEFT + _BOX_WIDTH + _LANE * (_LANES + 1) + 8
_TOP: Final = 96  #: below the hub
_TITLE: Final = 30
_MARGIN: Final = 14
_COLOURS: Final = ("#2f7ed8", "#d9480f", "#2b8a3e", "#9c36b5", "#b08900", "#0b7285")
_LEGEND: Final = (
    f"A line on the left of a table is a foreign key to {HUB}; a line on its right leads to the table with the arrow."
    " ↺ points to itself; a double frame is partitioned by month."
)
_STYLE: Final = """<style>
text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328}.title{font:600 14px system-ui,sans-serif}
.note{font:12px system-ui,sans-serif}.page{fill:#fff}.panel{fill:#f3f5f8;stroke:#d5dae1}.box{fill:#fff;stroke:#8b949e}
.hub{fill:none;stroke:#8b949e;stroke-width:1.4}.key{fill:none;stroke-width:1.6}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.panel{fill:#161b22;stroke:#30363d}.box{fill:#0d1117;stroke:#6e7681}}
</style>"""

Place = tuple[float, float]  #: of a box's upper left corner


def draw(schema: Schema) -> str:
    """The picture.

    Raises:
        LookupError: a table that no system has.
        ValueError: a foreign key that leads from one column to another, or more lanes than there is room for.
    """
    tables = {table.name: table for table in schema.tables if not table.name.endswith("_default")}
    for name in tables:
        system_of(name)
    columns = [[system for system in SYSTEMS if system.column == column] for column in range(4)]
    places: dict[str, Place] = {}
    panels = []
    for number, column in enumerate(columns):
        x, y = _MARGIN + number * _COLUMN, float(_TOP)
        for system in column:
            shown = [name for name in system.tables if name in tables and name != HUB]
            height = _TITLE + len(shown) * _STEP + 4
            panels.append(_panel(system, x, y, height))
            for position, name in enumerate(shown):
                places[name] = (x + _LEFT, y + _TITLE + position * _STEP)
            y += height + 14
    width = 2 * _MARGIN + len(columns) * _COLUMN - 10
    height_of_all = max(y for _, y in places.values()) + _STEP + 18
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height_of_all:g}" width="{width}">',
        "<title>Every table by system; lines are foreign keys</title>",
        _STYLE,
        f'<rect class="page" width="{width}" height="{height_of_all:g}"/>',
        *panels,
        *_lines_to_hub(schema, places, len(columns)),
        *(_box(tables[name], place) for name, place in places.items()),
        *_lanes(schema, places),
        f'<rect class="box" x="{_MARGIN}" y="46" width="{width - 2 * _MARGIN}" height="28" rx="5" stroke-width="2"/>',
        f'<text class="title" x="{width / 2:g}" y="65" text-anchor="middle">{HUB}</text>',
        f'<text class="note" x="{_MARGIN}" y="28">{_LEGEND}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(system: System, x: float, y: float, height: float) -> str:
    return (
        f'<rect class="panel" x="{x + 20:g}" y="{y:g}" width="{_COLUMN - 30}" height="{height:g}" rx="7"/>'
        f'<text class="title" x="{x + _LEFT:g}" y="{y + 20:g}">{escape(system.name)}</text>'
    )


def _box(table: Table, place: Place) -> str:
    x, y = place
    return (
        f"{_frame(x, y, 0)}{_frame(x, y, 2.5) if table.partitioned else ''}"
        f'<text x="{x + 9:g}" y="{y + 16.5:g}">{escape(table.name)}</text>'
    )


def _frame(x: float, y: float, inset: float) -> str:
    width, height = _BOX_WIDTH - 2 * inset, _BOX_HEIGHT - 2 * inset
    return f'<rect class="box" x="{x + inset:g}" y="{y + inset:g}" width="{width:g}" height="{height:g}" rx="3"/>'


def _lines_to_hub(schema: Schema, places: Mapping[str, Place], columns: int) -> Iterator[str]:
    children = {key.of for key, to in schema.foreign_keys if to == HUB and key.of in places}
    for number in range(columns):
        x = _MARGIN + number * _COLUMN + 8
        ys = sorted(
            y + _BOX_HEIGHT / 2 for name, (left, y) in places.items() if left == x - 8 + _LEFT and name in children
        )
        stubs = "".join(f"M{x} {y:g}H{x - 8 + _LEFT}" for y in ys)
        yield f'<path class="hub" d="M{x} 74V{ys[-1]:g}{stubs}"/>'


def _lanes(schema: Schema, places: Mapping[str, Place]) -> Iterator[str]:
    """A lane for each table that is pointed to, the short ones next to the boxes."""
    pointing: dict[str, list[str]] = {}
    for key, to in schema.foreign_keys:
        if key.of == HUB:
            pointing.setdefault(to, []).append(HUB)
        elif to != HUB and key.of in places and key.of not in pointing.setdefault(to, []):
            pointing[to].append(key.of)
    ports = _Ports(places, pointing)
    spans = []
    for parent, children in pointing.items():
        if any(child != HUB and places[child][0] != places[parent][0] for child in children):
            raise ValueError(f"a foreign key to {parent} leads to another column; move its system in schema_systems.py")
        ys = [ports.y(parent, parent), *(ports.y(child, parent) for child in children if child != parent)]
        spans.append((max(ys) - min(ys), min(ys), max(ys), parent))
    taken: list[tuple[float, int, float, float]] = []
    for _, top, bottom, parent in sorted(spans):
        left = places[parent][0]
        lane = next(
            lane
            for lane in range(_LANES + 1)
            if not any(t[0] == left and t[1] == lane and t[2] <= bottom + _LANE and top <= t[3] + _LANE for t in taken)
        )
        if lane == _LANES:
            raise ValueError("more lanes than there is room for; move a system to another column")
        taken.append((left, lane, top, bottom))
        yield _lane(ports, left + _BOX_WIDTH, lane, parent, pointing[parent])


def _lane(ports: "_Ports", right: float, lane: int, parent: str, children: Sequence[str]) -> str:
    x = right + _LANE * (lane + 1)
    ends = [ports.y(child, parent) for child in children if child != parent]
    arrives = ports.y(parent, parent)
    path = "".join(
        f"M{right:g} {y:g}H{x:g}" for child in children if child not in (parent, HUB) for y in [ports.y(child, parent)]
    )
    path += f"M{x:g} {min([arrives, *ends]):g}V{max([arrives, *ends]):g}M{x:g} {arrives:g}H{right + 6:g}"
    colour = _COLOURS[lane % len(_COLOURS)]
    loop = f'<text x="{right - 16:g}" y="{arrives + 5:g}">↺</text>' if parent in children else ""
    arrow = f'<path fill="{colour}" d="M{right:g} {arrives:g}l7 -4v8z"/>'
    return f'<path class="key" stroke="{colour}" d="{path}"/>{arrow}{loop}'


class _Ports:
    """Where on the right edge of its box each line begins or ends, so that two never meet."""

    def __init__(self, places: Mapping[str, Place], pointing: Mapping[str, Sequence[str]]) -> None:
        lines: dict[str, list[str]] = {}
        for parent, children in pointing.items():
            for name in (parent, *(child for child in children if child not in (parent, HUB))):
                lines.setdefault(name, []).append(parent)
        self._ys: dict[tuple[str, str], float] = {}
        for name, parents in lines.items():
            ordered = sorted(parents, key=lambda parent: (places[parent][1], parent))
            for position, parent in enumerate(ordered, start=1):
                self._ys[name, parent] = places[name][1] + _BOX_HEIGHT * position / (len(ordered) + 1)

    def y(self, name: str, parent: str) -> float:
        """Of the line between a box and the one it points to; the hub's lies above all."""
        return 74.0 if name == HUB else self._ys[name, parent]
