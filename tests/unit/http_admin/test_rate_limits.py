"""Too often over HTTP: 429, when to come back, and for whom."""

from uuid import UUID, uuid4

import httpx
import pytest

from gameserver.rate_limits.table import TABLE, Limit, LimitClass, Scope
from tests.fakes.site import Site, assert_problem


def bearer(site: Site, player: UUID) -> dict[str, str]:
    return {"authorization": f"Bearer {site.issuer.issue(player, uuid4(), site.clock.now_ms() // 1_000)}"}


def too_often(response: httpx.Response) -> int:
    """Retry-After in seconds."""
    assert "too often" in assert_problem(response, 429)
    return int(response.headers["retry-after"])


@pytest.mark.parametrize(
    ("limit_class", "method", "path"),
    [
        (LimitClass.ACCOUNT_READ, "GET", "/auth/verify"),
        (LimitClass.ACCOUNT_READ, "GET", "/account/sessions"),
        (LimitClass.ACCOUNT_READ, "GET", "/account/devices"),
        (LimitClass.ACCOUNT_WRITE, "POST", "/auth/logout"),
        (LimitClass.ACCOUNT_WRITE, "POST", "/account/sessions/end-others"),
        (LimitClass.ACCOUNT_WRITE, "DELETE", f"/account/sessions/{UUID(int=1)}"),
        (LimitClass.ACCOUNT_WRITE, "DELETE", "/account/devices/1"),
        (LimitClass.ACCOUNT_READ, "GET", "/account"),
        (LimitClass.ACCOUNT_READ, "GET", "/account/privacy"),
        (LimitClass.ACCOUNT_READ, "GET", "/account/export"),
        (LimitClass.ACCOUNT_READ, "GET", f"/players/{UUID(int=1)}"),
        (LimitClass.ACCOUNT_WRITE, "PATCH", "/account"),
        (LimitClass.ACCOUNT_WRITE, "PUT", "/account/privacy"),
        (LimitClass.ACCOUNT_SENSITIVE, "POST", "/account/erase"),
        (LimitClass.ACCOUNT_SENSITIVE, "PUT", "/account/recovery/passphrase"),
        (LimitClass.ACCOUNT_SENSITIVE, "POST", "/account/recovery/codes"),
        (LimitClass.ACCOUNT_SENSITIVE, "POST", "/account/migration"),
        (LimitClass.ACCOUNT_SENSITIVE, "DELETE", "/account/migration"),
    ],
)
async def test_a_player_who_asks_too_often_waits_and_nobody_else_does(
    limit_class: LimitClass, method: str, path: str
) -> None:
    site = Site(table=(Limit(Scope.PLAYER, limit_class, 2, 60, ""),))
    ada, eve = uuid4(), uuid4()
    async with site.client() as client:
        for _ in range(2):  # with whichever token, whatever comes of it: there is no database
            assert (await client.request(method, path, headers=bearer(site, ada))).status_code not in (401, 429)
        wait_s = too_often(await client.request(method, path, headers=bearer(site, ada)))
        assert 0 < wait_s <= 60
        assert (await client.request(method, path, headers=bearer(site, eve))).status_code != 429
        site.clock.advance(1_000 * wait_s)
        assert (await client.request(method, path, headers=bearer(site, ada))).status_code != 429


async def test_an_address_that_asks_too_often_waits_before_its_token_is_looked_at() -> None:
    site = Site(table=(Limit(Scope.ADDRESS, LimitClass.ACCOUNT_READ, 1, 60, ""),))
    async with site.client() as client:
        assert (await client.get("/auth/verify", headers=bearer(site, uuid4()))).status_code == 200
        too_often(await client.get("/auth/verify", headers=bearer(site, uuid4())))
        too_often(await client.get("/auth/verify", headers={"authorization": "Bearer x"}))
    async with site.client(address="203.0.113.9") as client:
        assert (await client.get("/auth/verify", headers=bearer(site, uuid4()))).status_code == 200


@pytest.mark.parametrize("path", ["/account/recover", "/account/migration/confirm"])
async def test_what_needs_no_token_is_counted_by_address(path: str) -> None:
    site = Site(table=(Limit(Scope.ADDRESS, LimitClass.ACCOUNT_SENSITIVE, 1, 60, ""),))
    async with site.client() as client:
        assert_problem(await client.post(path, json={}), 422)
        too_often(await client.post(path, json={}))
    async with site.client(address="203.0.113.9") as client:
        assert_problem(await client.post(path, json={}), 422)


@pytest.mark.parametrize("path", ["/auth/login", "/auth/dev", "/auth/refresh"])
async def test_logins_and_refreshes_are_counted_by_address(path: str) -> None:
    site = Site(table=[Limit(Scope.ADDRESS, which, 1, 60, "") for which in (LimitClass.LOGIN, LimitClass.REFRESH)])
    async with site.client(address="203.0.113.9") as client:
        refresh = (await client.post("/auth/dev", json={"name": "ada"})).json()["refresh"]
        if path == "/auth/refresh":
            refresh = (await client.post(path, json={"refresh": refresh})).json()["refresh"]
        bodies = {"/auth/login": {"init_data": site.init_data()}, "/auth/dev": {"name": "ada"}}
        body = bodies.get(path, {"refresh": refresh})
        too_often(await client.post(path, json=body))
    async with site.client() as client:
        assert (await client.post(path, json=body)).status_code == 200


async def test_whoever_guesses_waits_with_everything_that_shows_a_credential() -> None:
    site = Site(table=(Limit(Scope.ADDRESS, LimitClass.CREDENTIAL, 4, 600, ""),))
    ada = bearer(site, uuid4())
    async with site.client() as client:
        assert_problem(await client.post("/auth/login", json={"init_data": "hash=0"}), 401)
        assert_problem(await client.post("/auth/login", json={"widget": {"id": 1}}), 401)
        assert_problem(await client.post("/auth/refresh", json={"refresh": "guessed"}), 401)
        assert_problem(await client.get("/account/devices", headers={"authorization": "Bearer x"}), 401)
        waits_s = {
            too_often(await client.post("/auth/login", json={"init_data": site.init_data()})),
            too_often(await client.post("/auth/refresh", json={"refresh": "guessed"})),
            too_often(await client.get("/account/devices", headers=ada)),
        }
        assert len(waits_s) == 1
        site.clock.advance(1_000 * waits_s.pop())
        assert (await client.get("/auth/verify", headers=bearer(site, uuid4()))).status_code == 200


async def test_a_token_that_has_expired_and_none_at_all_are_no_guesses() -> None:
    site = Site(table=(Limit(Scope.ADDRESS, LimitClass.CREDENTIAL, 1, 600, ""),))
    old = bearer(site, uuid4())
    site.clock.advance(901_000)
    async with site.client() as client:
        for headers in (old, old, {}, {}):
            assert_problem(await client.get("/auth/verify", headers=headers), 401)
        assert (await client.get("/auth/verify", headers=bearer(site, uuid4()))).status_code == 200


async def test_what_belongs_to_nobody_is_not_counted() -> None:
    site = Site(table=[Limit(limit.scope, limit.limit_class, 1, 60, "") for limit in TABLE])
    async with site.client() as client:
        for path in ("/healthz", "/readyz", "/metrics", "/config.json", "/"):
            assert [(await client.get(path)).status_code for _ in range(3)] == [200] * 3
