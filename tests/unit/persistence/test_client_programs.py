"""PostgreSQL's programs: which fit, where a password goes, what they complained about."""

from pathlib import Path

import pytest

from persistence import client_programs
from persistence.client_programs import PROGRAMS, ClientPrograms, complaint, find_client_programs, without_password
from persistence.errors import SetupFailed


@pytest.mark.parametrize(
    ("dsn", "expected", "password"),
    [
        ("postgresql://game:s%40cret@db:5433/game", "postgresql://game@db:5433/game", "s@cret"),
        ("postgresql://game@db/game", "postgresql://game@db/game", ""),
        ("postgres://db/game?user=game&password=a+b%26c", "postgres://db/game?user=game", "a b&c"),
        ("postgresql://postgres@/game?host=/a%20b/socket&port=5432", None, ""),
        (
            "postgresql://u:p@h/d?sslmode=require&search_path=x&sslpassword=y",
            "postgresql://u@h/d?sslmode=require",
            "p",
        ),
        ("postgresql://u:p@h1:1,h2:2/d", "postgresql://u@h1:1,h2:2/d", "p"),
        ("postgresql://u:p@[::1]:5432/d", "postgresql://u@[::1]:5432/d", "p"),
    ],
)
def test_a_password_is_taken_out_of_the_address(dsn: str, expected: str | None, password: str) -> None:
    assert without_password(dsn) == (dsn if expected is None else expected, password)


def test_a_password_stands_in_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_DATABASE_URL", "postgresql://game:secret@db/game")
    monkeypatch.setenv("PGOPTIONS", "-c search_path=other")
    programs = ClientPrograms(Path("/bin"), "postgresql://game:secret@db/game", "gameserver backup")
    assert "secret" not in " ".join(programs.command("pg_dump", "--format=custom"))
    environment = programs.popen_arguments()["env"]
    assert environment["PGPASSWORD"] == "secret"
    assert environment["PGAPPNAME"] == "gameserver backup"
    assert not {"GAME_DATABASE_URL", "PGOPTIONS"} & environment.keys()


def fake_programs(folder: Path, version: str, *, without: str = "") -> Path:
    folder.mkdir(parents=True)
    for program in PROGRAMS:
        if program != without:
            (folder / program).write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n")
            (folder / program).chmod(0o755)
    return folder


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(client_programs, "_USUAL", (f"{tmp_path}/usual-{{major}}",))
    monkeypatch.setattr(client_programs, "_wheel", lambda: iter([tmp_path / "wheel"]))
    monkeypatch.setenv("PATH", f"{tmp_path}/path")


def find(major: int, *, embedded: bool = False) -> Path:
    return find_client_programs(major, "postgresql://db/game", "test", embedded=embedded).folder


@pytest.mark.usefixtures("nothing_installed")
def test_the_programs_are_of_the_servers_version_wherever_they_are(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=r"of version 16, as the server is; install postgresql-client-16"):
        find(16)
    wheel = fake_programs(tmp_path / "wheel", "16.6")
    assert find(16) == wheel
    fake_programs(tmp_path / "usual-17", "17.1 (Debian 17.1-1)", without="psql")
    with pytest.raises(SetupFailed, match="postgresql-client-17"):
        find(17)
    usual = fake_programs(tmp_path / "usual-16", "16.2 (Debian 16.2-1)")
    assert find(16) == usual
    path = fake_programs(tmp_path / "path", "15.9")
    assert find(16) == usual
    assert find(15) == path
    assert find(16, embedded=True) == wheel
    with pytest.raises(SetupFailed, match="postgresql-client-18"):
        find(18)


@pytest.mark.usefixtures("nothing_installed")
def test_a_script_that_chooses_a_version_by_itself_is_passed_over(tmp_path: Path) -> None:
    wrapper = fake_programs(tmp_path / "wrapper", "16.2")
    (wrapper / "pg_dump").rename(wrapper / "pg_wrapper")
    (tmp_path / "path").mkdir()
    for program in PROGRAMS:
        (tmp_path / "path" / program).symlink_to(wrapper / "pg_wrapper")
    with pytest.raises(SetupFailed, match="postgresql-client-16"):
        find(16)


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (b"psql:<stdin>:12: ERROR:  division by zero\n", "division by zero"),
        (b"pg_restore: error: could not execute query: ERROR:  no\nCommand was: SELECT\n", "no"),
        (b'psql: error: connection to server failed: FATAL:  role "x" does not exist\n', 'role "x" does not exist'),
        (b"pg_dump: error: aborting\n", "aborting"),
        (b"something\nelse\n", "else"),
        (b"", "exit status 7"),
    ],
)
def test_the_reason_is_what_postgresql_said(stderr: bytes, words: str) -> None:
    assert complaint(stderr, 7) == words


async def test_a_program_that_fails_is_a_sentence(tmp_path: Path) -> None:
    folder = fake_programs(tmp_path / "bin", "18.0")
    (folder / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump: error: no space left' >&2\nexit 1\n")
    with pytest.raises(SetupFailed, match=r"pg_dump failed \(no space left\)\."):
        await ClientPrograms(folder, "postgresql://db/game", "test").run("pg_dump")
