"""The PostgreSQL of a torture run: its own, on a small disk of its own where root may mount one."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio

from persistence.embedded import Embedded
from persistence.errors import SetupFailed
from tests.chosen_postgres import start_postgres
from tests.data_folders import new_data_folder
from tests.fault.polling import until

DISK_BYTES = 1_200 << 20  #: of the small disk; a run writes some hundred MB
_CLONE_NEWNS = 0x0002_0000  # linux/sched.h
SPARE_BYTES = 256 << 10  #: left free when the disk is said to be full


class OwnPostgres:
    """A PostgreSQL that may be killed and whose disk may be filled. Made by `own_postgres`.

    Args:
        server: running.
        disk: the folder that the small disk is mounted on; None where it is not.
    """

    def __init__(self, server: Embedded, disk: Path | None) -> None:
        self.server = server
        self.disk = disk
        self.restarts = 0
        self._restarting = trio.Lock()

    @property
    def dsn(self) -> str:
        """Its address, a Unix socket."""
        return self.server.dsn

    async def kill(self) -> None:
        """kill -9 of the postmaster and all its backends, and start it again."""
        async with self._restarting:
            with suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGKILL)
            await until(lambda: self.server.ended, every_s=0.01)
            await self._start_again()

    async def keep_running(self) -> None:
        """Start it again when it ends by itself, as it may when its disk is full; until cancelled."""
        while True:
            await trio.sleep(0.2)
            async with self._restarting:
                if self.server.ended:
                    await self._start_again()

    async def _start_again(self) -> None:
        self.restarts += 1
        while True:
            try:
                await trio.to_thread.run_sync(self.server.wait_for_rest)
                self.server.relaunch()
                await trio.to_thread.run_sync(self.server.wait_ready)
            except SetupFailed:
                await trio.sleep(0.1)  # the disk is full yet
            else:
                return

    async def fill_disk(self, lasts_s: float) -> None:
        """Leave next to nothing free for a while."""
        assert self.disk is not None
        ballast = self.disk / "ballast"
        try:
            with ballast.open("wb") as file:
                size = shutil.disk_usage(self.disk).free - SPARE_BYTES
                if size > 0:
                    os.posix_fallocate(file.fileno(), 0, size)
            await trio.sleep(lasts_s)
        finally:
            ballast.unlink(missing_ok=True)


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """A new PostgreSQL for the time of the block; from the main thread only."""
    folder = new_data_folder("ppj-torture-")
    disk = _mounted(folder)
    try:
        server = start_postgres(folder if disk is None else folder / "data")
        try:
            yield OwnPostgres(server, disk)
        finally:
            server.stop()
    finally:
        if disk is not None:
            subprocess.run(["umount", "--lazy", str(disk)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def keep_mounts_to_ourselves() -> bool:
    """Let what this process mounts be seen by it and its children alone, and end with them: needs root and Linux.

    To be called before there are threads.
    """
    if os.geteuid() != 0 or sys.platform != "linux":
        return False
    if ctypes.CDLL(None).unshare(_CLONE_NEWNS) != 0:
        return False
    return _quietly("mount", "--make-rprivate", "/")


def _mounted(folder: Path) -> Path | None:
    """A small disk in memory mounted on `folder`, or None where that is not allowed."""
    if not keep_mounts_to_ourselves():
        return None
    options = f"size={DISK_BYTES},mode=755"
    return folder if _quietly("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)) else None


def _quietly(*command: str) -> bool:
    """Whether it went well."""
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
