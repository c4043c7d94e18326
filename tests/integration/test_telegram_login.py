"""Logging in with Telegram on a running server: over HTTP and over the socket, for the first time and again."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import trio

from gameserver.clock import SystemClock
from tests.fakes.database_probe import ask
from tests.fakes.game_client import GOODBYE, HELLO, WELCOME, connect, hello_map
from tests.fakes.telegram import BOT_TOKEN, init_data, signed_widget
from tests.server_process import ServerProcess

NEW_TOKEN = BOT_TOKEN.replace("AAHI", "AAFZ")

# Signed by Telegram itself; published with the validators of Mini Apps.
SIGNED_BY_TELEGRAM = (
    "user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%20%2B%20-%20%3F%20%5C%2F%22%2C%22last_name%22%3A%22"
    "Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22is_premium%22%3Atrue%2C%22"
    "allows_write_to_pm%22%3Atrue%2C%22photo_url%22%3A%22https%3A%5C%2F%5C%2Ft.me%5C%2Fi%5C%2Fuserpic%5C%2F320%5C%2F"
    "4FPEE4tmP3ATHa57u6MqTDih13LTOiMoKoLDRG4PnSA.svg%22%7D&chat_instance=8134722200314281151&chat_type=private"
    "&auth_date=1733584787&signature=zL-ucjNyREiHDE8aihFwpfR9aggP2xiAo3NSpfe-p7IbCisNlDKlo7Kb6G4D0Ao2mBrSgEk4maLSdv6MLIlADQ"
    "&hash=2174df5b000556d044f3f020384e879c8efcab55ddea2ced4eb752e93e7080d6"
)


@pytest.fixture
def idle(database_dsn: str) -> Iterator[ServerProcess]:
    """A server that is not started, on a database with the present schema."""
    idle = ServerProcess(database_url=database_dsn)
    yield idle
    idle.__exit__()


def post(server: ServerProcess, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.page_url}auth/login", json=body, timeout=10)


def now_s() -> int:
    return SystemClock().now_ms() // 1_000


async def hello(server: ServerProcess, data: str) -> Any:
    """The answer to a HELLO with this `initData`."""
    with trio.fail_after(20):
        async with connect(server.port) as client:
            await client.send(HELLO, 0, hello_map(init_data=data))
            return await client.receive()


def test_one_init_data_is_one_registration_one_invitation_and_one_login_event(
    idle: ServerProcess, database_dsn: str
) -> None:
    idle.environment |= {"GAME_BOT_TOKEN": NEW_TOKEN, "GAME_BOT_TOKEN_PREVIOUS": BOT_TOKEN}
    idle.start()
    at_s = now_s()
    inviter = post(idle, init_data=init_data(at_s, NEW_TOKEN, id=1)).json()["player"]
    [(code,)] = ask(database_dsn, "SELECT referral_code FROM players")
    opened = init_data(at_s, start_param=f"r_{code}", is_premium=True)
    answers = [post(idle, init_data=opened) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    player = answers[0].json()["player"]
    assert answers[1].json()["player"] == player != inviter
    welcome = trio.run(hello, idle, opened)
    assert (welcome[0], welcome[2]["player"], welcome[2]["state"]["generation"]) == (WELCOME, player, 1)
    by_widget = post(idle, widget=signed_widget({"id": 42, "auth_date": at_s}))
    assert by_widget.json()["player"] == player
    assert ask(database_dsn, "SELECT telegram_id, join_seq, premium FROM players ORDER BY join_seq") == [
        (1, 1, False),
        (42, 2, True),
    ]
    assert ask(
        database_dsn,
        "SELECT i.public_id::text, p.public_id::text, r.premium FROM referrals AS r"
        " JOIN players AS p ON p.id = r.player_id JOIN players AS i ON i.id = r.inviter_id",
    ) == [(inviter, player, True)]
    assert ask(
        database_dsn,
        "SELECT p.telegram_id, l.detail ->> 'kind' FROM security_logs AS l JOIN players AS p ON p.id = l.player_id"
        " WHERE l.event = 'login' ORDER BY l.id",
    ) == [(1, "init_data"), (42, "init_data"), (42, "widget")]
    goodbye = trio.run(hello, idle, init_data(at_s, BOT_TOKEN + "x"))
    assert goodbye[:2] == [GOODBYE, 4501]


def test_without_the_token_telegrams_own_signature_lets_in(idle: ServerProcess, database_dsn: str) -> None:
    idle.environment |= {"GAME_BOT_ID": "7342037359", "GAME_INITDATA_MAX_AGE_S": "0"}
    idle.start()
    assert post(idle, init_data=SIGNED_BY_TELEGRAM).status_code == 200
    # the hash is not covered by the signature: another one makes no other login of it
    assert post(idle, init_data=SIGNED_BY_TELEGRAM[:-64] + "0" * 64).status_code == 200
    for wrong in (SIGNED_BY_TELEGRAM.replace("private", "sender"), init_data(now_s())):
        assert post(idle, init_data=wrong).status_code == 401
    assert ask(database_dsn, "SELECT telegram_id, premium FROM players") == [(279058397, True)]
    assert ask(database_dsn, "SELECT count(*) FROM security_logs") == [(1,)]


def test_the_key_of_telegrams_test_servers_is_another(idle: ServerProcess) -> None:
    idle.environment |= {"GAME_BOT_ID": "7342037359", "GAME_INITDATA_MAX_AGE_S": "0", "GAME_TELEGRAM_ENV": "test"}
    idle.start()
    assert post(idle, init_data=SIGNED_BY_TELEGRAM).status_code == 401
