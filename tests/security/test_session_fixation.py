"""A login is the server's to name: nothing that a peer brings along is taken over as one."""

import uuid
from typing import Any

import httpx
import trio

from tests.fakes.game_client import connect
from tests.fakes.somebody import Somebody
from tests.server_process import ServerProcess


def test_logging_in_does_not_go_on_with_what_the_browser_held(server: ServerProcess) -> None:
    attacker = Somebody(server)
    planted = {
        "authorization": f"Bearer {attacker.access}",
        "cookie": f"session={attacker.session}; refresh={attacker.refresh}",
        "x-session-id": attacker.session,
    }
    victim = Somebody(server, headers=planted)
    assert victim.player != attacker.player
    assert victim.session != attacker.session
    sessions = attacker.ask("GET", "/account/sessions").json()["sessions"]
    assert [one["id"] for one in sessions] == [attacker.session]


def test_each_login_is_another_one_also_of_the_same_player(server: ServerProcess) -> None:
    logins = [Somebody(server, "often") for _ in range(3)]
    assert len({login.player for login in logins}) == 1
    assert len({login.session for login in logins}) == len({login.refresh for login in logins}) == 3


def test_a_body_names_no_session(server: ServerProcess) -> None:
    attacker = Somebody(server)
    chosen = str(uuid.uuid4())
    body = {"name": "fixed", "session": chosen, "id": chosen, "player": attacker.player, "refresh": attacker.refresh}
    got = httpx.post(f"{server.page_url}auth/dev", json=body, timeout=10).json()
    verified = attacker.ask("GET", "/auth/verify", access=got["access"]).json()
    assert verified["session"] not in (chosen, attacker.session)
    assert verified["player"] == got["player"] != attacker.player
    assert got["refresh"] != attacker.refresh


def test_a_hello_names_no_session_and_no_player(server: ServerProcess) -> None:
    attacker, victim = Somebody(server), Somebody(server)

    async def greet() -> None:
        async with connect(server.port) as client:
            theirs: dict[str, Any] = {"session": victim.session, "player": victim.player, "sub": victim.player}
            welcome = await client.hello(attacker.access, **theirs)
            assert (welcome["player"], welcome["session"]) == (attacker.player, attacker.session)

    trio.run(greet)


def test_going_on_keeps_the_login_and_changes_both_tokens(server: ServerProcess) -> None:
    somebody = Somebody(server)
    session, refresh = somebody.session, somebody.refresh
    somebody.take(somebody.exchange())
    assert somebody.refresh != refresh
    assert somebody.ask("GET", "/auth/verify").json()["session"] == session


def test_no_answer_sets_a_cookie(server: ServerProcess) -> None:
    somebody = Somebody(server)
    answers = [
        httpx.post(f"{server.page_url}auth/dev", json={"name": "no cookie"}, timeout=10),
        somebody.exchange(),
        somebody.ask("POST", "/auth/logout"),
        httpx.get(server.page_url, timeout=10),
    ]
    assert not any("set-cookie" in answer.headers for answer in answers)
