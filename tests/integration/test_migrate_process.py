"""`gameserver migrate` and the schema at a server's start, as whole processes: at once, killed, refused."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from persistence.migrations import migrate
from persistence.postgres import Connection, Database, open_loop
from tests.fakes.database_probe import rows
from tests.server_process import ServerProcess

EVERYTHING = [one.id for one in migrate.REVISIONS]
RUNNING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '% migrate'"
WAITING = f"{RUNNING} AND wait_event_type = 'Lock'"


@pytest.fixture
def idle(empty_database_dsn: str) -> Iterator[ServerProcess]:
    """A server that is not started, on a brand-new database."""
    idle = ServerProcess(database_url=empty_database_dsn)
    yield idle
    idle.__exit__()


def ask(server: ServerProcess, sql: str) -> list[tuple[object, ...]]:
    async def run() -> list[tuple[object, ...]]:
        async with open_loop(), Database.open(server.environment["GAME_DATABASE_URL"]) as database:
            return await rows(database, sql)

    return trio.run(run)


def test_two_nodes_that_start_at_once_on_a_new_database_migrate_it_once(
    idle: ServerProcess, empty_database_dsn: str
) -> None:
    with contextlib.ExitStack() as stack:
        other = ServerProcess(database_url=empty_database_dsn)
        stack.callback(other.__exit__)

        async def start_both() -> None:
            async with trio.open_nursery() as nursery:
                for server in (idle, other):
                    nursery.start_soon(trio.to_thread.run_sync, server.start)

        trio.run(start_both)
        assert ask(idle, "SELECT revision FROM schema_migrations ORDER BY revision") == [(id_,) for id_ in EVERYTHING]
        assert ask(idle, "SELECT count(*) FROM nodes WHERE lease_until > now()") == [(2,)]
        assert [server.stop() for server in (idle, other)] == [0, 0]


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_a_migration_that_is_killed_leaves_no_half(idle: ServerProcess, tmp_path: Path, how: str) -> None:
    async def take_a_name(connection: Connection) -> None:
        # the first revision gets as far as this type, and waits to see whether it will exist
        await connection.execute("BEGIN; CREATE TYPE grant_kind AS ENUM ()")

    async def run() -> int:
        async with (
            open_loop(),
            Database.open(idle.environment["GAME_DATABASE_URL"]) as database,
            database.dedicated("in the way") as other,
        ):
            await other.run(take_a_name)
            with (tmp_path / "said").open("w") as said, trio.fail_after(30):
                migration = await trio.lowlevel.open_process(
                    idle.command("migrate", "up"), env=idle.environment, stderr=said
                )
                while not (backends := await rows(database, WAITING)):
                    assert migration.poll() is None
                if how == "kill":
                    migration.kill()
                else:
                    await rows(database, "SELECT pg_terminate_backend($1)", backends[0][0])
                returncode = await migration.wait()
                while await rows(database, RUNNING):
                    await trio.lowlevel.checkpoint()
            return returncode

    returncode = trio.run(run)
    said = (tmp_path / "said").read_text()
    if how == "kill":
        assert returncode == -signal.SIGKILL
    else:
        assert returncode == 1
        assert "Schema revision 0001 lost the connection" in said
        assert "`gameserver migrate status`" in said
    assert ask(idle, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []
    assert ask(idle, "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace") == []
    assert idle.run("migrate", "up").stdout == f"applied: {', '.join(EVERYTHING)}\n"
    assert idle.run("migrate", "check").returncode == 0


def test_a_change_by_hand_is_shown_refused_and_accepted(idle: ServerProcess) -> None:
    idle.run("migrate", "up")
    ask(idle, "DROP INDEX players_generation_idx")
    index = "index players_generation_idx of players is missing"
    for command in ("serve", "migrate check"):
        refused = idle.run(*command.split())
        assert refused.returncode == 1
        assert index in refused.stderr
        assert "`gameserver migrate status`" in refused.stderr
        assert "`gameserver migrate accept`" in refused.stderr
    status = idle.run("migrate", "status")
    assert status.returncode == 0
    assert f"changed by hand: {index}\n" in status.stdout
    assert idle.run("migrate", "accept").stdout == f"accepted: {index}\n"
    assert idle.run("migrate", "accept").stdout == "nothing to do: the schema is as it should be\n"
    assert "changed by hand" not in idle.run("migrate", "status").stdout
    idle.start()
    assert idle.stop() == 0


def test_down_says_what_would_be_lost_and_does_it_with_yes(idle: ServerProcess) -> None:
    idle.run("migrate", "up")
    ask(idle, "INSERT INTO content_versions VALUES ('missions', decode(repeat('00', 32), 'hex'), 3)")
    refused = idle.run("migrate", "down", "0001")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "these rows would be lost: content_versions (1)" in refused.stderr
    assert "--yes" in refused.stderr
    assert idle.run("migrate", "check").returncode == 0
    done = idle.run("migrate", "down", "0001", "--yes").stdout.splitlines()
    assert done[0] == f"taken back: {', '.join(EVERYTHING[:0:-1])}"
    assert done[1].startswith("lost: ")
    assert "content_versions (1)" in done[1]
    assert idle.run("migrate", "down", "0001").stdout == "nothing to do: the schema is already there\n"
