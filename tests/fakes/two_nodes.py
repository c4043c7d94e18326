"""Two servers on one database, which take each other's tokens."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.server_process import ServerProcess


@contextmanager
def two_nodes(database_dsn: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two nodes; only the first is started. Both are stopped at the end."""
    with ExitStack() as stack:
        keys = f"test:{secrets.token_hex(32)}"
        first, second = (ServerProcess(database_url=database_dsn, jwt_keys=keys) for _ in range(2))
        for node in (first, second):
            stack.callback(node.__exit__, None, None, None)
        first.start()
        yield first, second
