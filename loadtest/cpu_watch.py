"""How much CPU processes use while something runs."""

import itertools
import threading
import time
from collections.abc import Mapping
from typing import Final, NamedTuple, Self

import psutil

INTERVAL_S: Final = 0.5


class Watched(NamedTuple):
    """Whose CPU time counts."""

    pid: int
    descendants: bool = False  #: those of the process in its stead


class CpuShare(NamedTuple):
    """Of one core; 1.0 is all of it."""

    mean: float
    highest: float  #: in one interval


class CpuWatch:
    """Samples CPU times in a thread of its own, from `with` to its end.

    Args:
        watched: by the name they have in `shares`.
    """

    def __init__(self, watched: Mapping[str, Watched]) -> None:
        self._watched = watched
        self._points: dict[str, list[tuple[float, float]]] = {name: [] for name in watched}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cpu watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; `shares` stays."""
        self._stop.set()
        self._thread.join()

    def shares(self, since_s: float = 0.0) -> dict[str, CpuShare]:
        """What each used.

        Args:
            since_s: on `perf_counter`; what was before does not count.
        """
        return {name: share_of(points, since_s) for name, points in self._points.items()}

    def _run(self) -> None:
        while True:
            for name, watched in self._watched.items():
                try:
                    used_s = _used_s(watched)
                except psutil.Error:
                    continue  # it has ended; what was seen of it counts
                self._points[name].append((time.perf_counter(), used_s))
            if self._stop.wait(INTERVAL_S):
                return


def share_of(points: list[tuple[float, float]], since_s: float) -> CpuShare:
    """Mean and highest rate of a growing number.

    Args:
        points: (time in s, CPU time used until then in s), in order.
        since_s: points before it do not count.
    """
    counted = [point for point in points if point[0] >= since_s]
    rates = [
        max(0.0, after_used_s - before_used_s) / (after_s - before_s)
        for (before_s, before_used_s), (after_s, after_used_s) in itertools.pairwise(counted)
    ]
    if not rates:
        return CpuShare(0.0, 0.0)
    mean = max(0.0, counted[-1][1] - counted[0][1]) / (counted[-1][0] - counted[0][0])
    return CpuShare(mean, max(rates))


def _used_s(watched: Watched) -> float:
    process = psutil.Process(watched.pid)
    used_s = 0.0
    for member in process.children(recursive=True) if watched.descendants else [process]:
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue  # ended between the two calls
        used_s += times.user + times.system
    return used_s
