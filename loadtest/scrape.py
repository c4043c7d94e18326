"""What a server says of itself at /metrics, and what changed between two looks."""

import re
import urllib.request
from collections.abc import Mapping
from typing import Final

TIMEOUT_S: Final = 10.0
_LINE: Final = re.compile(r"^(game_\w+(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)
_BUCKET: Final = re.compile(r'le="([^"]+)"')


def scrape(url: str) -> dict[str, float]:
    """Every `game_…` metric by name, labels included.

    Raises:
        OSError: it cannot be read.
    """
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the caller's: http
        return parse(answer.read().decode())


def parse(text: str) -> dict[str, float]:
    """The same out of Prometheus' text."""
    return {name: float(value) for name, value in _LINE.findall(text)}


def quantile_between(before: Mapping[str, float], after: Mapping[str, float], name: str, share: float) -> float | None:
    """The bucket's end below which a share of a histogram's new observations lie; None if there are none.

    Args:
        before: an earlier look.
        after: a later one.
        name: of the histogram.
        share: 0 … 1.

    Returns:
        In the histogram's unit; infinite if it lies beyond the last bucket. An upper bound: buckets are wide.
    """
    counts: list[tuple[float, float]] = []
    for key, value in after.items():
        end = _BUCKET.search(key)
        if key.startswith(f"{name}_bucket{{") and end is not None:
            counts.append((float(end[1].replace("+Inf", "inf")), value - before.get(key, 0.0)))
    counts.sort()
    if not counts or counts[-1][1] <= 0:
        return None
    return next(end for end, count in counts if count >= share * counts[-1][1])
