"""`gameserver backup` and `restore` as an operator runs them: on the embedded database, interrupted, killed."""

import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from persistence.postgres import Connection, Database, open_loop
from tests.fakes.database_probe import rows
from tests.fakes.saved_game import bring_back, databases_for_verification, fingerprint, play, probe, save
from tests.server_process import ServerProcess

T = TypeVar("T")


@pytest.fixture
def idle() -> Iterator[ServerProcess]:
    """A server that is not started: its settings, ports and folder."""
    idle = ServerProcess()
    yield idle
    idle.__exit__()


def run_on(dsn: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on a database of this worker's PostgreSQL."""

    async def run() -> T:
        async with open_loop(), probe(dsn) as database:
            return await work(database)

    return trio.run(run)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence on standard error."""
    assert done.returncode == 1, done
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("gameserver: ")
    assert lines[0].endswith((".", ")"))
    return lines[0]


def lines_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a command that succeeded said."""
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.splitlines()


def test_the_embedded_database_is_backed_up_while_it_runs_and_restored_when_it_does_not(
    idle: ServerProcess, tmp_path: Path
) -> None:
    path = tmp_path / "game.backup"
    assert "There is no database in" in refusal(idle.run("backup", str(path)))
    with idle:
        assert idle.run("token", "--players", "3").returncode == 0
        first, last = lines_of(idle.run("backup", str(path)))
        assert first.startswith("backing up ")
        assert last.startswith(f"backed up: {path.stat().st_size} bytes, ")
        assert last.endswith(" s; verified by restoring it")
        assert "A server is live on" in refusal(idle.run("restore", str(path), "--force"))
        assert idle.stop() == 0
        first, last = lines_of(idle.run("restore", str(path), "--force"))
        assert first.startswith(f"restoring {path} (20")
        assert last.startswith(f"restored and verified: {path.stat().st_size} bytes, ")


def test_a_new_machine_begins_with_a_restore(idle: ServerProcess, database_dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "game.backup"
    run_on(database_dsn, lambda database: play(database, 7))
    run_on(database_dsn, lambda _: save(database_dsn, path))
    lines_of(idle.run("restore", str(path)))
    with idle:
        assert idle.run("migrate", "check").returncode == 0


def test_a_damaged_file_is_refused_before_a_database_is_so_much_as_made(idle: ServerProcess, tmp_path: Path) -> None:
    path = tmp_path / "game.backup"
    for content, words in ((b"", "no backup"), (b"PGDMP" + bytes(5_000), "without the seal"), (b"text", "no backup")):
        path.write_bytes(content)
        assert words in refusal(idle.run("restore", str(path), "--force"))
    assert "cannot be read" in refusal(idle.run("restore", str(tmp_path / "none")))
    assert list(idle.data_dir.iterdir()) == []


def test_an_older_schema_is_restored_with_a_word_about_migrating(
    idle: ServerProcess, empty_database_dsn: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "game.backup")
    idle.environment["GAME_DATABASE_URL"] = empty_database_dsn
    lines_of(idle.run("migrate", "up", "0001"))
    assert lines_of(idle.run("backup", path, "--no-verify"))[-1].endswith("; not verified")
    assert "is not empty; --force replaces the game" in refusal(idle.run("restore", path))
    last = lines_of(idle.run("restore", path, "--force"))[-1]
    assert last.endswith("run `gameserver migrate up` before the server is started")
    lines_of(idle.run("migrate", "up"))


# ---- ended on the way

_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name LIKE 'gameserver %'
"""
_CONNECTED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'gameserver %'
"""


def start(server: ServerProcess, dsn: str, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        server.command(*command),
        env=server.environment | {"GAME_DATABASE_URL": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_in_the_middle(
    server: ServerProcess, dsn: str, lock: str, how: signal.Signals, *command: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that has to wait for a lock, and end it while it waits; its connections are gone after that."""

    async def take(connection: Connection) -> None:
        await connection.execute("BEGIN")
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await connection.execute(f"LOCK TABLE players IN {lock} MODE")

    async def run(database: Database) -> subprocess.CompletedProcess[str]:
        async with database.dedicated("lock") as holder:
            await holder.run(take)
            process = start(server, dsn, *command)
            try:
                while await rows(database, _WAITING) == [(0,)]:
                    assert process.poll() is None, process.communicate()
            finally:
                process.send_signal(how)
                said = await trio.to_thread.run_sync(process.communicate)
        while await rows(database, _CONNECTED) != [(0,)]:
            pass
        return subprocess.CompletedProcess(command, process.returncode, *said)

    return run_on(dsn, run)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_backup_that_is_ended_leaves_the_one_before(
    idle: ServerProcess, database_dsn: str, tmp_path: Path, how: signal.Signals
) -> None:
    path = tmp_path / "game.backup"
    run_on(database_dsn, play)
    before_any = run_on(database_dsn, databases_for_verification)
    run_on(database_dsn, lambda _: save(database_dsn, path))
    before = path.read_bytes()
    done = end_in_the_middle(idle, database_dsn, "ACCESS EXCLUSIVE", how, "backup", str(path))
    assert path.read_bytes() == before
    left = set(run_on(database_dsn, databases_for_verification)) - set(before_any)
    if how == signal.SIGKILL:
        assert done.returncode == -signal.SIGKILL
        assert len(left) == 1
        run_on(database_dsn, lambda _: save(database_dsn, path))
        assert set(run_on(database_dsn, databases_for_verification)) == set(before_any)
    else:
        assert (done.returncode, done.stderr) == (130, "gameserver: interrupted.\n")
        assert left == set()
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_restore_that_is_ended_changes_nothing(
    idle: ServerProcess, database_dsn: str, tmp_path: Path, how: signal.Signals
) -> None:
    path = tmp_path / "game.backup"
    run_on(database_dsn, play)
    run_on(database_dsn, lambda _: save(database_dsn, path))
    run_on(database_dsn, lambda database: play(database, 9))
    before = run_on(database_dsn, lambda _: fingerprint(database_dsn))
    done = end_in_the_middle(idle, database_dsn, "ACCESS SHARE", how, "restore", str(path), "--force")
    if how == signal.SIGKILL:
        assert done.returncode == -signal.SIGKILL
    else:
        assert (done.returncode, done.stderr) == (130, "gameserver: interrupted.\n")
    assert run_on(database_dsn, lambda _: fingerprint(database_dsn)) == before
    run_on(database_dsn, lambda _: bring_back(database_dsn, path, force=True))
