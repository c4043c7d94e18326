"""One player against another, at every endpoint and with every action: nothing of the other's is read or changed.

Both tables are compared with what the server describes. An endpoint or an action that is not in them fails the test:
whoever adds one says here what an attacker could name with it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
import trio

from gameserver.wire.catalogue import ACTIONS
from tests.fakes.description import Operation, operations
from tests.fakes.game_client import ACTION, DURABLE, ERROR, EVENT, RESULT, GameClient, connect
from tests.fakes.somebody import Somebody
from tests.server_process import ServerProcess


class Victim(Somebody):
    """Plays on a device, and has a second login; all of it can be looked at."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(server)
        self._server = server
        self.other = Somebody(server, self.name)
        self.hide()
        trio.run(self._play)

    async def _play(self) -> None:
        with trio.fail_after(30):
            async with connect(self._server.port) as client:
                await client.hello(self.access, device=f"device of {self.player}")
                await client.tap()
                for _ in range(60):  # written some seconds later; who asks all the time is refused
                    await trio.sleep(0.5)
                    if await trio.to_thread.run_sync(self._devices):
                        break

    def _devices(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/account/devices").json()["devices"]
        return found

    @property
    def device(self) -> int:
        number: int = self._devices()[0]["id"]
        return number

    def everything(self) -> dict[str, Any]:
        """All that the victim can see of itself."""
        return {
            "player": self.ask("GET", "/auth/verify").json()["player"],
            "other": self.other.ask("GET", "/auth/verify").json()["session"],
            "sessions": sorted(
                (one["id"], one["name"]) for one in self.ask("GET", "/account/sessions").json()["sessions"]
            ),
            "devices": [(one["id"], one["device"], one["sessions"]) for one in self._devices()],
            "state": trio.run(self._state),
            "account": self.ask("GET", "/account").json(),
        }

    async def _state(self) -> dict[str, Any]:
        async with connect(self._server.port) as client:
            welcome = await client.hello(self.access, device=f"device of {self.player}")
            kept = ("tokens", "xp", "level", "tap_level", "generation")
            return {key: welcome["state"][key] for key in kept}

    def hide(self) -> None:
        """Let nobody see the profile."""
        hidden = dict.fromkeys(("profile", "rank", "status"), "nobody")
        assert self.ask("PUT", "/account/privacy", hidden).status_code == 200

    def names(self) -> set[str]:
        """What says who the victim is, and must be in nobody else's answers."""
        return {self.player, self.session, self.other.session, f"device of {self.player}", self.access, self.refresh}


Named = Callable[[Victim], Mapping[str, Any]]

#: Endpoint → the victim's things that an attacker can name in its path. Those that name nothing act on the caller.
ENDPOINTS: dict[str, Named] = {
    "GET /auth/verify": lambda _: {},
    "POST /auth/logout": lambda _: {},
    "GET /account/sessions": lambda _: {},
    "PATCH /account/sessions/{session}": lambda victim: {"session": victim.other.session},
    "DELETE /account/sessions/{session}": lambda victim: {"session": victim.other.session},
    "POST /account/sessions/end-others": lambda _: {},
    "GET /account/devices": lambda _: {},
    "DELETE /account/devices/{device}": lambda victim: {"device": victim.device},
    "GET /account": lambda _: {},
    "PATCH /account": lambda _: {},
    "GET /account/privacy": lambda _: {},
    "PUT /account/privacy": lambda _: {},
    "GET /account/export": lambda _: {},
    "POST /account/erase": lambda _: {},
    "PUT /account/recovery/passphrase": lambda _: {},
    "POST /account/recovery/codes": lambda _: {},
    "POST /account/migration": lambda _: {},
    "DELETE /account/migration": lambda _: {},
    "GET /players/{player}": lambda victim: {"player": victim.player},
}

#: Endpoint → why it asks for no token.
OPEN = {
    "POST /auth/login": "a login",
    "POST /auth/refresh": "a login",
    "POST /auth/dev": "a login",
    "POST /account/recover": "shows `initData`, and a passphrase or code of the account",
    "POST /account/migration/confirm": "shows `initData`, and a code of the account",
    "GET /healthz": "says nothing of players",
    "GET /readyz": "says nothing of players",
    "GET /metrics": "says nothing of single players",
    "GET /config.json": "says nothing of players",
}

#: Action → arguments that name the victim wherever they can.
ATTACKS: dict[str, Named] = {
    "noop": lambda _: {},
    "state.get": lambda _: {},
    "profile.get": lambda _: {},
    "shop.list": lambda _: {},
    "transfer.terms": lambda _: {},
    "upgrade.buy": lambda _: {"kind": "tap_level"},
    "boost.use": lambda _: {"kind": "double"},
    # Sending to somebody is what it is for; what must not be is a negative amount, which would take.
    "transfer.send": lambda victim: {"to": victim.player, "amount_mpt": -25_000},
}


@pytest.fixture(scope="module")
def described(server: ServerProcess) -> dict[str, Operation]:
    document = httpx.get(f"{server.page_url}openapi.json", timeout=10).json()
    return {operation.label: operation for operation in operations(document)}


@pytest.fixture
def victim(server: ServerProcess) -> Victim:
    return Victim(server)


def filled(operation: Operation, named: Mapping[str, Any]) -> str:
    assert operation.path_parameters == set(named), f"{operation.label}: say what of the victim's can be named"
    return operation.path.format(**named)


def test_every_endpoint_is_in_a_table(described: dict[str, Operation]) -> None:
    somebodys = {label for label, operation in described.items() if operation.is_somebodys}
    assert somebodys == set(ENDPOINTS)
    assert set(described) - somebodys == set(OPEN)


def test_every_action_is_in_the_table() -> None:
    assert set(ATTACKS) == set(ACTIONS)


def test_at_no_endpoint_anything_of_anothers_is_read_or_changed(
    server: ServerProcess, described: dict[str, Operation], victim: Victim
) -> None:
    before = victim.everything()
    for label, named in ENDPOINTS.items():
        operation, things = described[label], named(victim)
        attacker = Somebody(server)
        answer = attacker.ask(operation.method, filled(operation, things), operation.body())
        if things:
            assert answer.status_code in (403, 404), f"{label}: {answer.status_code} {answer.text}"
        assert answer.status_code < 500, label
        assert not any(name in answer.text for name in victim.names()), label
    assert victim.everything() == before


def test_anothers_thing_is_answered_like_one_that_does_not_exist(
    server: ServerProcess, described: dict[str, Operation], victim: Victim
) -> None:
    nowhere = dict.fromkeys(("session", "player"), "00000000-0000-4000-8000-000000000000") | {"device": str(2**62)}
    attacker = Somebody(server)
    for label, named in ENDPOINTS.items():
        operation = described[label]
        if things := named(victim):
            theirs = attacker.ask(operation.method, filled(operation, things), operation.body())
            nobodys = attacker.ask(
                operation.method, filled(operation, {name: nowhere[name] for name in things}), operation.body()
            )
            assert (theirs.status_code, theirs.text) == (nobodys.status_code, nobodys.text), label


def test_no_endpoint_of_somebodys_answers_without_a_token(described: dict[str, Operation], victim: Victim) -> None:
    before = victim.everything()
    for label, named in ENDPOINTS.items():
        operation = described[label]
        for token in ("", "no token", victim.refresh):
            path = filled(operation, named(victim))
            answer = victim.ask(operation.method, path, operation.body(), access=token)
            assert answer.status_code == 401, label
    assert victim.everything() == before


async def act(client: GameClient, name: str, args: Any) -> list[Any]:
    """Do an action; its RESULT or ERROR."""
    client.seq += 1
    await client.send(ACTION, client.seq, name, args)
    while (frame := await client.receive())[0] in (EVENT, DURABLE):
        pass
    assert frame[0] in (RESULT, ERROR), frame
    return frame


def test_with_no_action_anything_of_anothers_is_read_or_changed(server: ServerProcess, victim: Victim) -> None:
    before = victim.everything()

    async def attack() -> None:
        with trio.fail_after(60):
            for name, named in ATTACKS.items():
                attacker = await trio.to_thread.run_sync(Somebody, server)
                async with connect(server.port) as client:
                    await client.hello(attacker.access)
                    # whose it is to be is also said in every way that somebody could have thought of
                    also = {"player": victim.player, "player_id": 1, "session": victim.session, "from": victim.player}
                    answer = await act(client, name, {**named(victim), **also})
                    assert not any(secret in str(answer) for secret in victim.names()), name

    trio.run(attack)
    assert victim.everything() == before


def test_anothers_lineage_says_nothing_of_it(server: ServerProcess, victim: Victim) -> None:
    lineage = b"a victim's queue"
    attacker = Somebody(server)
    before = victim.everything()

    async def play() -> None:
        async with connect(server.port) as theirs, connect(server.port) as client:
            assert (await theirs.hello(victim.access, lineage))["applied_seq"] == 0
            answer = await act(theirs, "noop", {})
            assert answer[:2] == [RESULT, 1]
            assert (await client.hello(attacker.access, lineage))["applied_seq"] == 0
            assert (await client.tap())[4] == 1
            assert theirs.socket.closed is None, "nobody takes over another player's lineage"

    trio.run(play)
    assert victim.everything() == before
