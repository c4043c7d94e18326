"""Accounts on a real server: who is erased is cut off while playing, and no secret stands in a log or a metric."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from gameserver.clock import SystemClock
from tests.fakes.database_probe import ask
from tests.fakes.game_client import ACTION, DURABLE, EVENT, GOODBYE, HELLO, RESULT, GameClient, hello_map
from tests.fakes.telegram import BOT_TOKEN, init_data
from tests.integration.test_node_process import play
from tests.server_process import ServerProcess

PASSPHRASE = "correct horse battery staple"
CUT_OFF = (
    4501,
    4010,
)  #: the login has ended; or the flush that the database refused came first, and the client looks again


@pytest.fixture
def server(database_dsn: str) -> Iterator[ServerProcess]:
    with ServerProcess(database_url=database_dsn) as server:
        yield server


def call(
    server: ServerProcess, method: str, path: str, body: dict[str, str] | None = None, token: str = ""
) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(server.page_url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text, status = answer.read().decode(), answer.status
    except urllib.error.HTTPError as error:
        with error:
            text, status = error.read().decode(), error.code
    return status, json.loads(text) if text.startswith("{") else text


def test_who_is_erased_is_cut_off_while_playing_and_never_comes_back(server: ServerProcess, database_dsn: str) -> None:
    _, login = call(server, "POST", "auth/dev", {"name": "ada"})
    token = login["access"]

    async def scene(client: GameClient) -> None:
        await client.hello(token)
        await client.tap(3)
        renamed = call(server, "PATCH", "account", {"display_name": "Ada"}, token)
        assert renamed[0] == 200
        await client.send(ACTION, 4, "profile.get", {})
        while (frame := await client.receive())[0] in (EVENT, DURABLE):
            pass
        assert (frame[0], frame[2]["display_name"]) == (RESULT, "Ada"), "the one in memory is called so at once"
        assert call(server, "POST", "account/erase", {"confirm": "Ada"}, token) == (204, "")
        frames, code = await client.end()
        assert [frame[0] for frame in frames if frame[0] == GOODBYE] == [GOODBYE]
        assert code in CUT_OFF
        assert call(server, "GET", "account", token=token)[0] == 401

    play(server, scene)

    async def again(client: GameClient) -> None:
        await client.send(HELLO, 0, hello_map(token=token))
        assert (await client.end())[1] >= 4500, "whatever the node knows by then: to stop"
        assert call(server, "GET", "account/export", token=token)[0] == 401

    play(server, again)
    assert server.stop() == 0
    assert ask(database_dsn, "SELECT display_name FROM players") == [("erased player",)]
    assert ask(database_dsn, f"SELECT FROM players WHERE public_id = '{login['player']}'") == []


def test_who_took_an_account_is_cut_off_when_its_owner_recovers_it(database_dsn: str) -> None:
    with ServerProcess(database_url=database_dsn, bot_token=BOT_TOKEN) as server:
        _, login = call(server, "POST", "auth/dev", {"name": "ada"})
        token = login["access"]
        assert call(server, "PUT", "account/recovery/passphrase", {"passphrase": PASSPHRASE}, token)[0] == 204
        proof = init_data(SystemClock().now_ms() // 1_000, id=4_004)
        lost = {"init_data": proof, "account": login["player"], "passphrase": PASSPHRASE}

        async def scene(client: GameClient) -> None:
            await client.hello(token)
            await client.tap(3)
            assert call(server, "POST", "account/recover", lost) == (200, {"player": login["player"]})
            assert (await client.end())[1] in CUT_OFF

        async def again(client: GameClient) -> None:
            await client.send(HELLO, 0, hello_map(token=token))
            assert (await client.end())[1] == 4501

        play(server, scene)
        play(server, again)
        _, owner = call(server, "POST", "auth/login", {"init_data": proof})
        assert owner["player"] == login["player"]

        async def owners_scene(client: GameClient) -> None:
            await client.hello(owner["access"])

        play(server, owners_scene)
        assert call(server, "POST", "auth/refresh", {"refresh": login["refresh"]})[0] == 401


def test_no_secret_stands_in_a_log_or_a_metric(server: ServerProcess) -> None:
    _, login = call(server, "POST", "auth/dev", {"name": "ada"})
    token = login["access"]
    assert call(server, "PUT", "account/recovery/passphrase", {"passphrase": PASSPHRASE}, token) == (204, "")
    _, drawn = call(server, "POST", "account/recovery/codes", {"passphrase": PASSPHRASE}, token)
    _, offered = call(server, "POST", "account/migration", token=token)
    init_data = "auth_date=1&hash=0011223344&user=%7B%7D"
    wrong = {"init_data": init_data, "account": login["player"], "passphrase": "wrong " + PASSPHRASE}
    assert call(server, "POST", "account/recover", wrong)[0] == 401
    confirmation = {"init_data": init_data, "code": offered["code"]}
    assert call(server, "POST", "account/migration/confirm", confirmation)[0] == 401
    assert call(server, "POST", "account/recovery/codes", {"passphrase": "wrong " + PASSPHRASE}, token)[0] == 403
    assert call(server, "PUT", "account/recovery/passphrase", {"passphrase": "\x00" + PASSPHRASE}, token)[0] == 422
    _, metrics = call(server, "GET", "metrics")
    assert server.stop() == 0
    secrets = [PASSPHRASE, token, login["refresh"], offered["code"], "0011223344", *drawn["codes"]]
    assert [secret for secret in secrets if secret in server.log or secret in metrics] == []
