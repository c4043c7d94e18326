"""How many files the process may have open: each player's socket is one.

The soft limit is there for programs that still use `select`; ours may have what the hard limit allows. Where that is
too little, the server starts all the same, with fewer sockets, and says what to do.
"""

import contextlib
import resource

#: What the process has open beside players' sockets: HTTP (512), database, epoll, logs, connections that are refused.
RESERVE_FILES = 768


def raise_file_limit(wanted_files: int) -> int:
    """Raise the soft limit to the hard one, or as far as this system lets it.

    Args:
        wanted_files: what to settle for where the hard limit itself cannot be had (macOS says "unlimited" and is not).

    Returns:
        How many files may be open from now on.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files in (hard, wanted_files):
        if _less(soft, files):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
                break
    return _countable(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def attainable_files() -> int:
    """How many files `raise_file_limit` may arrive at."""
    return _countable(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def sockets_that_fit(files: int, max_sockets: int) -> int:
    """How many players' sockets there can be.

    Args:
        files: that may be open.
        max_sockets: as many are wanted.
    """
    return max(1, min(max_sockets, files - RESERVE_FILES))


def advice(files: int, max_sockets: int) -> str:
    """What to do about a limit that is too low, in one sentence; "" if it is not.

    Args:
        files: that may be open.
        max_sockets: as many are wanted.
    """
    fit = sockets_that_fit(files, max_sockets)
    if fit == max_sockets:
        return ""
    wanted = max_sockets + RESERVE_FILES
    return (
        f"only {files} files may be open at once, so there is room for {fit} sockets instead of {max_sockets}; "
        f"raise the limit with `ulimit -Hn {wanted}` as root or `LimitNOFILE={wanted}` in the systemd unit, "
        f"or set GAME_MAX_SOCKETS to {fit}."
    )


def _less(soft: int, other: int) -> bool:
    return soft != resource.RLIM_INFINITY and (other == resource.RLIM_INFINITY or soft < other)


def _countable(limit: int) -> int:
    # RLIM_INFINITY is -1 to Python.
    return 2**31 - 1 if limit == resource.RLIM_INFINITY else limit
