"""SQL in every string that a peer can send, over HTTP and over the socket: it is text, and stays text."""

import copy
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trio

from gameserver.wire.catalogue import ACTIONS
from tests.fakes.description import Operation, operations
from tests.fakes.game_client import ACTION, DURABLE, ERROR, EVENT, GOODBYE, HELLO, RESULT, WELCOME, connect, hello_map
from tests.fakes.somebody import Somebody
from tests.server_process import ServerProcess

PAYLOADS = [
    "'; DROP TABLE players; --",
    "' OR '1'='1",
    '"; SELECT pg_sleep(30); --',
    "x') ; DELETE FROM player_sessions; --",
    "$1; SELECT 1",
    "\\'; COPY players TO PROGRAM 'id'; --",
    "%' OR name LIKE '%",
    "{0}%s%(name)s:name",
    "a\x00b",
    "\N{FULLWIDTH APOSTROPHE} OR 1=1",
    "$$; SELECT 1; $$",
]


def with_each_string_replaced(value: Any, payload: str) -> Iterator[Any]:
    """Copies of a JSON value, each with another of its strings replaced; of an object its keys as well."""
    if isinstance(value, str):
        yield payload
    elif isinstance(value, dict):
        for key, inner in value.items():
            for changed in with_each_string_replaced(inner, payload):
                yield {**value, key: changed}
        yield {**value, payload: payload}
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            for changed in with_each_string_replaced(inner, payload):
                copied = copy.copy(value)
                copied[number] = changed
                yield copied


def bodies(operation: Operation) -> Iterator[Any]:
    """The examples of an operation's request."""
    for content in operation.described.get("requestBody", {}).get("content", {}).values():
        yield from (one["value"] for one in content.get("examples", {}).values())
    if (body := operation.body()) is not None:
        yield body


@pytest.fixture(scope="module")
def described(server: ServerProcess) -> list[Operation]:
    return operations(httpx.get(f"{server.page_url}openapi.json", timeout=10).json())


@pytest.mark.parametrize("payload", PAYLOADS)
def test_in_every_string_of_every_request(server: ServerProcess, described: list[Operation], payload: str) -> None:
    bystander = Somebody(server)
    for operation in described:
        somebody = Somebody(server)  # some of what is asked ends the login
        path = operation.path
        for name in operation.path_parameters:
            path = path.replace("{" + name + "}", quote(payload, safe=""))
        asked = [changed for body in bodies(operation) for changed in with_each_string_replaced(body, payload)]
        for body in asked or [None]:
            answer = somebody.ask(operation.method, path, body)
            assert answer.status_code < 500, (operation.label, answer.text)
    assert bystander.ask("GET", "/auth/verify").status_code == 200
    assert bystander.exchange().status_code == 200


@pytest.mark.parametrize("payload", [payload for payload in PAYLOADS if payload.isprintable()])
def test_what_may_be_stored_comes_back_as_it_was(server: ServerProcess, payload: str) -> None:
    agent = payload.encode().decode("latin-1")
    somebody = Somebody(server, headers={"user-agent": agent} if agent.isascii() else None)
    assert somebody.ask("PATCH", f"/account/sessions/{somebody.session}", {"name": payload}).status_code == 204
    [session] = somebody.ask("GET", "/account/sessions").json()["sessions"]
    assert session["name"] == payload
    if agent.isascii():
        assert session["client"] == payload
    again = Somebody(server, payload)
    assert Somebody(server, payload).player == again.player, "a name is a name"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_in_every_string_of_a_hello_and_of_every_action(server: ServerProcess, payload: str) -> None:
    somebody = Somebody(server)

    async def greet(**body: Any) -> list[Any]:
        async with connect(server.port) as client:
            await client.send(HELLO, 0, hello_map(**body))
            return await client.receive()

    async def act() -> None:
        async with connect(server.port) as client:
            await client.hello(somebody.access, device=payload, client=payload)
            named: list[tuple[str, Any]] = [(payload, {})]
            for name, spec in ACTIONS.items():
                named += [(name, args) for args in with_each_string_replaced(dict(spec.example), payload)]
            for name, args in named:
                client.seq += 1
                await client.send(ACTION, client.seq, name, args)
                while (frame := await client.receive())[0] in (EVENT, DURABLE):
                    pass
                assert frame[0] in (RESULT, ERROR), frame
                assert frame[0] == RESULT or frame[3] != "internal", (name, args, frame)
                if frame[0] == ERROR and frame[5]:  # to be sent again later, or given up
                    await client.send(ACTION, client.seq, "noop", {})
                    await client.receive()
            assert (await client.tap())[2] == 1

    async def play() -> None:
        with trio.fail_after(60):
            for credential in ("token", "init_data"):
                assert (await greet(**{credential: payload}))[:2] == [GOODBYE, 4501]
            channel = await greet(token=somebody.access, channels={payload: [1, 2]})
            assert channel[0] == WELCOME or channel[:2] == [GOODBYE, 4500]
            await act()

    trio.run(play)
    devices = [one["device"] for one in somebody.ask("GET", "/account/devices").json()["devices"]]
    assert all(device in (payload, payload.replace("\x00", ""), "d1") for device in devices)
