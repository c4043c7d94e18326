"""Logins that are ended and players who are banned lose their sockets at once, on whichever node they are."""

import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio

from tests.fakes.database_probe import ask
from tests.fakes.game_client import HELLO, GameClient, connect, hello_map
from tests.fakes.server_http import log_in
from tests.fakes.two_nodes import two_nodes
from tests.integration.test_node_process import with_deadline
from tests.server_process import ServerProcess


@pytest.fixture
def nodes(database_dsn: str) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two running nodes on one database."""
    with two_nodes(database_dsn) as nodes:
        nodes[1].start()
        yield nodes


def call(server: ServerProcess, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
    """One HTTP request; its status and JSON."""
    request = urllib.request.Request(f"{server.page_url}{path}", method=method)
    request.add_header("authorization", f"Bearer {token}")
    if body is not None:
        request.add_header("content-type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def goodbye_while(
    server: ServerProcess, token: str, then: Callable[[GameClient], Awaitable[None]]
) -> tuple[list[Any], int]:
    """Play with `token`, do something, and return the last words and the close code."""
    last: list[tuple[list[Any], int]] = []

    async def play() -> None:
        async with connect(server.port) as client:
            await client.hello(token)
            await client.tap()
            await then(client)
            frames, code = await client.end()
            last.append((frames[-1], code))

    with_deadline(play)
    return last[0]


def test_a_login_that_is_ended_anywhere_loses_its_sockets_everywhere(
    nodes: tuple[ServerProcess, ServerProcess], database_dsn: str
) -> None:
    first, second = nodes
    old, new = log_in(first, "ada"), log_in(first, "ada")
    [theirs] = [one["id"] for one in call(first, "GET", "account/sessions", new)[1]["sessions"] if not one["current"]]

    async def end_it(_: GameClient) -> None:
        assert await trio.to_thread.run_sync(call, second, "DELETE", f"account/sessions/{theirs}", new) == (204, None)

    goodbye, code = goodbye_while(first, old, end_it)
    assert (goodbye[1], code) == (4501, 4501)
    for node in nodes:
        assert call(node, "GET", "auth/verify", old)[0] == 401
        assert call(node, "GET", "auth/verify", new)[0] == 200

    first.stop()
    first.start()  # what was ended before the start is known too
    assert call(first, "GET", "auth/verify", old)[0] == 401

    async def come_back() -> None:
        async with connect(first.port) as client:
            frames = await refused(client, old)
            assert frames == (4501, 4501)

    with_deadline(come_back)
    found = ask(database_dsn, "SELECT detail->>'session' FROM security_logs WHERE event = 'session_revoked'")
    assert found == [(theirs,)]


async def refused(client: GameClient, token: str) -> tuple[int, int]:
    """Say HELLO and return the GOODBYE's and the close's code."""
    await client.send(HELLO, 0, hello_map(token=token))
    frames, code = await client.end()
    return frames[-1][1], code


def test_logging_out_closes_the_sockets_of_that_login_only(nodes: tuple[ServerProcess, ServerProcess]) -> None:
    first, second = nodes
    leaving, staying = log_in(first, "ada"), log_in(first, "ada")

    async def log_out(_: GameClient) -> None:
        async with connect(first.port) as other:
            await other.hello(staying)
            assert (await trio.to_thread.run_sync(call, second, "POST", "auth/logout", leaving))[0] == 204
            await other.tap()

    assert goodbye_while(first, leaving, log_out)[1] == 4501


def test_a_banned_player_is_out_until_the_ban_is_lifted(
    nodes: tuple[ServerProcess, ServerProcess], database_dsn: str
) -> None:
    first, second = nodes
    token = log_in(first, "ada")
    [(player,)] = ask(database_dsn, "SELECT public_id::text FROM players WHERE dev_name = 'ada'")

    async def ban(_: GameClient) -> None:
        done = await trio.to_thread.run_sync(second.run, "account", "ban", player, "--reason", "spam", "--days", "3")
        assert done.returncode == 0, done.stderr

    goodbye, code = goodbye_while(first, token, ban)
    assert (goodbye[1], code) == (4503, 4503)
    assert call(second, "GET", "account/sessions", token)[0] == 403
    assert call(second, "POST", "auth/dev", token, {"name": "ada"})[0] == 403

    async def come_back() -> None:
        async with connect(first.port) as client:
            assert await refused(client, token) == (4503, 4503)

    with_deadline(come_back)
    assert second.run("account", "unban", str(player)).returncode == 0

    async def until_let_in() -> None:
        while (await trio.to_thread.run_sync(call, first, "GET", "auth/verify", token))[0] == 403:
            pass  # the notice is on its way
        async with connect(first.port) as client:
            await client.hello(token)

    with_deadline(until_let_in)


def test_where_and_on_what_a_player_plays(nodes: tuple[ServerProcess, ServerProcess]) -> None:
    first, second = nodes
    token = log_in(first, "ada")

    async def play_and_look() -> None:
        async with connect(first.port) as client:
            await client.hello(token, device="a phone", client="test/1")
            devices: list[Any] = []
            while not devices:  # written some seconds later
                await trio.sleep(0.2)  # who looks all the time is refused
                devices = (await trio.to_thread.run_sync(call, second, "GET", "account/devices", token))[1]["devices"]
            assert [(one["device"], one["client"], one["address"]) for one in devices] == [
                ("a phone", "test/1", "127.0.0.1")
            ]
            [login] = (await trio.to_thread.run_sync(call, second, "GET", "account/sessions", token))[1]["sessions"]
            assert (login["device"], login["address"], login["current"]) == ("a phone", "127.0.0.1", True)

    with_deadline(play_and_look)
