import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from gameserver.clock import ManualClock
from gameserver.errors import Forbidden, InvalidArgument, RateLimited, Unauthenticated
from gameserver.identity.accounts import MAX_NAME_CHARS, REFRESH_TTL_S, Accounts
from gameserver.identity.telegram import BadInitData, TelegramVerifier
from gameserver.identity.tokens import ACCESS_TTL_S, TokenIssuer
from gameserver.identity.visitor import Visitor
from gameserver.rate_limits.table import TABLE, Limit, LimitClass, Scope
from tests.fakes.front_desk import front_desk
from tests.fakes.memory_accounts import MemoryAccounts
from tests.fakes.memory_refusals import rate_limits
from tests.fakes.noted_events import NotedEvents
from tests.fakes.telegram import BOT_TOKEN, init_data, signed_widget


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> MemoryAccounts:
    return MemoryAccounts()


def desk(
    store: MemoryAccounts,
    clock: ManualClock,
    *,
    dev: bool = True,
    noted: NotedEvents | None = None,
    table: Iterable[Limit] = TABLE,
) -> Accounts:
    issuer = TokenIssuer({"k1": "a key of at least thirty-two bytes!"})
    telegram = TelegramVerifier(bot_tokens=(BOT_TOKEN,))
    limits = rate_limits(clock, table=table)
    return front_desk(store, issuer, clock, telegram=telegram, dev=dev, noted=noted, limits=limits)


@pytest.fixture
def accounts(store: MemoryAccounts, clock: ManualClock) -> Accounts:
    return desk(store, clock)


def raw(clock: ManualClock, **user: Any) -> str:
    return init_data(clock.now_ms() // 1000, **user)


async def test_the_first_login_registers_and_the_same_data_finds_the_same_player(
    accounts: Accounts, store: MemoryAccounts, clock: ManualClock
) -> None:
    opened = raw(clock, is_premium=True)
    first = await accounts.login_telegram(opened, Visitor("web/1"))
    clock.advance(86_400_000)
    second = await accounts.login_telegram(opened, Visitor("web/1"))
    assert (first.created, second.created) == (True, False)
    assert first.player_id == second.player_id
    assert first.public_id == second.public_id
    assert first.session_id != second.session_id
    assert first.refresh != second.refresh
    assert first.expires_in_s == ACCESS_TTL_S
    assert store.players["telegram:42"].premium
    clock.advance(1_000)
    with pytest.raises(BadInitData, match="older"):
        await accounts.login_telegram(opened)


@pytest.mark.parametrize(
    ("start_param", "code"),
    [
        ("r_0aB1cD2e", "0aB1cD2e"),
        ("r_0aB1cD2eF3gH", "0aB1cD2eF3gH"),
        (None, ""),
        ("", ""),
        ("r_", ""),
        ("r_0aB1cD2", ""),
        ("r_0aB1cD2eF3gHi", ""),
        ("r_0aB1-D2e", ""),
        ("R_0aB1cD2e", ""),
        ("0aB1cD2e", ""),
        ("xr_0aB1cD2e", ""),
        ("r_0aB1cD2é", ""),
        ("r_١٢٣٤٥٦٧٨", ""),
    ],
)
async def test_who_invited_is_in_the_link_that_opened_the_app(
    accounts: Accounts, store: MemoryAccounts, clock: ManualClock, start_param: str | None, code: str
) -> None:
    await accounts.login_telegram(init_data(clock.now_ms() // 1000, start_param=start_param))
    assert store.players["telegram:42"].invited_by == code
    await accounts.login_telegram(init_data(clock.now_ms() // 1000, start_param="r_TooLate123"))
    assert store.players["telegram:42"].invited_by == code


async def test_the_widget_is_the_same_player_and_keeps_what_it_does_not_tell(
    accounts: Accounts, store: MemoryAccounts, clock: ManualClock
) -> None:
    first = await accounts.login_telegram(raw(clock, is_premium=True))
    fields = signed_widget({"id": 42, "first_name": "Ada", "auth_date": clock.now_ms() // 1000})
    second = await accounts.login_widget(fields, Visitor("browser"))
    assert first.public_id == second.public_id
    assert store.players["telegram:42"].premium
    assert store.sessions[second.session_id].client == "browser"
    with pytest.raises(BadInitData):
        await accounts.login_widget(fields | {"id": 43})


async def test_the_store_knows_a_login_that_is_shown_again(
    accounts: Accounts, store: MemoryAccounts, clock: ManualClock
) -> None:
    opened = raw(clock)
    now_ms = clock.now_ms() // 1000 * 1000
    for data in (opened, "&".join(reversed(opened.split("&"))), raw(clock, id=43)):
        await accounts.login_telegram(data)
    clock.advance(1_000)
    await accounts.login_widget(signed_widget({"id": 42, "auth_date": now_ms // 1000}))
    first, again, other, widget = store.proofs
    assert first == again
    assert len({first.digest, other.digest, widget.digest}) == 3
    assert [proof.kind for proof in store.proofs] == ["init_data", "init_data", "init_data", "widget"]
    assert {proof.not_before_ms for proof in store.proofs} == {now_ms - 60_000}, "it may have come a minute early"


async def test_a_login_of_long_ago_has_a_time_too(store: MemoryAccounts, clock: ManualClock) -> None:
    anytime = TelegramVerifier(bot_tokens=(BOT_TOKEN,), max_age_s=0)
    accounts = front_desk(store, TokenIssuer({"k1": "k" * 32}), clock, telegram=anytime)
    await accounts.login_telegram(init_data(1))
    assert [proof.not_before_ms for proof in store.proofs] == [1]


async def test_bad_init_data_reaches_no_store(accounts: Accounts, store: MemoryAccounts, clock: ManualClock) -> None:
    with pytest.raises(BadInitData):
        await accounts.login_telegram(raw(clock).replace("42", "43"))
    assert not store.players
    assert not store.sessions


async def test_the_access_token_names_player_and_session(accounts: Accounts, clock: ManualClock) -> None:
    login = await accounts.login_telegram(raw(clock))
    claims = accounts.verify(login.access)
    assert (claims.player, claims.session) == (login.public_id, login.session_id)
    clock.advance(ACCESS_TTL_S * 1000)
    with pytest.raises(Unauthenticated) as raised:
        accounts.verify(login.access)
    assert raised.value.expired


async def test_the_store_never_sees_a_refresh_token(accounts: Accounts, store: MemoryAccounts) -> None:
    login = await accounts.login_dev("ada", Visitor("web/1"))
    session = store.sessions[login.session_id]
    assert session.hashes == [hashlib.sha256(login.refresh.encode()).digest()]
    assert session.client == "web/1"
    assert len(login.refresh) >= 43, "256 bits"


async def test_a_refresh_token_is_good_once_and_its_successor_goes_on(
    accounts: Accounts, store: MemoryAccounts, clock: ManualClock
) -> None:
    login = await accounts.login_dev("ada")
    clock.advance(ACCESS_TTL_S * 1000)
    renewed = await accounts.refresh(login.refresh)
    assert (renewed.session_id, renewed.public_id) == (login.session_id, login.public_id)
    assert renewed.refresh != login.refresh
    assert not renewed.created
    assert accounts.verify(renewed.access).expires_at_s == clock.now_ms() // 1000 + ACCESS_TTL_S
    assert (await accounts.refresh(renewed.refresh)).session_id == login.session_id
    assert not store.sessions[login.session_id].ended


async def test_showing_a_used_refresh_token_ends_the_family(accounts: Accounts) -> None:
    login = await accounts.login_dev("ada")
    other = await accounts.login_dev("ada")
    renewed = await accounts.refresh(login.refresh)
    for token in (login.refresh, renewed.refresh):
        with pytest.raises(Unauthenticated):
            await accounts.refresh(token)
    assert (await accounts.refresh(other.refresh)).public_id == login.public_id, "other logins of the player stay"


async def test_a_refresh_token_lives_seven_days(accounts: Accounts, clock: ManualClock) -> None:
    login = await accounts.login_dev("ada")
    clock.advance(REFRESH_TTL_S * 1000 - 1)
    renewed = await accounts.refresh(login.refresh)
    clock.advance(REFRESH_TTL_S * 1000)
    with pytest.raises(Unauthenticated):
        await accounts.refresh(renewed.refresh)


@pytest.mark.parametrize("token", ["", "x", "é", "\ud800", "x" * 100_000], ids=["empty", "x", "é", "surrogate", "long"])
async def test_what_is_no_refresh_token(accounts: Accounts, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await accounts.refresh(token)


async def test_logging_out_ends_this_login_only(accounts: Accounts) -> None:
    here, there = await accounts.login_dev("ada"), await accounts.login_dev("ada")
    await accounts.logout(here.session_id)
    await accounts.logout(here.session_id)
    with pytest.raises(Unauthenticated):
        await accounts.refresh(here.refresh)
    assert (await accounts.refresh(there.refresh)).session_id == there.session_id


async def test_a_dev_name_is_a_player(accounts: Accounts) -> None:
    first, again, other = [await accounts.login_dev(name) for name in ("ada", "ada", "Ada L 力")]
    assert first.public_id == again.public_id != other.public_id
    assert (first.display_name, other.display_name) == ("ada", "Ada L 力")


async def test_names_alone_log_in_nowhere_but_in_dev(store: MemoryAccounts, clock: ManualClock) -> None:
    with pytest.raises(Forbidden):
        await desk(store, clock, dev=False).login_dev("ada")
    assert not store.players


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\x00b", "a\nb", " ada", "ada ", "a  b", "\u202eada", "\ud800"])
async def test_names_that_cannot_be(accounts: Accounts, store: MemoryAccounts, name: str) -> None:
    with pytest.raises(InvalidArgument):
        await accounts.login_dev(name)
    assert not store.players


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ({"first_name": "Ada", "last_name": "Lovelace"}, "Ada Lovelace"),
        ({"first_name": "  Ada\t", "last_name": ""}, "Ada"),
        ({"first_name": "\u0000\u202e", "username": "ada"}, "ada"),
        ({"first_name": "", "username": ""}, "Player"),
        ({"first_name": "力" * 100}, "力" * MAX_NAME_CHARS),
        ({"first_name": "x" * 63, "last_name": "yy"}, "x" * 63),
    ],
)
async def test_what_others_see_is_printable_and_short(
    accounts: Accounts, clock: ManualClock, user: dict[str, str], shown: str
) -> None:
    assert (await accounts.login_telegram(raw(clock, **user))).display_name == shown


async def test_a_clients_label_is_cut_and_cleaned(accounts: Accounts, store: MemoryAccounts) -> None:
    login = await accounts.login_dev("ada", Visitor.of(client="web\x00\n" + "x" * 500))
    assert store.sessions[login.session_id].client == "web" + " " + "x" * 124


# ---- what is noted


async def test_refused_credentials_are_noted_without_anything_of_them(
    store: MemoryAccounts, clock: ManualClock
) -> None:
    noted = NotedEvents()
    accounts = desk(store, clock, noted=noted)
    good = await accounts.login_dev("ada")
    tries: dict[str, Callable[[], Awaitable[object]]] = {
        "init_data: bad_hash": lambda: accounts.login_telegram(raw(clock).replace("42", "43")),
        "init_data: malformed": lambda: accounts.login_telegram("secret=1&secret=1"),
        "widget: bad_hash": lambda: accounts.login_widget({"id": 1, "auth_date": 1, "hash": "0" * 64}),
        "refresh_token: not good": lambda: accounts.refresh("a secret token"),
    }
    for attempt in tries.values():
        with pytest.raises(Unauthenticated):
            await attempt()
    with pytest.raises(Unauthenticated):
        accounts.verify(good.access[:-4] + "AAAA")
    clock.advance(1_000 * ACCESS_TTL_S)
    with pytest.raises(Unauthenticated, match="expired"):
        accounts.verify(good.access)
    await accounts._security_log.write(gathered_before_ms=clock.now_ms())
    assert [entry.reason for entry in noted.written] == [*tries, "access_token: not good"]


async def test_who_is_banned_is_noted(store: MemoryAccounts, clock: ManualClock) -> None:
    noted = NotedEvents()
    accounts = desk(store, clock, noted=noted)
    login = await accounts.login_dev("ada")
    accounts._barred.ban(login.public_id, clock.now_ms() + 10)
    with pytest.raises(Forbidden):
        accounts.verify(login.access)
    await accounts._security_log.write(gathered_before_ms=clock.now_ms())
    assert [entry.reason for entry in noted.written] == ["access_token: banned"]


# ---- how often

HOME = Visitor.of(address="203.0.113.7")


async def test_a_user_who_logs_in_too_often_waits_and_nobody_else_does(
    store: MemoryAccounts, clock: ManualClock
) -> None:
    table = (Limit(Scope.PLAYER, LimitClass.LOGIN, 2, 60, ""), Limit(Scope.ADDRESS, LimitClass.LOGIN, 4, 60, ""))
    accounts = desk(store, clock, table=table)
    for log_in in (accounts.login_telegram(raw(clock), HOME), accounts.login_telegram(raw(clock))):
        await log_in
    with pytest.raises(RateLimited) as refused:  # wherever from, and by either way
        await accounts.login_widget(signed_widget({"id": 42, "auth_date": clock.now_ms() // 1000}), HOME)
    assert len(store.sessions) == 2
    await accounts.login_telegram(raw(clock, id=43), HOME)
    clock.advance(refused.value.retry_after_ms)
    await accounts.login_telegram(raw(clock), HOME)


async def test_an_address_that_logs_in_too_often_waits_before_anything_is_judged(
    store: MemoryAccounts, clock: ManualClock
) -> None:
    table = (Limit(Scope.ADDRESS, LimitClass.LOGIN, 2, 60, ""), Limit(Scope.ADDRESS, LimitClass.REFRESH, 1, 60, ""))
    accounts = desk(store, clock, table=table)
    login = await accounts.login_dev("ada", HOME)
    await accounts.login_telegram(raw(clock), HOME)
    for log_in in (
        accounts.login_dev("ada", HOME),
        accounts.login_telegram("nothing", HOME),
        accounts.login_widget({}, HOME),
    ):
        with pytest.raises(RateLimited):
            await log_in
    await accounts.login_dev("ada", Visitor.of(address="203.0.113.8"))
    renewed = await accounts.refresh(login.refresh, HOME)
    with pytest.raises(RateLimited):
        await accounts.refresh(renewed.refresh, HOME)
    clock.advance(60_000)
    await accounts.refresh(renewed.refresh, HOME)  # what was refused has not used it up


async def test_bad_credentials_of_all_kinds_make_their_address_wait_with_all_of_them(
    store: MemoryAccounts, clock: ManualClock
) -> None:
    accounts = desk(store, clock, table=(Limit(Scope.ADDRESS, LimitClass.CREDENTIAL, 4, 600, ""),))
    good = await accounts.login_dev("ada", HOME)
    bad: list[Callable[[], Awaitable[object]]] = [
        lambda: accounts.login_telegram("nothing", HOME),
        lambda: accounts.login_widget({"id": 1}, HOME),
        lambda: accounts.refresh("guessed", HOME),
    ]
    for attempt in bad:
        with pytest.raises(Unauthenticated):
            await attempt()
    with pytest.raises(Unauthenticated):
        accounts.verify("x", HOME)
    attempts: list[Callable[[], Awaitable[object]]] = [
        *bad,
        lambda: accounts.login_telegram(raw(clock), HOME),
        lambda: accounts.refresh(good.refresh, HOME),
    ]
    for attempt in attempts:
        with pytest.raises(RateLimited):
            await attempt()
    with pytest.raises(RateLimited) as refused:
        accounts.verify(good.access, HOME)
    accounts.verify(good.access, Visitor.of(address="203.0.113.8"))
    clock.advance(refused.value.retry_after_ms)
    await accounts.refresh(good.refresh, HOME)


async def test_a_token_that_is_only_too_old_is_no_guess(store: MemoryAccounts, clock: ManualClock) -> None:
    accounts = desk(store, clock, table=(Limit(Scope.ADDRESS, LimitClass.CREDENTIAL, 1, 600, ""),))
    old = await accounts.login_dev("ada", HOME)
    clock.advance(1_000 * ACCESS_TTL_S)
    for _ in range(3):
        with pytest.raises(Unauthenticated, match="expired"):
            accounts.verify(old.access, HOME)
    await accounts.refresh(old.refresh, HOME)


async def test_a_login_that_proves_nothing_takes_no_login_from_its_address(
    store: MemoryAccounts, clock: ManualClock
) -> None:
    accounts = desk(store, clock, table=(Limit(Scope.ADDRESS, LimitClass.LOGIN, 1, 60, ""),))
    for _ in range(3):
        with pytest.raises(BadInitData):
            await accounts.login_telegram("nothing", HOME)
    await accounts.login_telegram(raw(clock), HOME)
