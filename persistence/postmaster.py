"""Starts PostgreSQL as a child that cannot outlive us.

On Linux the kernel sends it SIGINT (fast shutdown) when its parent dies; elsewhere a small shell waits on a pipe that
closes with us, and sends it. It is in a process group of its own, so that Ctrl-C at the terminal reaches only us.
"""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from persistence.data_folder import CLUSTER, ServerUser

PORT = 5432  #: only part of the socket's file name: no TCP port is opened
LOG_BYTES = 16 * 1024 * 1024  #: a longer log is begun anew at start

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def launch_postgres(
    folder: Path, binaries: Path, sockets: Path, user: ServerUser, *, death_signal: bool
) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes] | None]:
    """Start PostgreSQL in the foreground, as our child.

    Args:
        folder: the data folder; the cluster lies in it, and the log is written there.
        binaries: where `postgres` is.
        sockets: the folder of its Unix socket.
        user: whom it runs as.
        death_signal: let the kernel end it with us; False starts the guarding shell.

    Returns:
        The postmaster, and the shell that guards it where the kernel does not.
    """
    log_path = folder / "postgres.log"
    quoted_sockets = '"' + str(sockets).replace('"', '""') + '"'
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": quoted_sockets,
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_destination": "stderr",
    }
    command = [str(binaries / "postgres"), "-D", str(folder / CLUSTER)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    mode = "wb" if log_path.exists() and log_path.stat().st_size > LOG_BYTES else "ab"
    with log_path.open(mode) as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdout=output,
            stderr=output,
            process_group=0,
            preexec_fn=_dying_with(os.getpid()) if death_signal else None,  # noqa: PLW1509 - one prctl, no lock, no import
            **user.popen_arguments(),
        )
    return process, None if death_signal else _launch_guard(process.pid)


def _dying_with(parent: int) -> Callable[[], None]:
    """What the child does once it has become its user (which would clear the signal), before it becomes postgres."""
    libc = ctypes.CDLL(None, use_errno=True)

    def set_death_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_death_signal


def _launch_guard(pid: int) -> subprocess.Popen[bytes]:
    """A shell that sends SIGINT to `pid` when the pipe it reads closes, which it does when we die."""
    script = 'trap "" INT TERM HUP; read -r _; kill -INT "$1"'
    return subprocess.Popen(  # noqa: S603 - our own command
        ["/bin/sh", "-c", script, "sh", str(pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        process_group=0,
    )
