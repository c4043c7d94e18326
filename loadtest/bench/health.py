"""GET /healthz while a swarm runs."""

import contextlib
import http.client
from urllib.parse import urlsplit

from loadtest.bench.probe import FAILED_MS, AskFailed, Probe


class HealthProbe(Probe):
    """Asks on a connection of its own each time.

    Args:
        page_url: of the server, with its last slash.
    """

    def __init__(self, page_url: str) -> None:
        super().__init__()
        parts = urlsplit(page_url)
        self._host, self._port = parts.hostname or "", parts.port

    def ask_once(self) -> None:
        """Ask. Raises as told there."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=FAILED_MS / 1000)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except http.client.HTTPException as error:
                raise AskFailed(str(error)) from None
