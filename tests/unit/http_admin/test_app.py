"""The HTTP side over ASGI, without a port: every documented status, and what holds for every answer."""

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from prometheus_client.parser import text_string_to_metric_families

from http_admin.guards import MAX_BODY_BYTES
from persistence.errors import DatabaseUnavailable
from tests.fakes.site import Site, assert_problem
from tests.fakes.telegram import signed_widget


@pytest.fixture
def site() -> Site:
    return Site()


# ---- login


async def test_telegram_login_then_refresh_then_verify_then_logout(site: Site) -> None:
    async with site.client() as client:
        response = await client.post("/auth/login", json={"init_data": site.init_data()})
        assert response.status_code == 200
        first = response.json()
        assert set(first) == {"access", "refresh", "expires_in_s", "player"}
        assert first["expires_in_s"] == 900
        UUID(first["player"])

        again = (await client.post("/auth/login", json={"init_data": site.init_data()})).json()
        assert again["player"] == first["player"]

        site.clock.advance(1_000)
        response = await client.post("/auth/refresh", json={"refresh": first["refresh"]})
        assert response.status_code == 200
        second = response.json()
        assert second["player"] == first["player"]
        assert second["refresh"] != first["refresh"]

        bearer = {"authorization": f"Bearer {second['access']}"}
        verified = (await client.get("/auth/verify", headers=bearer)).json()
        assert set(verified) == {"player", "session", "expires_at_ms"}
        assert verified["player"] == first["player"]
        assert verified["expires_at_ms"] == site.clock.now_ms() + 900_000

        response = await client.post("/auth/logout", headers=bearer)
        assert (response.status_code, response.content) == (204, b"")
        assert_problem(await client.post("/auth/refresh", json={"refresh": second["refresh"]}), 401)


async def test_a_refresh_token_shown_twice_ends_its_session(site: Site) -> None:
    async with site.client() as client:
        first = (await client.post("/auth/dev", json={"name": "ada"})).json()["refresh"]
        second = (await client.post("/auth/refresh", json={"refresh": first})).json()["refresh"]
        assert_problem(await client.post("/auth/refresh", json={"refresh": first}), 401)
        assert_problem(await client.post("/auth/refresh", json={"refresh": second}), 401)


async def test_the_dev_login_knows_players_by_name(site: Site) -> None:
    async with site.client() as client:
        players = [(await client.post("/auth/dev", json={"name": name})).json()["player"] for name in ("a", "b", "a")]
        assert players[0] == players[2] != players[1]


async def test_outside_dev_there_is_no_dev_login() -> None:
    async with Site(dev=False).client() as client:
        response = await client.post("/auth/dev", json={"name": "ada"})
        assert response.status_code in (404, 405)
        assert_problem(response, response.status_code)
        assert "/auth/dev" not in (await client.get("/openapi.json")).json()["paths"]
        assert (await client.get("/config.json")).json()["dev_login"] is False


async def test_the_client_names_itself_in_its_session(site: Site) -> None:
    async with site.client() as client:
        await client.post("/auth/dev", json={"name": "ada"}, headers={"user-agent": "phone/1"})
        assert [session.client for session in site.store.sessions.values()] == ["phone/1"]


@pytest.mark.parametrize("data", ["", "x", "user=1&hash=00", "query_id=a&auth_date=1&hash=" + "0" * 64])
async def test_init_data_that_proves_nothing_is_401(site: Site, data: str) -> None:
    async with site.client() as client:
        response = await client.post("/auth/login", json={"init_data": data})
        assert_problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
        assert site.store.players == {}


async def test_the_login_widget_logs_in_the_same_player(site: Site) -> None:
    now_s = site.clock.now_ms() // 1_000
    async with site.client() as client:
        mini_app = (await client.post("/auth/login", json={"init_data": site.init_data(is_premium=True)})).json()
        for fields in ({"id": 42, "auth_date": now_s}, {"id": "42", "auth_date": str(now_s), "username": "ada"}):
            response = await client.post("/auth/login", json={"widget": signed_widget(dict(fields))})
            assert response.status_code == 200, response.text
            assert response.json()["player"] == mini_app["player"]
        assert site.store.players["telegram:42"].premium, "the widget does not tell, so what was told stays"
        spoilt = signed_widget({"id": 42, "auth_date": now_s}) | {"id": 43}
        assert_problem(await client.post("/auth/login", json={"widget": spoilt}), 401)
        site.clock.advance(86_401_000)
        late = signed_widget({"id": 42, "auth_date": now_s})
        assert_problem(await client.post("/auth/login", json={"widget": late}), 401)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"init_data": "x", "widget": {"id": 1}},
        {"init_data": None, "widget": None},
        {"widget": None},
        {"widget": "id=42"},
        {"widget": ["id", 42]},
        {"widget": {"id": True}},
        {"widget": {"id": 1.5}},
        {"widget": {"id": None}},
        {"widget": {"id": -1}},
        {"widget": {"id": 2**53}},
        {"widget": {"user": {"id": 42}}},
        {"widget": {"x" * 65: "y"}},
        {"widget": {"x": "y" * 2_049}},
        {"widget": {f"x{number}": "y" for number in range(33)}},
    ],
)
async def test_a_login_is_by_exactly_one_of_two_and_a_widget_is_flat(site: Site, body: dict[str, Any]) -> None:
    async with site.client() as client:
        assert_problem(await client.post("/auth/login", json=body), 422)
        assert site.store.sessions == {}


async def test_the_description_shows_both_ways_to_log_in(site: Site) -> None:
    async with site.client() as client:
        description = (await client.get("/openapi.json")).json()
        content = description["paths"]["/auth/login"]["post"]["requestBody"]["content"]["application/json"]
        schema = description["components"]["schemas"]["TelegramLogin"]
        assert schema["oneOf"] == [{"required": ["init_data"]}, {"required": ["widget"]}]
        assert schema["properties"]["init_data"]["type"] == "string"
        assert schema["properties"]["widget"]["type"] == "object"
        assert set(content["examples"]) == {"mini_app", "widget"}
        for example in content["examples"].values():
            assert_problem(await client.post("/auth/login", json=example["value"]), 401)


async def test_old_init_data_is_401(site: Site) -> None:
    data = site.init_data()
    site.clock.advance(86_401_000)
    async with site.client() as client:
        assert_problem(await client.post("/auth/login", json={"init_data": data}), 401)


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", "Basic eDp5", "Bearer a.b.c", "bearer \xe9"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/auth/verify"), ("POST", "/auth/logout")])
async def test_without_a_good_access_token_is_401(
    site: Site, authorization: str | None, method: str, path: str
) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    async with site.client() as client:
        assert_problem(await client.request(method, path, headers=headers), 401)


async def test_an_expired_access_token_is_401(site: Site) -> None:
    async with site.client() as client:
        access = (await client.post("/auth/dev", json={"name": "ada"})).json()["access"]
        site.clock.advance(901_000)
        response = await client.get("/auth/verify", headers={"authorization": f"Bearer {access}"})
        assert "expired" in assert_problem(response, 401)


@pytest.mark.parametrize(
    ("path", "key"), [("/auth/login", "init_data"), ("/auth/refresh", "refresh"), ("/auth/dev", "name")]
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"KEY": null}',
        b'{"KEY": 1}',
        b'{"KEY": ["x"]}',
        b'{"KEY": {"x": 1}}',
        b'"KEY"',
        b"\xff\xfe",
        b'{"KEY": ' + b"9" * 5_000 + b"}",
        b'{"KEY": ' + b"[" * 10_000,
        b'{"KEY": "' + b"x" * 5_000 + b'"}',
    ],
)
async def test_a_bad_body_is_422(site: Site, path: str, key: str, body: bytes) -> None:
    async with site.client() as client:
        response = await client.post(
            path, content=body.replace(b"KEY", key.encode()), headers={"content-type": "application/json"}
        )
        assert_problem(response, 422)
        assert site.store.sessions == {}


@pytest.mark.parametrize("name", ["", " ", " ada", "a\nb", "a\x00b", "x" * 65])
async def test_a_name_nobody_can_have_is_422(site: Site, name: str) -> None:
    async with site.client() as client:
        assert_problem(await client.post("/auth/dev", json={"name": name}), 422)


async def test_a_body_that_announces_too_much_is_413(site: Site) -> None:
    async with site.client() as client:
        response = await client.post("/auth/login", json={"init_data": "x" * (MAX_BODY_BYTES + 1)})
        assert_problem(response, 413)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/auth/login"), ("POST", "/auth/dev"), ("POST", "/auth/refresh")]
)
async def test_a_body_that_grows_too_large_unannounced_is_413(site: Site, method: str, path: str) -> None:
    sent: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"init_data": "'
        for _ in range(100):
            sent.append(1)
            yield b"x" * 1_024

    async with site.client() as client:
        response = await client.request(
            method, path, content=chunks(), headers={"content-type": "application/json", "connection": "close"}
        )
        assert_problem(response, 413)
        assert "default-src" in response.headers["content-security-policy"]
    assert len(sent) == MAX_BODY_BYTES // 1_024 + 1 - 1, "it is not read to its end"


async def test_a_body_of_exactly_the_bound_is_read(site: Site) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        body = b'{"init_data": "' + b"x" * (MAX_BODY_BYTES - 17) + b'"}'
        assert len(body) == MAX_BODY_BYTES
        yield body[:100]
        yield body[100:]

    async with site.client() as client:
        headers = {"content-type": "application/json"}
        assert_problem(await client.post("/auth/login", content=chunks(), headers=headers), 422)


async def test_while_the_database_is_away_logins_are_503_and_say_when_to_come_back(site: Site) -> None:
    async with site.client() as client:
        access = (await client.post("/auth/dev", json={"name": "ada"})).json()["access"]
        site.store.failure = DatabaseUnavailable("away")
        for path, body in (("/auth/login", {"init_data": site.init_data()}), ("/auth/dev", {"name": "ada"})):
            response = await client.post(path, json=body)
            assert_problem(response, 503)
            assert int(response.headers["retry-after"]) >= 1
        response = await client.post("/auth/logout", headers={"authorization": f"Bearer {access}"})
        assert_problem(response, 503)


async def test_a_bug_is_500_and_tells_nothing(site: Site) -> None:
    site.store.failure = RuntimeError("the secret of the house")
    async with site.client(raises=False) as client:
        response = await client.post("/auth/dev", json={"name": "ada"})
        assert "secret" not in assert_problem(response, 500)


# ---- operation


async def test_health_and_readiness(site: Site) -> None:
    async with site.client() as client:
        for path in ("/healthz", "/readyz"):
            response = await client.get(path)
            assert (response.status_code, response.json()) == (200, {"status": "ok"})
        site.degraded = True
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path)).json() == {"status": "degraded"}
        site.not_ready = "the server is stopping"
        assert (await client.get("/healthz")).status_code == 200
        response = await client.get("/readyz")
        assert assert_problem(response, 503) == "the server is stopping"
        assert response.headers["retry-after"] == "1"


async def test_metrics_are_what_prometheus_reads(site: Site) -> None:
    site.metrics.turn_seconds.observe(0.001)
    async with site.client() as client:
        response = await client.get("/metrics")
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        names = {family.name for family in text_string_to_metric_families(response.text)}
        assert {"game_turn_seconds", "game_flush_lag_seconds"} <= names


# ---- the page and the description


async def test_the_page_is_told_where_the_socket_is(site: Site) -> None:
    async with site.client() as client:
        assert (await client.get("/config.json")).json() == {"socket_url": "wss://game.example/ws", "dev_login": True}
        page = await client.get("/")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "People Power Journey" in page.text


@pytest.mark.parametrize("page", ["/", "/docs"])
async def test_pages_load_only_files_of_their_own(site: Site, page: str) -> None:
    async with site.client() as client:
        html = (await client.get(page)).text
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"", html)
        assert loaded
        for address in loaded:
            assert address.startswith("/")
            assert not address.startswith("//")
            assert (await client.get(address)).status_code == 200, address
        assert "<style" not in html
        assert not re.findall(r"<script(?![^>]*\bsrc=)", html), "no script in the page itself: the policy forbids it"


async def test_the_description_names_every_status_that_can_come(site: Site) -> None:
    async with site.client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    described = {
        f"{method.upper()} {path}": set(operation["responses"]) - {"200", "204"}
        for path, methods in paths.items()
        for method, operation in methods.items()
    }
    assert described == {
        "POST /auth/login": {"401", "403", "413", "422", "429", "503"},
        "POST /auth/refresh": {"401", "403", "413", "422", "429", "503"},
        "GET /auth/verify": {"401", "403", "429"},
        "POST /auth/logout": {"401", "403", "429", "503"},
        "POST /auth/dev": {"403", "413", "422", "429", "503"},
        "GET /account/sessions": {"401", "403", "429", "503"},
        "PATCH /account/sessions/{session}": {"401", "403", "404", "413", "422", "429", "503"},
        "DELETE /account/sessions/{session}": {"401", "403", "404", "422", "429", "503"},
        "POST /account/sessions/end-others": {"401", "403", "429", "503"},
        "GET /account/devices": {"401", "403", "429", "503"},
        "DELETE /account/devices/{device}": {"401", "403", "404", "422", "429", "503"},
        "GET /account": {"401", "403", "429", "503"},
        "PATCH /account": {"401", "403", "409", "413", "422", "429", "503"},
        "GET /account/privacy": {"401", "403", "429", "503"},
        "PUT /account/privacy": {"401", "403", "413", "422", "429", "503"},
        "GET /players/{player}": {"401", "403", "404", "422", "429", "503"},
        "GET /account/export": {"401", "403", "429", "503"},
        "POST /account/erase": {"401", "403", "413", "422", "429", "503"},
        "PUT /account/recovery/passphrase": {"401", "403", "409", "413", "422", "429", "503"},
        "POST /account/recovery/codes": {"401", "403", "413", "422", "429", "503"},
        "POST /account/recover": {"401", "403", "409", "413", "422", "429", "503"},
        "POST /account/migration": {"401", "403", "409", "429", "503"},
        "DELETE /account/migration": {"401", "403", "404", "429", "503"},
        "POST /account/migration/confirm": {"401", "403", "409", "413", "422", "429", "503"},
        "GET /healthz": set(),
        "GET /readyz": {"503"},
        "GET /metrics": set(),
        "GET /config.json": set(),
    }


async def test_problems_are_described_as_what_they_are(site: Site) -> None:
    async with site.client() as client:
        description = (await client.get("/openapi.json")).json()
    for methods in description["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if status not in ("200", "204"):
                    assert list(response["content"]) == ["application/problem+json"], (operation["summary"], status)
                    assert ("Retry-After" in response.get("headers", ())) == (status in ("429", "503"))
    assert "Problem" in description["components"]["schemas"]


# ---- every answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/no/such/page"),
        ("HEAD", "/no/such/page"),
        ("POST", "/no/such/page"),
        ("PUT", "/miniapp"),
        ("GET", "/../app.py"),
        ("GET", "/%2e%2e/app.py"),
        ("GET", "/client/../../auth.py"),
        ("GET", "/healthz/"),
    ],
)
async def test_what_is_not_there_is_404(site: Site, method: str, path: str) -> None:
    async with site.client() as client:
        response = await client.request(method, path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/healthz", {"GET", "HEAD"}),
        ("/readyz", {"GET", "HEAD"}),
        ("/metrics", {"GET", "HEAD"}),
        ("/config.json", {"GET", "HEAD"}),
        ("/docs", {"GET", "HEAD"}),
        ("/", {"GET", "HEAD"}),
        ("/page.js", {"GET", "HEAD"}),
        ("/auth/verify", {"GET", "HEAD"}),
        ("/auth/login", {"POST"}),
        ("/auth/refresh", {"POST"}),
        ("/auth/logout", {"POST"}),
        ("/auth/dev", {"POST"}),
        ("/account", {"GET", "HEAD", "PATCH"}),
        ("/account/privacy", {"GET", "HEAD", "PUT"}),
        ("/account/export", {"GET", "HEAD"}),
        ("/account/erase", {"POST"}),
        ("/account/recovery/passphrase", {"PUT"}),
        ("/account/recovery/codes", {"POST"}),
        ("/account/recover", {"POST"}),
        ("/account/migration", {"POST", "DELETE"}),
        ("/account/migration/confirm", {"POST"}),
        ("/players/00000000-0000-4000-8000-000000000000", {"GET", "HEAD"}),
    ],
)
async def test_another_method_is_405_and_told_which_there_are(site: Site, path: str, allowed: set[str]) -> None:
    async with site.client() as client:
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - allowed:
            response = await client.request(method, path)
            assert response.status_code == 405, method
            assert set(response.headers["allow"].split(", ")) == allowed, method
            if method != "HEAD":
                assert_problem(response, 405)


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/config.json", "/docs", "/", "/page.js", "/openapi.json", "/nowhere"]
)
async def test_head_is_get_without_the_body(site: Site, path: str) -> None:
    async with site.client() as client:
        get, head = await client.get(path), await client.head(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
    if path != "/metrics":  # its values move
        assert head.headers["content-length"] == str(len(get.content)) == get.headers["content-length"]


async def test_a_page_is_not_sent_again_to_who_has_it(site: Site) -> None:
    async with site.client() as client:
        etag = (await client.get("/page.js")).headers["etag"]
        again = await client.get("/page.js", headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_websocket_at_the_http_port_is_closed(site: Site) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/ws",
        "raw_path": b"/ws",
        "headers": [],
        "query_string": b"",
        "subprotocols": [],
    }
    await site.app()(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/page.js"),
        ("GET", "/config.json"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/no/such/page"),
        ("GET", "/auth/verify"),
        ("POST", "/auth/login"),
        ("POST", "/auth/dev"),
        ("PATCH", "/healthz"),
    ],
)
async def test_every_answer_keeps_a_browser_from_loading_and_leaking(site: Site, method: str, path: str) -> None:
    async with site.client() as client:
        headers = (await client.request(method, path, json={} if method == "POST" else None)).headers
    policy = headers["content-security-policy"]
    is_page = headers["content-type"].startswith("text/html")
    assert policy.startswith("default-src 'self'" if is_page else "default-src 'none'")
    assert "frame-ancestors" in policy
    assert "https:" not in policy.replace("https://web.telegram.org", "")
    assert ("'unsafe-inline'" in policy) is (path == "/docs")
    assert "'unsafe-eval'" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    is_file = path in ("/", "/docs", "/page.js")
    assert headers["cache-control"] == ("no-cache" if is_file else "no-store")
    assert "microphone=()" in headers["permissions-policy"]
    assert headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
    assert headers["cross-origin-resource-policy"] == ("cross-origin" if is_page else "same-origin")
    assert headers["vary"] == "origin"
    assert not {"server", "strict-transport-security", "access-control-allow-origin", "set-cookie"} & set(headers)


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css"])
async def test_a_page_that_is_still_fresh_keeps_the_policy_it_came_with(site: Site, path: str) -> None:
    """RFC 9111 §4.3.4: what a 304 says replaces what the browser has stored with the page."""
    async with site.client() as client:
        first = await client.get(path)
        again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304
        for name in set(again.headers) & set(first.headers):
            assert again.headers[name] == first.headers[name], name
