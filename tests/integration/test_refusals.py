"""What a person did wrong: each start is refused with one sentence that says what to do, and a status that is not 0."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from gameserver.file_limit import RESERVE_FILES
from persistence.migrations import migrate
from persistence.postgres import Connection, Database, open_loop
from tests.server_process import ServerProcess

KEY = "k1:" + "s" * 32


@pytest.fixture
def idle() -> Iterator[ServerProcess]:
    """A server that is not started: its settings, ports and folder."""
    idle = ServerProcess()
    yield idle
    idle.__exit__()


def refusal(server: ServerProcess, *command: str) -> str:
    """The one sentence on standard error."""
    done = server.run(*(command or ("serve",)), timeout_s=40)
    assert done.returncode == 1, done
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if "[warning" not in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("gameserver: ")
    assert lines[0].endswith((".", ")"))
    return lines[0]


@pytest.mark.parametrize("which", ["GAME_PORT", "GAME_HTTP_PORT"])
def test_a_taken_port(idle: ServerProcess, which: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(idle.environment[which])))
        taken.listen()
        sentence = refusal(idle)
    assert f"port {idle.environment[which]} on 127.0.0.1 is taken" in sentence
    assert which in sentence


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"GAME_HOST": "192.0.2.1"}, "192.0.2.1"),
        ({"GAME_PORT": "many"}, "GAME_PORT"),
        ({"GAME_PORT": "65536"}, "GAME_PORT"),
        ({"GAME_FLUSH_MS": "0"}, "GAME_FLUSH_MS"),
        ({"GAME_ENV": "staging"}, "GAME_ENV"),
        ({"GAME_JWT_KEYS": "k1:short"}, "GAME_JWT_KEYS"),
        ({"GAME_TLS_CERT": "/nowhere/cert.pem", "GAME_TLS_KEY": "/nowhere/key.pem"}, "GAME_TLS_CERT"),
        ({"GAME_ENV": "production"}, "GAME_DATABASE_URL"),
        ({"GAME_DATABASE_URL": "nonsense"}, "database address"),
        ({"GAME_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "127.0.0.1:1/none does not answer"),
        ({"GAME_DATA_DIR": "/proc/nothing"}, "/proc/nothing"),
    ],
)
def test_settings_that_cannot_be(idle: ServerProcess, settings: dict[str, str], words: str) -> None:
    idle.environment |= settings
    assert words in refusal(idle)


def test_damaged_secrets(idle: ServerProcess) -> None:
    (idle.data_dir / "secrets.json").write_text("{")
    assert "secrets.json is damaged" in refusal(idle)


def test_a_bot_token_that_is_none_does_not_stop_a_dev_start_but_a_production_start(idle: ServerProcess) -> None:
    idle.environment |= {"GAME_BOT_TOKEN": "none", "GAME_ENV": "production", "GAME_JWT_KEYS": KEY}
    assert "GAME_BOT_TOKEN is not a bot token" in refusal(idle)


def test_load_test_tokens_in_production(idle: ServerProcess) -> None:
    idle.environment |= {
        "GAME_ENV": "production",
        "GAME_JWT_KEYS": KEY,
        "GAME_BOT_TOKEN": "123456:" + "a" * 35,
        "GAME_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    }
    assert "GAME_ENV=dev" in refusal(idle, "token")


class Schema:
    """A database of one's own on the worker's PostgreSQL, as `GAME_DATABASE_URL` would name it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def execute(self, sql: str) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(sql)

        async def run() -> None:
            async with open_loop(), Database.open(self.dsn) as database:
                await database.run(work)

        trio.run(run)

    def take_back(self) -> None:
        async def run() -> None:
            async with open_loop(), Database.open(self.dsn) as database:
                await migrate.down(database, migrate.BASE)

        trio.run(run)


@pytest.fixture
def schema(database_dsn: str, idle: ServerProcess) -> Schema:
    idle.environment["GAME_DATABASE_URL"] = database_dsn
    return Schema(database_dsn)


def test_an_older_schema(idle: ServerProcess, schema: Schema) -> None:
    schema.take_back()
    assert "gameserver migrate up" in refusal(idle)
    assert idle.run("migrate", "up").stdout == f"applied: {', '.join(one.id for one in migrate.REVISIONS)}\n"
    assert idle.run("migrate", "check").returncode == 0


def test_a_newer_schema(idle: ServerProcess, schema: Schema) -> None:
    schema.execute("INSERT INTO schema_migrations (revision, name, checksum) VALUES ('9999', 'future', 'x')")
    assert "newer" in refusal(idle)


def test_a_schema_that_has_drifted(idle: ServerProcess, schema: Schema) -> None:
    schema.execute("UPDATE schema_migrations SET checksum = 'other'")
    assert "0001" in refusal(idle)


def test_an_empty_database_is_set_up_in_dev_and_refused_in_production(
    idle: ServerProcess, empty_database_dsn: str
) -> None:
    dev = dict(idle.environment)
    idle.environment |= {
        "GAME_DATABASE_URL": empty_database_dsn,
        "GAME_ENV": "production",
        "GAME_JWT_KEYS": KEY,
        "GAME_BOT_TOKEN": "123456:" + "a" * 35,
    }
    assert "gameserver migrate up" in refusal(idle)
    idle.environment = dev | {"GAME_DATABASE_URL": empty_database_dsn}
    assert "the PostgreSQL of GAME_DATABASE_URL" in idle.start()
    assert idle.stop() == 0


def test_extensions_that_are_not_built(idle: ServerProcess, tmp_path: Path) -> None:
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith('hotpath._') and name.endswith('_c'):\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    idle.environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{idle.environment['PYTHONPATH']}"
    assert "make setup" in refusal(idle)
    done = idle.run("doctor")
    assert done.returncode == 1
    assert "not built" in done.stdout


def test_doctor_lists_every_setting_with_its_source_and_typing_errors(idle: ServerProcess) -> None:
    idle.environment |= {"GAME_FLUSHMS": "5", "GAME_FLUSH_MS": "100", "GAME_FLUSH_SINK": "null"}
    done = idle.run("doctor")
    assert done.returncode == 0
    assert "GAME_FLUSHMS is not a setting" in done.stdout
    [row] = [line for line in done.stdout.splitlines() if line.split()[:1] == ["GAME_FLUSH_MS"]]
    assert row.split() == ["GAME_FLUSH_MS", "100", "environment"]
    assert "GAME_FLUSH_SINK=null forgets what players do" in done.stdout


def test_too_few_files_are_no_reason_not_to_serve_but_a_warning(idle: ServerProcess, tmp_path: Path) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (512, 1_024))\n"
    (tmp_path / "sitecustomize.py").write_text(limit)
    idle.environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{idle.environment['PYTHONPATH']}"
    sentence = f"only 1024 files may be open at once, so there is room for {1_024 - RESERVE_FILES} sockets"
    done = idle.run("doctor")
    assert done.returncode == 0
    assert f"warning open files: {sentence}" in done.stdout
    with idle:
        assert sentence in idle.log
    idle.environment["GAME_MAX_SOCKETS"] = "200"
    assert "1024 at once, enough for 200 sockets" in idle.run("doctor").stdout


def test_help_and_version(idle: ServerProcess) -> None:
    assert idle.run("--version").stdout.strip().count(".") == 2
    for command in ("serve", "migrate", "seed", "token", "doctor"):
        assert command in idle.run("--help").stdout
