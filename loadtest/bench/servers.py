"""The servers of a bench as processes, each pinned to the server's core: the floor, uWebSockets.js, the game."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loadtest.bench.machine import Cores, move_descendants
from loadtest.own_server import ROOT, LoadTestError, OwnServer, end_process

STOP_S: Final = 5.0
INSTALL_S: Final = 120.0
UWEBSOCKETS: Final = "uwebsockets@3.0.6"


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    url: str
    pid: int
    hello: Path | None = None  #: None: it knows no HELLO
    page_url: str = ""  #: of its HTTP side; empty: it has none
    ready_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What is there to be measured."""

    folder: Path  #: for binaries, logs and raw figures
    cores: Cores
    floor: Path
    node_modules: Path | None  #: None: no Node, no npm, or no package
    has_gateway: bool
    has_null_sink: bool
    said: list[str] = field(default_factory=list)  #: what is missing, a sentence each


def set_up(folder: Path, cores: Cores) -> Setup:
    """Build the floor and look for the peers.

    Args:
        folder: build/bench.
        cores: who runs where.

    Raises:
        LoadTestError: the C compiler cannot build the floor, or the server's settings cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said: list[str] = []
    node_modules = _install_uwebsockets(folder / "node")
    if node_modules is None:
        said.append("uWebSockets.js: skipped, there is no Node with npm, or the package cannot be installed.")
    settings = _known_settings()
    has_gateway = "transport" in settings and any((ROOT / "hotpath").glob("_gateway_c*.so"))
    if not has_gateway:
        said.append("The gateway is not built here: what is measured as ours is the portable transport.")
    has_null_sink = "flush_sink" in settings
    if not has_null_sink:
        said.append("GAME_FLUSH_SINK=null is not known here: rows marked † ran with the flush.")
    return Setup(folder, cores, build_floor(folder), node_modules, has_gateway, has_null_sink, said)


def build_floor(folder: Path) -> Path:
    """Compile the floor program.

    Raises:
        LoadTestError: it cannot be.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise LoadTestError("the floor program needs a C compiler (cc).")
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / "floor"
    source = ROOT / "loadtest" / "floor.c"
    done = subprocess.run(  # noqa: S603 - our own command
        [compiler, "-O2", "-Wall", "-Wextra", "-o", str(built), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LoadTestError(f"the floor program cannot be built:\n{done.stderr.strip()[-1_000:]}")
    return built


def _install_uwebsockets(folder: Path) -> Path | None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return None
    if not (folder / "node_modules" / "uwebsockets").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", UWEBSOCKETS]
        try:
            subprocess.run(command, cwd=folder, capture_output=True, timeout=INSTALL_S, check=True)  # noqa: S603 - our own command
        except (subprocess.SubprocessError, OSError):
            return None
    return folder / "node_modules"


def _known_settings() -> set[str]:
    """The settings this server knows: asked of a process, because the load test imports nothing of it."""
    program = "from gameserver.settings import Settings; print(*Settings.model_fields)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise LoadTestError(f"the server's settings cannot be read: {done.stderr.strip()[-500:]}")
    return set(done.stdout.split())


def pinned(cores: Cores) -> list[str]:
    """What goes before a server's command."""
    return [] if cores.server is None else [sys.executable, "-m", "loadtest.pinned", str(cores.server)]


@contextlib.contextmanager
def floor(setup: Setup, *arguments: str) -> Iterator[Server]:
    """The floor program.

    Raises:
        LoadTestError: it does not start.
    """
    with printing_port(setup, [str(setup.floor), "0", *arguments]) as server:
        yield server


@contextlib.contextmanager
def uwebsockets(setup: Setup) -> Iterator[Server]:
    """The peer on uWebSockets.js.

    Raises:
        LoadTestError: it does not start.
    """
    script = ROOT / "loadtest" / "peer_uwebsockets.js"
    with printing_port(setup, ["node", str(script), str(setup.node_modules)]) as server:
        yield server


@contextlib.contextmanager
def printing_port(setup: Setup, command: list[str]) -> Iterator[Server]:
    """A server without HELLO that prints its port on a line.

    Raises:
        LoadTestError: it does not start.
    """
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*pinned(setup.cores), *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()  # the end of the process ends this too
        if not port:
            raise LoadTestError(f"{command[0]} did not start")
        yield Server(f"ws://127.0.0.1:{port}/ws", process.pid)
    finally:
        end_process(process, STOP_S)
        assert process.stdout is not None
        process.stdout.close()


@contextlib.contextmanager
def game(setup: Setup, name: str, settings: Mapping[str, str], players: int) -> Iterator[Server]:
    """The game server with players of its own; its database runs on the generator's core.

    Raises:
        LoadTestError: it does not start, or makes no players.
    """
    started_s = time.perf_counter()
    with OwnServer(setup.folder / f"{name}.log", settings, setup.cores.server) as server:
        ready_s = time.perf_counter() - started_s
        move_descendants(server.pid, setup.cores.generator)
        hello = setup.folder / f"{name}.hello"
        hello.write_text("\n".join(server.make_players(players, as_hello=True)) + "\n", encoding="ascii")
        try:
            yield Server(server.socket_url, server.pid, hello, server.page_url, ready_s)
        finally:
            hello.unlink()  # tokens do not outlive their server


def last_hello(server: Server) -> bytes:
    """HELLO of the last of a game server's players: a smaller swarm does not play him."""
    assert server.hello is not None, "a game server's players have HELLOs"
    return bytes.fromhex(server.hello.read_text(encoding="ascii").split()[-1])


def time_to_ready_s(setup: Setup, settings: Mapping[str, str], players: int) -> float:
    """How long a start takes with players in the database.

    Raises:
        LoadTestError: it does not start.
    """
    with OwnServer(setup.folder / "start.log", settings, setup.cores.server) as server:
        if players:
            server.make_players(players)
        server.stop()
        started_s = time.perf_counter()
        server.restart()
        return time.perf_counter() - started_s
