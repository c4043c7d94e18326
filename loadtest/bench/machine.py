"""What the bench runs on: cores, files, versions."""

import os
import platform
import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadtest.own_server import ROOT


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where; None = anywhere, because there is only one core."""

    server: int | None
    generator: int | None


def choose_cores(allowed: set[int]) -> Cores:
    """The two lowest cores this process may use; none if there are not two."""
    if len(allowed) < 2:
        return Cores(None, None)
    server, generator, *_ = sorted(allowed)
    return Cores(server, generator)


def raise_file_limit() -> int:
    """Let this process and its children open as many files as the machine allows; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def move_descendants(pid: int, core: int | None) -> None:
    """Put what a process started on another core."""
    if core is None:
        return
    for child in psutil.Process(pid).children(recursive=True):
        try:
            child.cpu_affinity([core])
        except psutil.NoSuchProcess:
            continue  # it ended between the two calls


def describe() -> dict[str, str]:
    """Machine and versions, by what they are."""
    cpu = ""
    info = Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE)):
        cpu = found[1]
    found_versions = {"node": _says("node", "--version"), "commit": _says("git", "rev-parse", "HEAD")}
    changed = _says("git", "status", "--porcelain", "--untracked-files=no")
    return {
        "cpu": f"{cpu or platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "node": found_versions["node"] or "none",
        "commit": found_versions["commit"] + (" with changes" if changed else ""),
    }


def _says(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        return ""
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    return done.stdout.strip()
