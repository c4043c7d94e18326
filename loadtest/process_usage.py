"""CPU and memory of a process as the kernel counts them, and how busy a core was with anything at all."""

import contextlib
import os
import time
from pathlib import Path
from typing import Final, NamedTuple

import psutil

PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_IDLE_COLUMNS: Final = (3, 4)  # of /proc/stat: idle, iowait


class Usage(NamedTuple):
    """Of a process until now."""

    at_s: float  #: on `perf_counter`
    cpu_s: float  #: user and system
    rss_bytes: int


def usage_of(pid: int) -> Usage:
    """What a process has used.

    Raises:
        OSError: there is none.
    """
    at_s = time.perf_counter()
    cpu_ticks, rss_pages = parse_stat((PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
    return Usage(at_s, cpu_ticks / _TICKS_PER_S, rss_pages * _PAGE_BYTES)


def parse_stat(text: str) -> tuple[int, int]:
    """CPU ticks and resident pages out of /proc/<pid>/stat; the name in it may hold anything, also `)`."""
    values = text[text.rindex(")") + 2 :].split()
    return int(values[11]) + int(values[12]), int(values[21])


def core_busy_s(core: int) -> float | None:
    """For how long a core has not been idle; None if the kernel does not say."""
    try:
        text = (PROC / "stat").read_text(encoding="ascii")
    except OSError:
        return None
    return parse_core(text, core)


def parse_core(text: str, core: int) -> float | None:
    """The same out of /proc/stat's text."""
    for line in text.splitlines():
        name, *columns = line.split()
        if name == f"cpu{core}":
            # guest time (the last two columns) is in user time already
            busy = sum(int(column) for at, column in enumerate(columns[:8]) if at not in _IDLE_COLUMNS)
            return busy / _TICKS_PER_S
    return None


def descendants_cpu_s(pid: int) -> float:
    """CPU that what a process started has used, as far as it still runs."""
    used_s = 0.0
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(OSError):  # it ended between the two calls
            used_s += usage_of(child.pid).cpu_s
    return used_s


def own_core(pid: int) -> int | None:
    """The core a process is pinned to; None if it may run on several."""
    cores = os.sched_getaffinity(pid)
    return next(iter(cores)) if len(cores) == 1 else None
