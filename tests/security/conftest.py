"""A running server for attacks from outside, and people who play on it."""

from collections.abc import Iterator

import pytest

from tests.server_process import ServerProcess


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("attacked server"))  # so that one is started, not one a worker
            item.add_marker("slow")


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """A running server with a database of its own. Not to be stopped by a test."""
    with ServerProcess() as server:
        yield server
        assert "Traceback" not in server.log
        [of_database] = server.data_dir.glob("**/postgres.log")
        assert "syntax error" not in of_database.read_text(errors="replace")
