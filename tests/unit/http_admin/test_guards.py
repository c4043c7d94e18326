"""Which pages may ask from a browser, and what depends on where the page is."""

import pytest

from tests.fakes.site import Site, assert_problem

PAGE = "https://game.example"
PARTNER = "https://partner.example"
FOREIGN = [
    "https://evil.example",
    "http://game.example",
    "https://game.example.evil.example",
    "https://game.example:8443",
    "null",
    "",
    "https://PARTNER.example",
]


@pytest.fixture
def site() -> Site:
    return Site(public_url=f"{PAGE}/", origins=(PARTNER,))


def cors(headers: object) -> set[str]:
    assert hasattr(headers, "keys")
    return {name for name in headers.keys() if name.startswith("access-control-")}  # noqa: SIM118 - no plain mapping


@pytest.mark.parametrize("origin", [None, PAGE])
async def test_our_own_page_and_what_is_no_page_need_no_permission(site: Site, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    async with site.client() as client:
        response = await client.post("/auth/dev", json={"name": "ada"}, headers=headers)
    assert response.status_code == 200
    assert cors(response.headers) == set()


async def test_a_listed_page_may_ask_and_read(site: Site) -> None:
    async with site.client() as client:
        preflight = await client.options(
            "/auth/login",
            headers={
                "origin": PARTNER,
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type",
            },
        )
        response = await client.post("/auth/dev", json={"name": "ada"}, headers={"origin": PARTNER})
        refused = await client.get("/auth/verify", headers={"origin": PARTNER})
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == PARTNER
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "authorization, content-type"
    assert response.status_code == 200
    assert refused.status_code == 401, "an error can be read as well"
    for answer in (response, refused):
        assert answer.headers["access-control-allow-origin"] == PARTNER
        assert "origin" in answer.headers["vary"]
    for answer in (preflight, response, refused):
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", FOREIGN)
async def test_any_other_page_can_change_nothing_and_read_nothing(site: Site, origin: str) -> None:
    async with site.client() as client:
        access = (await client.post("/auth/dev", json={"name": "ada"})).json()["access"]
        players = dict(site.store.players)
        for headers in ({}, {"authorization": f"Bearer {access}"}):
            asked = {"origin": origin, **headers}
            for method, path in (("POST", "/auth/dev"), ("POST", "/auth/logout"), ("DELETE", "/account/devices/1")):
                response = await client.request(method, path, headers=asked)
                assert_problem(response, 403)
                assert cors(response.headers) == set()
            read = await client.get("/auth/verify", headers=asked)
            assert cors(read.headers) == set()
        preflight = await client.options(
            "/auth/dev", headers={"origin": origin, "access-control-request-method": "POST"}
        )
        assert_problem(preflight, 403)
        assert cors(preflight.headers) == set()
    assert site.store.players == players
    assert not any(session.ended for session in site.store.sessions.values())


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://game.example", 200), ("https://game.example", 200), ("https://evil.example", 403), ("null", 403)],
)
async def test_where_nobody_said_where_the_page_is_it_is_where_the_browser_asks(origin: str, status: int) -> None:
    async with Site().client() as client:
        response = await client.post("/auth/dev", json={"name": "ada"}, headers={"origin": origin})
    assert response.status_code == status


async def test_only_a_page_that_has_tls_demands_it() -> None:
    for public_url, demanded in (("https://game.example", True), ("http://game.example", False), ("", False)):
        async with Site(public_url=public_url).client() as client:
            headers = (await client.get("/")).headers
        assert ("strict-transport-security" in headers) is demanded
        assert (" ws:" in headers["content-security-policy"]) is not demanded
        assert " wss:" in headers["content-security-policy"]


@pytest.mark.parametrize("body", [b"{}", b'{"name": "ada"}'])
async def test_a_body_with_two_ends_is_refused_and_ends_its_connection(site: Site, body: bytes) -> None:
    async with site.client() as client:
        headers = {"transfer-encoding": "chunked", "content-length": str(len(body))}
        response = await client.post("/auth/dev", content=body, headers=headers)
    assert_problem(response, 400)
    assert response.headers["connection"] == "close"
    assert site.store.players == {}
