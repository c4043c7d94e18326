"""The real server as a process of its own, for tests that kill it, restart it or look at it from outside."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Self

from tests.data_folders import new_data_folder
from tests.secrets_watch import watch

READY_LINE = "People Power Journey is ready."
STOP_S = 30.0


def free_port() -> int:
    """A port of the loopback interface that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """`gameserver serve` on free ports and a data folder of its own, which survives restarts and goes with the block.

    Args:
        settings: `GAME_*` variables without the prefix, e.g. `drain_s="5"`.
    """

    def __init__(self, **settings: str) -> None:
        self.data_dir = data_dir = new_data_folder("ppj-server-")
        self.port, self.http_port = free_port(), free_port()
        self.log_path = data_dir.with_name(f"{data_dir.name}.log")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GAME_")}
        given = {f"GAME_{name.upper()}": value for name, value in settings.items()}
        self.environment = clean | {
            "GAME_DATA_DIR": str(data_dir),
            "GAME_PORT": str(self.port),
            "GAME_HTTP_PORT": str(self.http_port),
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **given,
        }
        self._process: subprocess.Popen[str] | None = None

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def log(self) -> str:
        """Everything the server wrote on standard error, over all starts."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gameserver", *arguments]

    def run(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Another `gameserver` command with the same settings."""
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.log_path.parent,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        self._look(f"what `gameserver {arguments[0]}` says", done.stderr)  # `token` prints some, on its output
        return done

    def start(self) -> str:
        """Start it and wait until it is ready; returns the block it printed."""
        with self.log_path.open("a") as log:
            self._process = subprocess.Popen(
                self.command("serve"),
                env=self.environment,
                cwd=self.log_path.parent,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        output: IO[str] | None = self._process.stdout
        assert output is not None
        block: list[str] = []
        for line in output:
            block.append(line)
            if line.startswith("  Stop"):
                self._look("what the server prints", "".join(block))
                return "".join(block)
        raise AssertionError(f"the server ended with {self._process.wait()}: {''.join(block)}{self.log}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop and wait until it has; returns its exit status."""
        os.kill(self.pid, how)
        return self.wait()

    def wait(self) -> int:
        """Wait until it has ended; returns its exit status."""
        process, self._process = self._process, None
        assert process is not None
        try:
            return process.wait(STOP_S)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def _look(self, where: str, text: str) -> None:
        keys = self.environment.get("GAME_JWT_KEYS", "")
        known = {key.partition(":")[2]: "a signing key" for key in keys.split(",") if ":" in key}
        with contextlib.suppress(FileNotFoundError, ValueError):
            drawn = json.loads((self.data_dir / "secrets.json").read_text())["jwt_keys"]
            known |= dict.fromkeys(drawn.values(), "a drawn signing key")
        watch.look(where, text, known)

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._process is not None:
                self.stop()
        finally:
            self._look("the server's log", self.log)
            for path in self.data_dir.glob("**/*.log"):
                self._look(f"the database's {path.name}", path.read_text(errors="replace"))
            shutil.rmtree(self.data_dir, ignore_errors=True)
            self.log_path.unlink(missing_ok=True)
