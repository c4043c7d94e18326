"""The PostgreSQL that the tests run on: the embedded one, or one whose programs `TEST_POSTGRES_BIN` names.

The other one runs as the embedded one does (unix socket only, as nobody where we are root, ends with us): only the
programs and how its cluster is made are other, since `initdb` has a locale provider of its own from version 17 on.
"""

import os
import subprocess
from pathlib import Path
from unittest import mock

import pytest

from persistence import embedded
from persistence.data_folder import CLUSTER, ServerUser, prepare_data_dir
from persistence.embedded import DATABASE, SUPERUSER, Embedded

VARIABLE = "TEST_POSTGRES_BIN"
CHOSEN = Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None

embedded_only = pytest.mark.skipif(CHOSEN is not None, reason=f"is about the embedded PostgreSQL, not {VARIABLE}")


def start_postgres(folder: Path) -> Embedded:
    """Start the chosen PostgreSQL on a data folder, which is made if need be; stop it as one stops `Embedded`."""
    if CHOSEN is None:
        return Embedded.start(folder)
    prepared, user = prepare_data_dir(folder)
    if not (prepared / CLUSTER).exists():
        _initialise(CHOSEN, prepared / CLUSTER, user)
    version = (prepared / CLUSTER / "PG_VERSION").read_text().strip()
    with mock.patch.object(embedded, "find_binaries", return_value=(CHOSEN, version)):
        return Embedded.start(folder)


def _initialise(binaries: Path, cluster: Path, user: ServerUser) -> None:
    cluster.mkdir(mode=0o700)
    user.own(cluster)
    programs = (
        (["initdb", "-D", str(cluster), "--encoding=UTF8", "--locale=C.UTF-8", f"--username={SUPERUSER}"], ""),
        (["postgres", "--single", "-j", "-D", str(cluster), SUPERUSER], f"CREATE DATABASE {DATABASE};\n\n"),
    )
    for (program, *arguments), text in programs:
        options = user.popen_arguments()
        del options["stdin"]
        command = [str(binaries / program), *arguments]
        subprocess.run(command, input=text.encode(), capture_output=True, check=True, timeout=120, **options)
