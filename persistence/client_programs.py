"""PostgreSQL's own programs, pg_dump, pg_restore and psql: which ones fit a server, and how they are run.

They must be of the server's major version: an older one refuses it, a newer one writes what it does not understand.
They run as ourselves, as our own connections do. A password never stands among their arguments, which everyone on the
machine can read, but in their environment.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import trio

from persistence.data_folder import ServerUser, find_binaries
from persistence.errors import SetupFailed

PROGRAMS = ("pg_dump", "pg_restore", "psql")
#: where packages put them: Debian's and PostgreSQL's own for Red Hat
_USUAL = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")
#: parameters of an address that libpq understands as the driver does; the driver's others are settings of the session
_PARAMETERS = frozenset(
    {"host", "port", "dbname", "user", "passfile", "sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "krbsrvname"}
)
_NOT_INHERITED = frozenset({"PGOPTIONS", "PGCLIENTENCODING", "PGDATESTYLE", "PGGEQO", "PSQLRC"})


@dataclass(frozen=True, slots=True)
class ClientPrograms:
    """The programs of one PostgreSQL, for one database.

    Args:
        folder: where they are.
        dsn: the database's address, with the password if it has one.
        application: how their connections are called in `pg_stat_activity`.
    """

    folder: Path
    dsn: str
    application: str

    def command(self, program: str, *arguments: str, connect: bool = True) -> list[str]:
        """A command line; `connect` gives it the database."""
        connection = ["--no-password", f"--dbname={without_password(self.dsn)[0]}"] if connect else []
        return [str(self.folder / program), *arguments, *connection]

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess`: the environment, and a process group that Ctrl-C does not reach."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith("GAME_") and name not in _NOT_INHERITED
        }
        password = without_password(self.dsn)[1]
        secret = {"PGPASSWORD": password} if password else {}
        ours = {"PGAPPNAME": self.application, "PGTZ": "UTC", "LC_ALL": "C"}
        return {"env": kept | ours | secret, "process_group": 0}

    async def run(
        self,
        program: str,
        *arguments: str,
        stdin: BinaryIO | int = subprocess.DEVNULL,
        stdout: BinaryIO | int = subprocess.DEVNULL,
        connect: bool = True,
    ) -> None:
        """Run a program to its end.

        Args:
            program: one of `PROGRAMS`.
            arguments: its own.
            stdin: what it reads.
            stdout: what it writes to.
            connect: give it the database.

        Raises:
            SetupFailed: it failed; the sentence ends with what it said.
        """
        done = await trio.run_process(
            self.command(program, *arguments, connect=connect),
            stdin=stdin if isinstance(stdin, int) else stdin.fileno(),
            stdout=stdout if isinstance(stdout, int) else stdout.fileno(),
            capture_stderr=True,
            check=False,
            **self.popen_arguments(),
        )
        if done.returncode != 0:
            raise SetupFailed(f"{program} failed ({complaint(done.stderr, done.returncode)}).")


def find_client_programs(major: int, dsn: str, application: str, *, embedded: bool) -> ClientPrograms:
    """The programs that fit a server: the wheel's for its own, else those of the PATH, of a package, of the wheel.

    Args:
        major: the server's major version.
        dsn: the database they are for.
        application: how their connections are called.
        embedded: whether the server is the embedded one.

    Raises:
        SetupFailed: there are none; the sentence says what to install.
    """
    installed, wheel = list(_installed(major)), list(_wheel())
    for folder in wheel + installed if embedded else installed + wheel:
        if _major_of(folder) == major:
            return ClientPrograms(folder, dsn, application)
    raise SetupFailed(
        f"This needs pg_dump, pg_restore and psql of version {major}, as the server is; "
        f"install postgresql-client-{major}, or put them on the PATH."
    )


def without_password(dsn: str) -> tuple[str, str]:
    """An address as libpq understands it, without its password, and the password ("" if it has none)."""
    parts = urlsplit(dsn)
    user, at, hosts = parts.netloc.rpartition("@")
    user, _, password = user.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    password = dict(query).get("password", unquote(password))
    kept = urlencode([(name, value) for name, value in query if name in _PARAMETERS], quote_via=quote, safe="/")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{hosts}", query=kept)), password


def complaint(stderr: bytes, exit_status: int) -> str:
    """What a program complained about, without its own name; its exit status if it said nothing."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    for mark in ("ERROR: ", "FATAL: ", "error: "):
        for line in lines:
            if mark in line:
                return line.rpartition(mark)[2].strip()
    return lines[-1] if lines else f"exit status {exit_status}"


def _installed(major: int) -> Iterator[Path]:
    """Folders where the operator may have them."""
    found = shutil.which("pg_dump")
    # Debian's own pg_dump on the PATH is a script that chooses a version by itself
    if found is not None and (program := Path(found).resolve()).name == "pg_dump":
        yield program.parent
    for usual in _USUAL:
        yield Path(usual.format(major=major))


def _wheel() -> Iterator[Path]:
    """The folder where the embedded PostgreSQL has them; nothing where it is not installed or does not run."""
    with suppress(SetupFailed):
        yield find_binaries(Path(), ServerUser(None, None))[0]


def _major_of(folder: Path) -> int | None:
    """The version of the programs in a folder; None where one is missing or does not run."""
    if not all(os.access(folder / program, os.X_OK) for program in PROGRAMS):
        return None
    try:
        answer = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, check=False, timeout=30)  # noqa: S603 - PostgreSQL's own
    except OSError:
        return None
    words: Sequence[str] = answer.stdout.decode(errors="replace").split()
    number = words[2].partition(".")[0] if len(words) > 2 else ""
    return int(number) if answer.returncode == 0 and number.isdigit() else None
