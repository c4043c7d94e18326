"""A player of a running server, with what a login gave: for tests in which one acts against another."""

import itertools
from collections.abc import Mapping
from typing import Any

import httpx

from tests.server_process import ServerProcess

_numbers = itertools.count(1)


class Somebody:
    """Logged in anew.

    Args:
        server: running, in dev.
        name: of the player; by default nobody has it yet.
        headers: to send with the login.
    """

    def __init__(self, server: ServerProcess, name: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._url = server.page_url.rstrip("/")
        self.name = name or f"somebody {next(_numbers)}"
        answer = httpx.post(f"{self._url}/auth/dev", json={"name": self.name}, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        self.take(answer)
        self.player: str = answer.json()["player"]
        self.session: str = self.ask("GET", "/auth/verify").json()["session"]

    def take(self, answer: httpx.Response) -> None:
        """Go on with the tokens of an answer."""
        self.access: str = answer.json()["access"]
        self.refresh: str = answer.json()["refresh"]

    def ask(self, method: str, path: str, body: Any = None, *, access: str | None = None) -> httpx.Response:
        """One request with the access token, or with another one; with "" without any."""
        token = self.access if access is None else access
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.request(method, self._url + path, json=body, headers=headers, timeout=10)

    def exchange(self, refresh: str = "") -> httpx.Response:
        """Exchange a refresh token, by default the present one."""
        return self.ask("POST", "/auth/refresh", {"refresh": refresh or self.refresh}, access="")
