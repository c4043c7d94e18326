"""What a thief can do with a token, and for how long."""

from collections.abc import Callable

import pytest
import trio

from tests.fakes.game_client import GOODBYE, HELLO, connect, hello_map
from tests.fakes.somebody import Somebody
from tests.server_process import ServerProcess

SOON_S = 10  #: for a notice from the database to a node
REQUESTS = 1_000  #: take longer than that


async def goodbye_of(server: ServerProcess, token: str) -> int:
    """The code with which a HELLO with this token is refused."""
    async with connect(server.port) as client:
        await client.send(HELLO, 0, hello_map(token=token))
        answer = await client.receive()
        assert answer[0] == GOODBYE, answer
        code: int = answer[1]
        return code


def until_refused(somebody: Somebody, access: str) -> None:
    """Wait until the node has heard that the login of a token has ended."""

    answers = (somebody.ask("GET", "/auth/verify", access=access).status_code for _ in range(REQUESTS))
    assert 401 in answers


def test_a_refresh_token_that_is_shown_twice_ends_the_login_of_both(server: ServerProcess) -> None:
    victim = Somebody(server)
    stolen, old_access = victim.refresh, victim.access
    first, second = victim.exchange(stolen), victim.exchange(stolen)
    assert (first.status_code, second.status_code) == (200, 401)
    got = first.json()  # the thief's or the victim's: nobody can tell, so neither keeps anything
    assert victim.exchange(got["refresh"]).status_code == 401
    for access in (old_access, got["access"]):
        until_refused(victim, access)
        assert trio.run(goodbye_of, server, access) == 4501
    again = Somebody(server, victim.name)
    assert again.player == victim.player, "the player logs in again; only that login was lost"
    assert again.exchange().status_code == 200


def test_a_socket_that_a_stolen_token_opened_ends_with_its_login(server: ServerProcess) -> None:
    victim = Somebody(server)

    async def play() -> None:
        with trio.fail_after(2 * SOON_S):
            async with connect(server.port) as thief:
                await thief.hello(victim.access)
                ended = await trio.to_thread.run_sync(victim.ask, "DELETE", f"/account/sessions/{victim.session}")
                assert ended.status_code == 204
                frames, code = await thief.end()
                assert code == 4501
                assert frames[-1][:2] == [GOODBYE, 4501]

    trio.run(play)
    assert victim.exchange().status_code == 401


def test_after_a_logout_neither_token_is_good(server: ServerProcess) -> None:
    victim = Somebody(server)
    assert victim.ask("POST", "/auth/logout").status_code == 204
    until_refused(victim, victim.access)
    assert victim.exchange().status_code == 401
    assert trio.run(goodbye_of, server, victim.access) == 4501


def test_neither_token_does_for_the_other(server: ServerProcess) -> None:
    victim = Somebody(server)
    assert victim.ask("GET", "/auth/verify", access=victim.refresh).status_code == 401
    assert trio.run(goodbye_of, server, victim.refresh) == 4501
    assert victim.exchange(victim.access).status_code in (401, 422)
    assert victim.exchange().status_code == 200, "and asking that did no harm"


def test_a_login_that_ends_takes_no_other_with_it(server: ServerProcess) -> None:
    phone, desktop = Somebody(server, "two devices"), Somebody(server, "two devices")
    assert phone.ask("POST", "/auth/logout").status_code == 204
    until_refused(phone, phone.access)
    assert desktop.ask("GET", "/auth/verify").status_code == 200
    assert desktop.exchange().status_code == 200


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1],
        lambda token: token + "A",
        lambda token: token.swapcase(),
        lambda token: token[::-1],
        lambda token: f" {token}",
        lambda token: f"{token}\n",
        lambda token: f"{token}\x00",
    ],
)
def test_nearly_a_refresh_token_is_none_and_does_no_harm(server: ServerProcess, spoil: Callable[[str], str]) -> None:
    victim = Somebody(server)
    assert victim.exchange(spoil(victim.refresh)).status_code == 401
    assert victim.exchange().status_code == 200
