"""A game server of the load test's own: started as a process, on free ports, with a data folder that goes with it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).parent.parent
START_S: Final = 60.0
TOKENS_S: Final = 120.0
STOP_S: Final = 30.0  #: the server's own drain deadline is 20 s
GIVE_UP_S: Final = 5.0
POLL_S: Final = 0.1


class LoadTestError(Exception):
    """The load test cannot run; one sentence that says why."""


class OwnServer:
    """`gameserver serve` from this environment, untouched by the settings of whoever runs the test.

    Args:
        log_path: file for everything it writes.
        settings: `GAME_*` variables, by their whole names, over our own.
        core: the only one it may run on; None = any.

    Resources: `with` starts it and ends it whatever happens. `stop` ends it earlier and tells how.
    """

    def __init__(self, log_path: Path, settings: Mapping[str, str] | None = None, core: int | None = None) -> None:
        self._log_path = log_path
        self._settings = dict(settings or {})
        self._core = core
        self._data_dir = Path(tempfile.gettempdir())
        self._process: subprocess.Popen[bytes] | None = None
        self.socket_url = ""
        self.page_url = ""

    @property
    def pid(self) -> int:
        """Of the server's process.

        Raises:
            RuntimeError: it has not been started.
        """
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    def __enter__(self) -> Self:
        """Start it and wait until it is ready.

        Raises:
            LoadTestError: it does not start.
        """
        self._data_dir = Path(tempfile.mkdtemp(prefix="ppj-load-"))
        return self._start()

    def restart(self) -> None:
        """Stop it and start it again with the same data.

        Raises:
            LoadTestError: it does not start.
        """
        self.stop()
        self._start()

    def _start(self) -> Self:
        pinned = [] if self._core is None else [sys.executable, "-m", "loadtest.pinned", str(self._core)]
        try:
            with self._log_path.open("wb") as log:
                # A group of its own: Ctrl-C is ours to handle, and ends it in order.
                self._process = subprocess.Popen(  # noqa: S603 - our own command
                    [*pinned, *self._command("serve")],
                    env=self._environment(),
                    cwd=self._data_dir,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                )
            self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it, by force if need be, and remove its data."""
        self.stop()
        shutil.rmtree(self._data_dir, ignore_errors=True)

    def stop(self) -> int | None:
        """Ask it to stop, and wait.

        Returns:
            Its exit status; None if it had to be killed.
        """
        return None if self._process is None else end_process(self._process, STOP_S)

    def make_players(self, players: int, *, as_hello: bool = False) -> list[str]:
        """Make load-test players.

        Args:
            players: how many.
            as_hello: whole HELLO payloads in hex instead of tokens.

        Returns:
            An access token each.

        Raises:
            LoadTestError: the command failed, or printed something else.
        """
        done = subprocess.run(  # noqa: S603 - our own command
            self._command("token", "--players", str(players), *["--hello-hex"] * as_hello),
            env=self._environment(),
            cwd=self._data_dir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TOKENS_S,
            check=False,
        )
        tokens = done.stdout.decode(errors="replace").split()
        if done.returncode != 0 or len(tokens) != players:
            raise LoadTestError(
                f"`gameserver token --players {players}` ended with status {done.returncode} and {len(tokens)} tokens:"
                f" {done.stderr.decode(errors='replace').strip()[-500:]}"
            )
        return tokens

    def _wait_ready(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                raise LoadTestError(f"the server ended with status {self._process.returncode}:\n{self._log_tail()}")
            log = self._log_path.read_text(encoding="utf-8", errors="replace")
            socket_url = re.search(r"^ *Game socket +(wss?://\S+)$", log, re.MULTILINE)
            page = re.search(r"^ *Play +(https?://\S+)$", log, re.MULTILINE)
            if socket_url and page and _is_ready(f"{page[1]}readyz"):
                self.socket_url, self.page_url = socket_url[1], page[1]
                return
            time.sleep(POLL_S)
        raise LoadTestError(f"the server was not ready within {START_S:.0f} s:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace").strip()[-1_000:]

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gameserver", *arguments]

    def _environment(self) -> dict[str, str]:
        # The current folder is the data folder, so no .env is found; the checkout is put on the path instead.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GAME_")}
        return clean | {
            "PYTHONPATH": str(ROOT),
            "GAME_ENV": "dev",
            "GAME_HOST": "127.0.0.1",
            "GAME_PORT": "0",
            "GAME_HTTP_HOST": "127.0.0.1",
            "GAME_HTTP_PORT": "0",
            "GAME_DATA_DIR": str(self._data_dir),
            **self._settings,
        }


def end_process(process: subprocess.Popen[bytes], wait_s: float) -> int | None:
    """End a process that may still run: SIGTERM first, SIGKILL if it does not follow.

    Args:
        process: a child of ours.
        wait_s: how long it may take to follow.

    Returns:
        Its exit status; None if it had to be killed.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(GIVE_UP_S)
    return process.returncode


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=GIVE_UP_S) as answer:  # noqa: S310 - the server printed it: http
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
