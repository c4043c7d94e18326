"""Servers of a torture run: started, killed, frozen, woken, and started again whenever they end."""

import ctypes
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import trio

from tests.fakes.postgres_proxy import PostgresProxy
from tests.fault.polling import until
from tests.server_process import free_port

ROOT = Path(__file__).parents[2]
STOP_S = 30.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class GameNode:
    """One server and its way to the database.

    Args:
        name: its `GAME_NODE`.
        proxy: its way to the database.
        folder: for its log.
        settings: `GAME_*` variables.
        options: of `tests.fault.launched_server`.
    """

    def __init__(
        self, name: str, proxy: PostgresProxy, folder: Path, settings: dict[str, str], options: list[str]
    ) -> None:
        self.name = name
        self.proxy = proxy
        self.port, http_port = free_port(), free_port()
        self.log_path = folder / f"{name}.log"
        self.kills = 0
        self.ended_by_itself = 0  #: starts that the database refused, and what else ended it
        self.last_status: int | None = None
        self._wanted = True
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("GAME_")} | {
            "GAME_NODE": name,
            "GAME_PORT": str(self.port),
            "GAME_HTTP_PORT": str(http_port),
            "GAME_DATABASE_URL": proxy.dsn,
            "GAME_DATA_DIR": str(folder),
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        self._command = [
            *(sys.executable, "-m", "tests.fault.launched_server"),
            *options,
            *("--", "serve"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def log(self) -> str:
        """What it wrote on standard error, over all starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def command(self, *arguments: str) -> str:
        """Run another `gameserver` command with the same settings; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "gameserver", *arguments],
            env=self._environment,
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    async def keep_running(self) -> None:
        """Start it, and start it again whenever it has ended, until `stop`; to be cancelled after that."""
        while True:
            if self._wanted and self._process is None:
                self._start()
            if self._process is not None and self._process.poll() is not None:
                self.last_status = self._process.returncode
                if self._process.returncode != -signal.SIGKILL:
                    self.ended_by_itself += 1
                self._process = None
            await trio.sleep(0.02)

    def _start(self) -> None:
        with self.log_path.open("ab") as log:
            # From the main thread, for the death signal comes when the thread that started it ends.
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                process_group=0,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl, no lock
            )

    def kill(self) -> bool:
        """kill -9; False where it is just being started again."""
        if not self._send(signal.SIGKILL):
            return False
        self.kills += 1
        return True

    def freeze(self) -> bool:
        """SIGSTOP."""
        return self._send(signal.SIGSTOP)

    def wake(self) -> bool:
        """SIGCONT."""
        return self._send(signal.SIGCONT)

    async def stop(self) -> int:
        """SIGTERM; returns the exit status, that of SIGKILL where it took too long."""
        self._wanted = False
        process = self._process
        if process is None:
            return self.last_status or 0
        self.wake()
        self._send(signal.SIGTERM)
        with trio.move_on_after(STOP_S):
            await until(lambda: process.poll() is not None)
        self.end()
        return process.wait()

    def end(self) -> None:
        """Leave no process behind."""
        self._wanted = False
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _send(self, what: signal.Signals) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        with suppress(ProcessLookupError):
            self._process.send_signal(what)
        return True


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
