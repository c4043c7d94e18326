"""The account's endpoints over a real database: what each does, for whom, and what it does to nobody else."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import trio

from persistence import schedule_store
from persistence.postgres import Database
from tests.fakes.account_site import AccountSite, Someone
from tests.fakes.database_probe import assert_reconciled, rows

OLD, NEW, OTHER = 1_001, 2_002, 3_003
PASSPHRASE = "correct horse battery staple"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000

#: Every endpoint that belongs to somebody, with a body that is good as far as its form goes.
OWN: list[tuple[str, str, Any]] = [
    ("GET", "/account", None),
    ("PATCH", "/account", {"display_name": "Eve"}),
    ("GET", "/account/privacy", None),
    ("PUT", "/account/privacy", {"profile": "nobody", "rank": "nobody", "status": "nobody"}),
    ("GET", "/account/export", None),
    ("POST", "/account/erase", {"confirm": "Ada"}),
    ("PUT", "/account/recovery/passphrase", {"passphrase": PASSPHRASE}),
    ("POST", "/account/recovery/codes", {}),
    ("POST", "/account/migration", None),
    ("DELETE", "/account/migration", None),
    ("GET", "/players/00000000-0000-4000-8000-000000000000", None),
]


@pytest.fixture
def site(database: Database) -> AccountSite:
    return AccountSite(database)


@pytest.fixture
async def client(site: AccountSite) -> AsyncIterator[httpx.AsyncClient]:
    async with site.client() as client:
        yield client


@pytest.fixture
async def ada(site: AccountSite) -> Someone:
    return await site.by_telegram(OLD)


@pytest.fixture
async def eve(site: AccountSite) -> Someone:
    return await site.by_telegram(OTHER, "Eve")


def assert_problem(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["detail"])


async def events(database: Database) -> list[str]:
    sql = "SELECT event::text FROM security_logs WHERE event <> 'login' ORDER BY id"
    return [event for (event,) in await rows(database, sql)]


# ---- who asks


async def test_without_a_login_nobody_gets_anything(client: httpx.AsyncClient) -> None:
    for method, path, body in OWN:
        assert_problem(await client.request(method, path, json=body), 401)


async def test_a_login_that_has_ended_is_worth_nothing_though_its_token_verifies(
    client: httpx.AsyncClient, ada: Someone, database: Database
) -> None:
    before = await rows(database, "SELECT display_name, erased_at FROM players")
    await client.post("/auth/logout", headers=ada.headers)
    assert (await client.get("/auth/verify", headers=ada.headers)).status_code == 200
    for method, path, body in OWN:
        response = await client.request(method, path, json=body, headers=ada.headers)
        assert "log in again" in assert_problem(response, 401), path
        assert response.headers["www-authenticate"] == "Bearer"
    assert await rows(database, "SELECT display_name, erased_at FROM players") == before


async def test_what_one_does_to_the_own_account_is_done_to_no_other(
    client: httpx.AsyncClient, ada: Someone, eve: Someone, database: Database
) -> None:
    """Every endpoint as Eve, with everything set for Ada: all that hangs on Ada stays as it was."""
    codes = (await client.post("/account/recovery/codes", json={}, headers=ada.headers)).json()["codes"]
    await client.put("/account/recovery/passphrase", json={"passphrase": PASSPHRASE}, headers=ada.headers)
    await client.post("/account/migration", headers=ada.headers)
    tables = ("player_settings", "recovery_passphrases", "account_moves", "account_recovery", "player_sessions")
    whose = "player_id = (SELECT id FROM players WHERE telegram_id = $1)"

    async def of_ada() -> list[Any]:
        player = await rows(database, "SELECT * FROM players WHERE telegram_id = $1", OLD)
        return [player, *[await rows(database, f"SELECT * FROM {table} WHERE {whose}", OLD) for table in tables]]

    before = await of_ada()
    for method, path, body in OWN:
        response = await client.request(method, path, json=body, headers=eve.headers)
        assert response.status_code in (200, 204, 403, 404, 422), (path, response.text)
        assert str(ada.player) not in response.text
        assert not [code for code in codes if code in response.text]
    assert await of_ada() == before
    assert (await client.get("/account", headers=ada.headers)).json()["player"] == str(ada.player)


async def test_answers_about_an_account_are_kept_by_nobody_on_the_way(client: httpx.AsyncClient, ada: Someone) -> None:
    for path in ("/account", "/account/privacy", "/account/export"):
        assert (await client.get(path, headers=ada.headers)).headers["cache-control"] == "no-store"


# ---- profile and privacy


async def test_the_own_account(client: httpx.AsyncClient, ada: Someone) -> None:
    account = (await client.get("/account", headers=ada.headers)).json()
    assert len(account.pop("referral_code")) == 10
    assert account == {
        "player": str(ada.player),
        "display_name": "Ada",
        "may_rename": True,
        "locale": None,
        "telegram_linked": True,
        "premium": False,
        "generation": 1,
        "level": 1,
        "rank": "Novice",
        "created_at_ms": 1_767_225_600_000,
        "privacy": {"profile": "everyone", "rank": "everyone", "status": "everyone"},
        "recovery": {"passphrase_set_at_ms": 0, "codes": 0},
        "migration": None,
    }


async def test_one_renaming_is_free(site: AccountSite, client: httpx.AsyncClient, ada: Someone) -> None:
    async def patch(**body: str) -> httpx.Response:
        return await client.patch("/account", json=body, headers=ada.headers)

    same = (await patch(display_name="Ada", locale="de")).json()
    assert (same["may_rename"], same["locale"]) == (True, "de"), "the present name is no renaming"
    changed = (await patch(display_name="Ada Löve")).json()
    assert (changed["display_name"], changed["may_rename"], changed["locale"]) == ("Ada Löve", False, "de")
    assert site.renamed == {ada.player: "Ada Löve"}
    assert "free renaming" in assert_problem(await patch(display_name="Again", locale="pt-BR"), 409)
    account = (await client.get("/account", headers=ada.headers)).json()
    assert (account["display_name"], account["locale"]) == ("Ada Löve", "de"), "refused whole"


async def test_of_many_renamings_at_once_one_is_free(client: httpx.AsyncClient, ada: Someone) -> None:
    statuses: list[int] = []

    async def rename(number: int) -> None:
        response = await client.patch("/account", json={"display_name": f"Ada {number}"}, headers=ada.headers)
        statuses.append(response.status_code)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(rename, number)
    assert sorted(statuses) == [200, *[409] * 5]


@pytest.mark.parametrize(
    "body",
    [
        {"display_name": ""},
        {"display_name": " Ada"},
        {"display_name": "A\u202eda"},
        {"display_name": "x" * 65},
        {"display_name": 5},
        {"locale": "german"},
        {"locale": "DE"},
        {"locale": "de\n"},
        {"balance_mpt": 1},
    ],
)
async def test_a_change_that_cannot_be_is_422(client: httpx.AsyncClient, ada: Someone, body: Any) -> None:
    assert_problem(await client.patch("/account", json=body, headers=ada.headers), 422)


async def befriend(database: Database, one: Someone, other: Someone, state: str = "accepted") -> None:
    await rows(
        database,
        "INSERT INTO friendships"
        " SELECT least(a.id, b.id), greatest(a.id, b.id), $3::text::friendship_state, a.id, now()"
        " FROM players AS a, players AS b WHERE a.public_id = $1 AND b.public_id = $2"
        " ON CONFLICT (low_id, high_id) DO UPDATE SET state = excluded.state, acted_by = excluded.acted_by",
        *(one.player, other.player, state),
    )


@pytest.mark.parametrize(
    ("audience", "friends", "sees"),
    [
        ("everyone", False, True),
        ("everyone", True, True),
        ("friends", False, False),
        ("friends", True, True),
        ("nobody", False, False),
        ("nobody", True, False),
    ],
)
async def test_each_part_of_a_profile_is_for_whom_it_is_meant(
    client: httpx.AsyncClient, database: Database, ada: Someone, eve: Someone, audience: str, friends: bool, sees: bool
) -> None:
    if friends:
        await befriend(database, ada, eve)
    for part in ("profile", "rank", "status"):
        privacy = {"profile": "everyone", "rank": "everyone", "status": "everyone", part: audience}
        set_ = await client.put("/account/privacy", json=privacy, headers=ada.headers)
        assert set_.json() == privacy == (await client.get("/account/privacy", headers=ada.headers)).json()
        response = await client.get(f"/players/{ada.player}", headers=eve.headers)
        assert (response.status_code == 200) is (sees or part != "profile")
        if response.status_code == 200:
            assert (response.json()["standing"] is not None) is (sees or part != "rank")
            assert (response.json()["status"] is not None) is (sees or part != "status")
        own = (await client.get(f"/players/{ada.player}", headers=ada.headers)).json()
        assert own["standing"] == {"level": 1, "rank": "Novice", "xp": 0, "influence": 0, "supporters": 0}
        assert own["status"] == {"playing": False, "last_seen_at_ms": 0}


async def test_who_may_not_be_seen_is_not_told_from_who_does_not_exist(
    client: httpx.AsyncClient, database: Database, ada: Someone, eve: Someone
) -> None:
    async def look(player: UUID) -> tuple[int, bytes, set[str]]:
        response = await client.get(f"/players/{player}", headers=eve.headers)
        return response.status_code, response.content, set(response.headers)

    nobody = await look(uuid4())
    assert nobody[0] == 404
    assert (await look(ada.player))[0] == 200
    change = "UPDATE players SET {} WHERE public_id = $1"
    for hidden, shown in (
        ("shadow_limited_at = now()", "shadow_limited_at = NULL"),
        ("banned_until = 'infinity', ban_reason = 'x'", "banned_until = NULL, ban_reason = NULL"),
    ):
        await rows(database, change.format(hidden), ada.player)
        assert await look(ada.player) == nobody
        assert (await client.get(f"/players/{ada.player}", headers=ada.headers)).status_code == 200, "to oneself"
        await rows(database, change.format(shown), ada.player)
    for blocker, blocked in ((ada, eve), (eve, ada)):
        await befriend(database, blocker, blocked, "blocked")
        assert await look(ada.player) == nobody
    await befriend(database, ada, eve)
    await client.put(
        "/account/privacy", json={"profile": "nobody", "rank": "everyone", "status": "everyone"}, headers=ada.headers
    )
    assert await look(ada.player) == nobody
    await client.post("/account/erase", json={"confirm": "Ada"}, headers=ada.headers)
    assert await look(ada.player) == nobody


@pytest.mark.parametrize("body", [{}, {"profile": "all", "rank": "nobody", "status": "nobody"}, {"profile": "nobody"}])
async def test_privacy_that_cannot_be_is_422(client: httpx.AsyncClient, ada: Someone, body: Any) -> None:
    assert_problem(await client.put("/account/privacy", json=body, headers=ada.headers), 422)


# ---- erasure


async def test_an_erased_account_is_gone_and_its_tokens_are_worth_nothing(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    await client.put("/account/recovery/passphrase", json={"passphrase": PASSPHRASE}, headers=ada.headers)
    assert_problem(await client.post("/account/erase", json={"confirm": "ada"}, headers=ada.headers), 422)
    response = await client.post("/account/erase", json={"confirm": "Ada"}, headers=ada.headers)
    assert (response.status_code, response.content) == (204, b"")
    for method, path, body in OWN:
        assert_problem(await client.request(method, path, json=body, headers=ada.headers), 401)
    assert_problem(await client.post("/auth/refresh", json={"refresh": ada.refresh}), 401)
    lost = {"init_data": site.init_data(NEW), "account": str(ada.player), "passphrase": PASSPHRASE}
    assert_problem(await client.post("/account/recover", json=lost), 403)
    assert (await site.by_telegram(OLD)).player != ada.player
    audited = await rows(database, "SELECT actor, action FROM admin_audit_log")
    assert audited == [("player", "account.erase")]
    await assert_reconciled(database)


# ---- recovery


async def recover(client: httpx.AsyncClient, site: AccountSite, account: object, **proof: str) -> httpx.Response:
    return await client.post(
        "/account/recover", json={"init_data": site.init_data(NEW), "account": str(account), **proof}
    )


async def test_a_passphrase_brings_the_account_back(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    set_ = await client.put("/account/recovery/passphrase", json={"passphrase": PASSPHRASE}, headers=ada.headers)
    assert (set_.status_code, set_.content) == (204, b"")
    account = (await client.get("/account", headers=ada.headers)).json()
    assert account["recovery"]["passphrase_set_at_ms"] == site.clock.now_ms()
    response = await recover(client, site, account["referral_code"], passphrase=PASSPHRASE)
    assert (response.status_code, response.json()) == (200, {"player": str(ada.player)})
    assert_problem(await client.get("/account", headers=ada.headers), 401)
    assert_problem(await client.post("/auth/refresh", json={"refresh": ada.refresh}), 401)
    assert (await site.by_telegram(NEW)).player == ada.player
    assert (await site.by_telegram(OLD)).player != ada.player
    assert await events(database) == ["passphrase_set", "account_migrated", "account_recovered"]
    noted = await rows(
        database, "SELECT address, detail ->> 'address_hash' FROM security_logs WHERE event = 'account_recovered'"
    )
    assert noted == [(None, site.address_hash.of(site.address))]
    kept = await rows(database, "SELECT hash FROM recovery_passphrases")
    assert kept[0][0].startswith("$2b$04$")
    assert PASSPHRASE not in str(await rows(database, "SELECT detail FROM security_logs"))


async def test_a_code_brings_the_account_back_once(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    old = (await client.post("/account/recovery/codes", json={}, headers=ada.headers)).json()
    drawn = (await client.post("/account/recovery/codes", json={}, headers=ada.headers)).json()
    assert len(drawn["codes"]) == len(set(drawn["codes"])) == 8
    assert drawn["expires_at_ms"] == site.clock.now_ms() + 30 * DAY_MS
    assert (await client.get("/account", headers=ada.headers)).json()["recovery"]["codes"] == 8
    kept = str(await rows(database, "SELECT code_hash FROM account_recovery"))
    assert not [code for code in drawn["codes"] if code in kept]
    assert_problem(await recover(client, site, ada.player, code=old["codes"][0]), 403)
    assert (await recover(client, site, ada.player, code=drawn["codes"][0])).status_code == 200
    assert_problem(await recover(client, site, ada.player, code=drawn["codes"][0]), 403)
    assert (await recover(client, site, ada.player, code=drawn["codes"][1])).status_code == 200


async def test_what_guards_an_account_is_not_changed_all_the_time(
    client: httpx.AsyncClient, database: Database, ada: Someone, eve: Someone
) -> None:
    for path, body in (("/account/recovery/codes", {}), ("/account/migration", None)):
        statuses = [(await client.post(path, json=body, headers=ada.headers)).status_code for _ in range(11)]
        assert statuses == [200] * 10 + [429]
        assert (await client.post(path, json=body, headers=eve.headers)).status_code == 200
    assert await rows(database, "SELECT count(*) FROM account_recovery") == [(16,)]


async def test_a_code_expires(site: AccountSite, client: httpx.AsyncClient, ada: Someone) -> None:
    code = (await client.post("/account/recovery/codes", json={}, headers=ada.headers)).json()["codes"][0]
    site.clock.advance(30 * DAY_MS + 1)
    assert_problem(await recover(client, site, ada.player, code=code), 403)


async def test_a_code_is_good_for_its_own_account_only(
    site: AccountSite, client: httpx.AsyncClient, ada: Someone, eve: Someone
) -> None:
    code = (await client.post("/account/recovery/codes", json={}, headers=eve.headers)).json()["codes"][0]
    assert_problem(await recover(client, site, ada.player, code=code), 403)
    assert (await recover(client, site, eve.player, code=code)).status_code == 200


async def test_wrong_and_unknown_are_answered_the_same_way(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone, eve: Someone
) -> None:
    await client.put("/account/recovery/passphrase", json={"passphrase": PASSPHRASE}, headers=ada.headers)
    answers = [
        await recover(client, site, account, passphrase="wrong " + PASSPHRASE)
        for account in (ada.player, eve.player, uuid4(), "abcdefgh12", "\u0000")
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(403, answers[0].content)}
    assert {frozenset(answer.headers) for answer in answers} == {frozenset(answers[0].headers)}
    noted = "SELECT p.display_name FROM security_logs AS s LEFT JOIN players AS p ON p.id = s.player_id"
    refused = await rows(database, f"{noted} WHERE event = 'passphrase_refused' ORDER BY s.id")
    assert refused == [("Ada",), ("Eve",), (None,), (None,), (None,)]


async def test_who_knows_no_account_is_checked_as_long_as_who_knows_one(
    site: AccountSite, client: httpx.AsyncClient, ada: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bcrypt

    checked: list[bytes] = []
    check = bcrypt.checkpw

    def counted(passphrase: bytes, kept: bytes) -> bool:
        checked.append(kept[:7])
        return check(passphrase, kept)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    await client.put("/account/recovery/passphrase", json={"passphrase": PASSPHRASE}, headers=ada.headers)
    for account in (ada.player, uuid4()):
        assert_problem(await recover(client, site, account, passphrase="wrong " + PASSPHRASE), 403)
    assert checked == [b"$2b$04$"] * 2, "once each, at the same cost"


async def test_a_passphrase_is_replaced_only_by_who_knows_it(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    async def put(passphrase: str, **old: str) -> httpx.Response:
        body = {"passphrase": passphrase, **old}
        return await client.put("/account/recovery/passphrase", json=body, headers=ada.headers)

    assert (await put(PASSPHRASE)).status_code == 204
    assert_problem(await put("another passphrase"), 403)
    assert_problem(await put("another passphrase", old="another passphrase"), 403)
    assert_problem(await client.post("/account/recovery/codes", json={}, headers=ada.headers), 403)
    assert (await put("another passphrase", old=PASSPHRASE)).status_code == 204
    assert_problem(await recover(client, site, ada.player, passphrase=PASSPHRASE), 403)
    codes = {"passphrase": "another passphrase"}
    assert (await client.post("/account/recovery/codes", json=codes, headers=ada.headers)).status_code == 200
    assert (await recover(client, site, ada.player, passphrase="another passphrase")).status_code == 200
    assert (await events(database)).count("passphrase_refused") == 2


async def test_guesses_at_the_present_passphrase_are_held_back(client: httpx.AsyncClient, ada: Someone) -> None:
    body = {"passphrase": PASSPHRASE}
    await client.put("/account/recovery/passphrase", json=body, headers=ada.headers)
    statuses = []
    for number in range(6):
        guess = {"passphrase": f"wrong passphrase {number}"}
        statuses.append((await client.post("/account/recovery/codes", json=guess, headers=ada.headers)).status_code)
    assert statuses == [403] * 5 + [429]


@pytest.mark.parametrize("passphrase", ["", "short", "x" * 73, "ä" * 37, "twelve chars\n", "nul\x00 nul nul nul"])
async def test_a_passphrase_that_bcrypt_would_cut_or_nobody_types_is_422(
    site: AccountSite, client: httpx.AsyncClient, ada: Someone, passphrase: str
) -> None:
    body = {"passphrase": passphrase}
    detail = assert_problem(await client.put("/account/recovery/passphrase", json=body, headers=ada.headers), 422)
    assert not passphrase or passphrase not in detail
    assert_problem(await recover(client, site, ada.player, passphrase=passphrase), 422)


async def test_the_longest_passphrase_is_not_cut(site: AccountSite, client: httpx.AsyncClient, ada: Someone) -> None:
    longest = "ä" * 36
    await client.put("/account/recovery/passphrase", json={"passphrase": longest}, headers=ada.headers)
    assert_problem(await recover(client, site, ada.player, passphrase="ä" * 35 + "ö"), 403)
    assert (await recover(client, site, ada.player, passphrase=longest)).status_code == 200


@pytest.mark.parametrize("proof", [{}, {"passphrase": PASSPHRASE, "code": "x"}])
async def test_recovery_needs_exactly_one_proof(
    site: AccountSite, client: httpx.AsyncClient, ada: Someone, proof: dict[str, str]
) -> None:
    assert_problem(await recover(client, site, ada.player, **proof), 422)


async def test_without_a_telegram_account_nothing_is_recovered(
    client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    await client.put("/account/recovery/passphrase", json={"passphrase": PASSPHRASE}, headers=ada.headers)
    before = await rows(database, "SELECT * FROM account_throttles")
    lost = {"init_data": "user=1&hash=00&auth_date=1", "account": str(ada.player), "passphrase": PASSPHRASE}
    assert_problem(await client.post("/account/recover", json=lost), 401)
    assert await rows(database, "SELECT * FROM account_throttles") == before, "not counted on the account"


async def test_a_telegram_account_with_a_player_who_played_is_409_and_the_code_stays_good(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    await site.by_telegram(NEW, "Zoe")
    await rows(database, "UPDATE players SET xp = 1 WHERE telegram_id = $1", NEW)
    code = (await client.post("/account/recovery/codes", json={}, headers=ada.headers)).json()["codes"][0]
    assert_problem(await recover(client, site, ada.player, code=code), 409)
    await rows(database, "UPDATE players SET xp = 0 WHERE telegram_id = $1", NEW)
    assert (await recover(client, site, ada.player, code=code)).status_code == 200


async def test_guesses_are_held_back_longer_and_longer_on_every_node_and_after_a_restart(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    await client.put("/account/recovery/passphrase", json={"passphrase": PASSPHRASE}, headers=ada.headers)
    waits = []
    for number in range(8):
        node = AccountSite(database, clock=site.clock, address=f"203.0.113.{number}")
        async with node.client() as elsewhere:
            # another Telegram account and address each time: it is the account that is guarded
            guess = {"init_data": site.init_data(9_000 + number), "account": str(ada.player), "passphrase": "x" * 12}
            response = await elsewhere.post("/account/recover", json=guess)
            if response.status_code == 429:
                waits.append(int(response.headers["retry-after"]))
                site.clock.advance(waits[-1] * 1_000)
                assert_problem(await elsewhere.post("/account/recover", json=guess), 403)
    assert waits == [60, 120, 240]
    held = await recover(client, site, ada.player, passphrase=PASSPHRASE)
    assert_problem(held, 429)
    site.clock.advance(int(held.headers["retry-after"]) * 1_000)
    assert (await recover(client, site, ada.player, passphrase=PASSPHRASE)).status_code == 200
    assert (await recover(client, site, ada.player, passphrase=PASSPHRASE)).status_code == 200, "counted anew"


async def test_many_guesses_at_once_are_counted_each(
    site: AccountSite, client: httpx.AsyncClient, ada: Someone
) -> None:
    await client.put("/account/recovery/passphrase", json={"passphrase": PASSPHRASE}, headers=ada.headers)
    statuses: list[int] = []

    async def guess(number: int) -> None:
        body = {"init_data": site.init_data(9_000 + number), "account": str(ada.player), "passphrase": "x" * 12}
        statuses.append((await client.post("/account/recover", json=body)).status_code)

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(guess, number)
    assert sorted(statuses) == [403] * 5 + [429] * 7


async def test_one_address_and_one_telegram_account_are_held_back_whatever_they_guess_at(
    site: AccountSite, client: httpx.AsyncClient
) -> None:
    async def tries(telegram_id: int) -> int:
        body = {"init_data": site.init_data(telegram_id), "account": str(uuid4()), "code": "x"}
        return (await client.post("/account/recover", json=body)).status_code

    assert [await tries(NEW) for _ in range(6)] == [403] * 5 + [429]
    assert [await tries(9_000 + number) for number in range(16)] == [403] * 15 + [429]
    elsewhere = AccountSite(site.database, clock=site.clock, address="2001:db8::1")
    async with elsewhere.client() as client_elsewhere:
        body = {"init_data": site.init_data(8_000), "account": str(uuid4()), "code": "x"}
        assert (await client_elsewhere.post("/account/recover", json=body)).status_code == 403


# ---- moving


async def offer(client: httpx.AsyncClient, who: Someone) -> str:
    response = await client.post("/account/migration", headers=who.headers)
    assert response.status_code == 200, response.text
    return str(response.json()["code"])


async def confirm(client: httpx.AsyncClient, site: AccountSite, code: str, telegram_id: int = NEW) -> httpx.Response:
    body = {"init_data": site.init_data(telegram_id), "code": code}
    return await client.post("/account/migration/confirm", json=body)


async def calendar(site: AccountSite, database: Database) -> int:
    """What the schedule completes now."""
    fired = await schedule_store.run_due(database, site.clock.now_ms())
    return sum(one.outcome for one in fired if one.job == "complete_moves")


async def test_a_move_needs_both_sides_and_a_day(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    code = await offer(client, ada)
    under_way = (await client.get("/account", headers=ada.headers)).json()["migration"]
    assert under_way == {"state": "offered", "expires_at_ms": site.clock.now_ms() + HOUR_MS, "due_at_ms": 0}
    response = await confirm(client, site, code)
    due_at_ms = site.clock.now_ms() + DAY_MS
    assert (response.status_code, response.json()) == (200, {"due_at_ms": due_at_ms})
    assert await calendar(site, database) == 0
    under_way = (await client.get("/account", headers=ada.headers)).json()["migration"]
    assert (under_way["state"], under_way["due_at_ms"]) == ("confirmed", due_at_ms)
    told = await rows(database, "SELECT kind, body ->> 'due_at_ms' FROM notifications")
    assert told == [("account_move", str(due_at_ms))]
    site.clock.advance(DAY_MS - 1)
    assert await calendar(site, database) == 0
    site.clock.advance(600_000)
    ada_again = await site.by_telegram(OLD)
    assert await calendar(site, database) == 1
    assert_problem(await client.get("/account", headers=ada_again.headers), 401)
    assert (await site.by_telegram(NEW)).player == ada.player
    assert (await site.by_telegram(OLD)).player != ada.player
    assert await events(database) == ["move_offered", "move_confirmed", "account_migrated"]
    assert_problem(await confirm(client, site, code, OTHER), 403)
    site.clock.advance(600_000)
    assert await calendar(site, database) == 0
    await assert_reconciled(database)


async def test_the_old_side_can_cancel_until_then(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    assert_problem(await client.delete("/account/migration", headers=ada.headers), 404)
    code = await offer(client, ada)
    await confirm(client, site, code)
    assert_problem(await client.post("/account/migration", headers=ada.headers), 409)
    response = await client.delete("/account/migration", headers=ada.headers)
    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get("/account", headers=ada.headers)).json()["migration"] is None
    assert_problem(await confirm(client, site, code), 403)
    site.clock.advance(2 * DAY_MS)
    assert await calendar(site, database) == 0
    assert (await site.by_telegram(OLD)).player == ada.player
    assert await rows(database, "SELECT telegram_id FROM account_moves") == [(None,)]


async def test_an_offer_ends_with_its_hour_and_with_the_next_offer(
    site: AccountSite, client: httpx.AsyncClient, ada: Someone
) -> None:
    first, second = await offer(client, ada), await offer(client, ada)
    assert_problem(await confirm(client, site, first), 403)
    site.clock.advance(HOUR_MS + 1)
    assert_problem(await confirm(client, site, second), 403)
    ada = await site.by_telegram(OLD)
    assert (await client.get("/account", headers=ada.headers)).json()["migration"] is None
    assert (await confirm(client, site, await offer(client, ada))).status_code == 200


async def test_a_telegram_account_that_cannot_take_the_player_is_told_why(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone, eve: Someone
) -> None:
    code = await offer(client, ada)
    assert "already" in assert_problem(await confirm(client, site, code, OLD), 409)
    await rows(database, "UPDATE players SET xp = 1 WHERE telegram_id = $1", OTHER)
    assert "has played" in assert_problem(await confirm(client, site, code, OTHER), 409)
    assert (await confirm(client, site, code, NEW)).status_code == 200
    code = await offer(client, eve)
    assert "another player" in assert_problem(await confirm(client, site, code, NEW), 409)
    assert_problem(await client.post("/account/migration/confirm", json={"init_data": "x", "code": code}), 401)


async def test_who_guesses_at_codes_is_held_back(site: AccountSite, client: httpx.AsyncClient) -> None:
    statuses = [(await confirm(client, site, "x")).status_code for _ in range(6)]
    assert statuses == [403] * 5 + [429]


# ---- export


async def test_an_export_comes_once_a_minute(
    site: AccountSite, client: httpx.AsyncClient, database: Database, ada: Someone
) -> None:
    response = await client.get("/account/export", headers=ada.headers)
    assert response.headers["content-type"] == "application/json"
    exported = response.json()
    assert (exported["schema"], exported["player"]) == ("ppj.export.1", str(ada.player))
    [profile] = exported["sections"]["profile"]
    assert (profile["telegram_id"], profile["display_name"]) == (OLD, "Ada")
    assert exported["sections"]["ledger"] == []
    assert await events(database) == ["account_exported"]
    again = await client.get("/account/export", headers=ada.headers)
    assert_problem(again, 429)
    assert again.headers["retry-after"] == "60"
    site.clock.advance(60_000)
    assert (await client.get("/account/export", headers=ada.headers)).status_code == 200
