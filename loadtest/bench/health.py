"""GET /healthz while a swarm runs."""

import contextlib
import http.client
import time
from urllib.parse import urlsplit

from loadtest.bench.probe import EVERY_S, FAILED_MS, Probe, Question


class HealthProbe(Probe):
    """Asks on a connection of its own each time.

    Args:
        page_url: of the server, with its last slash.
    """

    def __init__(self, page_url: str) -> None:
        super().__init__()
        parts = urlsplit(page_url)
        self._host, self._port = parts.hostname or "", parts.port

    def ask(self) -> None:
        """Ask once, and rest."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=FAILED_MS / 1000)
        question = Question.now()
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                self.failed(question)
            else:
                self.answered(question)
        time.sleep(EVERY_S)

    def finish(self) -> None:
        """None is left: each was asked after the one before had its answer."""
