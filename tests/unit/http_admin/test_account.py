"""What the account's endpoints answer before anything of the database is known; the rest is tests/integration."""

from typing import Any

import httpx
import pytest

from tests.fakes.site import Site, assert_problem

PASSPHRASE = "correct horse battery staple"


async def log_in(client: httpx.AsyncClient) -> dict[str, str]:
    access = (await client.post("/auth/dev", json={"name": "ada"})).json()["access"]
    return {"authorization": f"Bearer {access}"}


@pytest.fixture
def site() -> Site:
    """A node whose database has just gone away."""
    return Site()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/account", None),
        ("PATCH", "/account", {"display_name": "Ada"}),
        ("GET", "/account/privacy", None),
        ("PUT", "/account/privacy", {"profile": "nobody", "rank": "nobody", "status": "nobody"}),
        ("GET", "/account/export", None),
        ("POST", "/account/erase", {"confirm": "ada"}),
        ("PUT", "/account/recovery/passphrase", {"passphrase": PASSPHRASE}),
        ("POST", "/account/recovery/codes", {}),
        ("POST", "/account/recover", {"init_data": "", "account": "abcdefgh", "passphrase": PASSPHRASE}),
        ("POST", "/account/migration", None),
        ("DELETE", "/account/migration", None),
        ("POST", "/account/migration/confirm", {"init_data": "", "code": "x"}),
        ("GET", "/players/00000000-0000-4000-8000-000000000000", None),
    ],
)
async def test_while_the_database_is_away_it_is_503_and_nothing_is_half_done(
    site: Site, method: str, path: str, body: Any
) -> None:
    if body and "init_data" in body:
        body = {**body, "init_data": site.init_data()}
    async with site.client() as client:
        response = await client.request(method, path, json=body, headers=await log_in(client))
        assert_problem(response, 503)
    assert response.headers["retry-after"] == "1"
    assert site.database.asked == 1


@pytest.mark.parametrize("path", ["/account/recover", "/account/migration/confirm"])
async def test_who_proves_no_telegram_account_is_401_before_anything_is_looked_up(site: Site, path: str) -> None:
    body = {"init_data": "auth_date=1&hash=00&user=1", "code": "x"}
    if path == "/account/recover":
        body["account"] = "abcdefgh"
    async with site.client() as client:
        assert_problem(await client.post(path, json=body), 401)
    assert site.database.asked == 0


async def test_what_is_wrong_with_a_body_is_said_without_what_it_held(site: Site) -> None:
    secret = "a secret that is much too long" * 20
    async with site.client() as client:
        response = await client.put(
            "/account/recovery/passphrase", json={"passphrase": secret}, headers=await log_in(client)
        )
    assert "secret" not in assert_problem(response, 422)


async def test_every_field_of_a_body_is_described_and_there_are_no_others(site: Site) -> None:
    async with site.client() as client:
        schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    bodies = (
        *("ProfileChange", "PrivacySettings", "Erasure", "NewPassphrase", "RecoveryCodesRequest", "LostAccount"),
        "MoveConfirmation",
    )
    for name in bodies:
        assert schemas[name]["description"], name
        assert schemas[name]["additionalProperties"] is False, name
        assert [field for field, of in schemas[name]["properties"].items() if "description" not in of] == [], name
    for name in ("OwnAccount", "PublicProfile", "RecoveryCodes", "Recovered", "MoveOffer", "Confirmed"):
        assert schemas[name]["description"], name
