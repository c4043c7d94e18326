"""A player's own logins and devices over HTTP: what is there, what is not one's own, what is wrong."""

import uuid
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest

from persistence.errors import DatabaseUnavailable
from persistence.session_store import DeviceRow
from tests.fakes.site import Site, assert_problem


@pytest.fixture
def site() -> Site:
    return Site()


@dataclass
class Asker:
    """A player with one login."""

    player: UUID
    login: UUID
    headers: dict[str, str]


def asker(site: Site) -> Asker:
    player, login = uuid.uuid4(), uuid.uuid4()
    site.sessions.add(player, login)
    token = site.issuer.issue(player, login, site.clock.now_ms() // 1_000)
    return Asker(player, login, {"authorization": f"Bearer {token}"})


async def ids(client: httpx.AsyncClient, who: Asker) -> list[str]:
    response = await client.get("/account/sessions", headers=who.headers)
    assert response.status_code == 200, response.text
    return [session["id"] for session in response.json()["sessions"]]


async def test_logins_are_listed_named_and_ended(site: Site) -> None:
    ada = asker(site)
    other = site.sessions.add(ada.player, uuid.uuid4()).id
    async with site.client() as client:
        response = await client.get("/account/sessions", headers=ada.headers)
        assert [(s["id"], s["current"]) for s in response.json()["sessions"]] == [
            (str(ada.login), True),
            (str(other), False),
        ]
        named = await client.patch(f"/account/sessions/{other}", json={"name": "my old phone"}, headers=ada.headers)
        assert named.status_code == 204
        listed = (await client.get("/account/sessions", headers=ada.headers)).json()["sessions"]
        assert [s["name"] for s in listed] == ["", "my old phone"]
        assert (await client.delete(f"/account/sessions/{other}", headers=ada.headers)).status_code == 204
        assert await ids(client, ada) == [str(ada.login)]
    assert site.sessions.ended == [(other, "revoked")]


async def test_all_other_logins_are_ended(site: Site) -> None:
    ada, eve = asker(site), asker(site)
    for _ in range(3):
        site.sessions.add(ada.player, uuid.uuid4())
    async with site.client() as client:
        response = await client.post("/account/sessions/end-others", headers=ada.headers)
        assert (response.status_code, response.json()) == (200, {"ended": 3})
        assert await ids(client, ada) == [str(ada.login)]
        assert await ids(client, eve) == [str(eve.login)]


async def test_devices_are_listed_and_forgotten(site: Site) -> None:
    ada = asker(site)
    site.sessions.played_on[ada.player] = [DeviceRow(4, "phone", "client 1", "203.0.113.7", 1, 2, 1)]
    async with site.client() as client:
        [device] = (await client.get("/account/devices", headers=ada.headers)).json()["devices"]
        assert device == {
            "id": 4,
            "device": "phone",
            "client": "client 1",
            "address": "203.0.113.7",
            "first_seen_at_ms": 1,
            "last_seen_at_ms": 2,
            "sessions": 1,
        }
        assert (await client.delete("/account/devices/4", headers=ada.headers)).status_code == 204
        assert_problem(await client.delete("/account/devices/4", headers=ada.headers), 404)


async def test_what_belongs_to_another_player_is_not_there(site: Site) -> None:
    ada, eve = asker(site), asker(site)
    site.sessions.played_on[ada.player] = [DeviceRow(4, "phone", "", "", 1, 2, 1)]
    async with site.client() as client:
        path = f"/account/sessions/{ada.login}"
        assert_problem(await client.patch(path, json={"name": "mine"}, headers=eve.headers), 404)
        assert_problem(await client.delete(path, headers=eve.headers), 404)
        assert_problem(await client.delete("/account/devices/4", headers=eve.headers), 404)
        assert await ids(client, ada) == [str(ada.login)]
    assert site.sessions.ended == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/account/sessions"),
        ("PATCH", f"/account/sessions/{UUID(int=1)}"),
        ("DELETE", f"/account/sessions/{UUID(int=1)}"),
        ("POST", "/account/sessions/end-others"),
        ("GET", "/account/devices"),
        ("DELETE", "/account/devices/1"),
    ],
)
async def test_nothing_without_a_token_of_a_live_login(site: Site, method: str, path: str) -> None:
    ada, eve = asker(site), asker(site)
    site.barred.end_session(ada.login)
    site.barred.ban(eve.player, site.clock.now_ms() + 1)
    async with site.client() as client:
        body = {"name": "x"} if method == "PATCH" else None
        assert_problem(await client.request(method, path, json=body), 401)
        assert_problem(await client.request(method, path, json=body, headers=ada.headers), 401)
        assert_problem(await client.request(method, path, json=body, headers=eve.headers), 403)


@pytest.mark.parametrize("name", ["x" * 65, "two\nlines", " padded ", "\u202eltr", "zero\u200bwidth", 7, None])
async def test_a_name_that_is_none(site: Site, name: object) -> None:
    ada = asker(site)
    async with site.client() as client:
        path = f"/account/sessions/{ada.login}"
        assert_problem(await client.patch(path, json={"name": name}, headers=ada.headers), 422)


@pytest.mark.parametrize("path", ["/account/sessions/none", "/account/devices/0", f"/account/devices/{2**63}"])
async def test_an_id_that_is_none(site: Site, path: str) -> None:
    ada = asker(site)
    async with site.client() as client:
        assert_problem(await client.delete(path, headers=ada.headers), 422)


async def test_while_the_database_is_away(site: Site) -> None:
    ada = asker(site)
    site.sessions.failure = DatabaseUnavailable("away")
    async with site.client() as client:
        assert_problem(await client.get("/account/sessions", headers=ada.headers), 503)
        assert_problem(await client.post("/account/sessions/end-others", headers=ada.headers), 503)
