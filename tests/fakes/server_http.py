"""The HTTP side of a server process, asked by a program that shares no code with it. All of it blocks."""

import json
import urllib.error
import urllib.request
from typing import Any

from tests.secrets_watch import watch
from tests.server_process import ServerProcess


def http(server: ServerProcess, path: str, body: dict[str, str] | None = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.page_url + path, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
            status = answer.status
    except urllib.error.HTTPError as error:
        with error:
            text, status = error.read().decode(), error.code
    if status >= 400 or path == "metrics":
        watch.look(f"the answer to {path}", text)
    return status, json.loads(text) if text.startswith("{") else text


def log_in(server: ServerProcess, name: str) -> str:
    status, body = http(server, "auth/dev", {"name": name})
    assert status == 200
    token: str = body["access"]
    return token


def metric(server: ServerProcess, name: str) -> float:
    _, text = http(server, "metrics")
    [value] = [line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(value)
