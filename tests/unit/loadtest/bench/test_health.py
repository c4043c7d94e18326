import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from loadtest.bench.health import HealthProbe
from loadtest.bench.probe import FAILED_MS


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
    probe.finish()
    first, second = probe.asked
    assert first["at_s"] + first["took_ms"] / 1000 < second["at_s"]
    for asked in (first, second):
        assert 0 < asked["took_ms"] < FAILED_MS
        assert 0 <= asked["waited_ms"] <= asked["took_ms"]


def test_what_fails_counts_as_the_longest_wait() -> None:
    probe = HealthProbe("http://127.0.0.1:1/")
    probe.ask()
    assert probe.asked[0]["took_ms"] == FAILED_MS


def test_what_is_no_answer_fails_too(monkeypatch: pytest.MonkeyPatch, page_url: str) -> None:
    monkeypatch.setattr(Healthy, "do_GET", lambda self: self.wfile.write(b"nonsense\r\n\r\n"))
    probe = HealthProbe(page_url)
    probe.ask()
    assert probe.asked[0]["took_ms"] == FAILED_MS
