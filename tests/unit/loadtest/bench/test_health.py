import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loadtest.bench import health
from loadtest.bench.health import FAILED_MS, HealthProbe, core_wait_ms, first_in_line


class Healthy(BaseHTTPRequestHandler):
    """Answers as the server does."""

    def do_GET(self) -> None:
        assert self.path == "/healthz"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def page_url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_each_answer_has_its_time(page_url: str) -> None:
    probe = HealthProbe(page_url)
    probe.ask()
    probe.ask()
    first, second = probe.asked
    assert first["at_s"] + first["took_ms"] / 1000 < second["at_s"]
    for asked in (first, second):
        assert 0 < asked["took_ms"] < FAILED_MS
        assert 0 <= asked["waited_ms"] <= asked["took_ms"]


def test_what_fails_counts_as_the_longest_wait() -> None:
    probe = HealthProbe("http://127.0.0.1:1/")
    probe.ask()
    assert probe.asked[0]["took_ms"] == FAILED_MS


def test_a_kernel_that_does_not_count_waits_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("schedstat")
    monkeypatch.setattr(health, "SCHEDSTAT", folder / "absent")
    assert core_wait_ms() == 0
    (folder / "there").write_text("5000000 2500000 7\n")
    monkeypatch.setattr(health, "SCHEDSTAT", folder / "there")
    assert core_wait_ms() == 2.5


def test_who_asks_is_first_in_line_and_afterwards_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    policies: list[int] = []
    monkeypatch.setattr("os.sched_setscheduler", lambda _pid, policy, _priority: policies.append(policy))
    with first_in_line() as is_first:
        assert is_first
        assert policies == [os.SCHED_FIFO | os.SCHED_RESET_ON_FORK]  # the swarm does not inherit it
    assert policies[1:] == [os.sched_getscheduler(0)]


def test_where_that_is_not_permitted_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.sched_setscheduler", refuse)
    with first_in_line() as is_first:
        assert not is_first
