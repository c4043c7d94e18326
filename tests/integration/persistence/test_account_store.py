"""Logins, their log, refresh tokens, against a real PostgreSQL."""

import hashlib
from uuid import UUID, uuid4

import pytest
import trio

from persistence.account_store import AccountRow, AccountStore, LoginProof
from persistence.postgres import Database
from persistence.registration import Newcomer
from persistence.session_store import NewSession
from tests.fakes.database_probe import rows
from tests.fakes.flushable_player import AT_MS

TTL_S = 7 * 86_400


def hash_of(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def session(token: str = "", *, id_: UUID | None = None) -> NewSession:
    new = id_ or uuid4()
    return NewSession(new, hash_of(token or str(new)), AT_MS + 1000 * TTL_S, "a client/1", AT_MS)


@pytest.fixture
def store(database: Database) -> AccountStore:
    return AccountStore(database)


def user(telegram_id: int = 42, name: str = "Ada", *, premium: bool | None = False) -> Newcomer:
    return Newcomer(name, telegram_id=telegram_id, premium=premium)


def proof(text: str = "", *, not_before_ms: int = AT_MS - 1_000) -> LoginProof:
    """What was shown: the same text is the same proof; no text: one that nobody has shown before."""
    return LoginProof("init_data", hash_of(text or str(uuid4())), not_before_ms)


async def test_the_first_login_registers_and_the_next_finds(database: Database, store: AccountStore) -> None:
    first = await store.login_by_telegram(user(), session(), proof())
    again = await store.login_by_telegram(user(name="Ada Lovelace", premium=True), session(), proof())
    assert (first.created, again.created) == (True, False)
    assert (again.player_id, again.public_id, again.display_name) == (first.player_id, first.public_id, "Ada")
    assert first.session_id != again.session_id
    assert await rows(database, "SELECT premium, join_seq, generation FROM players") == [(True, 1, 1)]
    assert await rows(database, "SELECT ms_from_time(energy_at), ms_from_time(created_at) FROM players") == [
        (AT_MS, AT_MS)
    ]
    assert await rows(database, "SELECT count(*) FROM player_sessions") == [(2,)]


async def test_a_dev_name_is_a_player_too(store: AccountStore) -> None:
    ada = await store.login_by_dev_name("ada", session())
    bob = await store.login_by_dev_name("bob", session())
    assert ada.public_id != bob.public_id
    assert (await store.login_by_dev_name("ada", session())).public_id == ada.public_id
    assert ada.display_name == "ada"


async def test_a_way_of_logging_in_that_does_not_tell_of_premium_changes_nothing(
    database: Database, store: AccountStore
) -> None:
    for premium, kept in ((None, False), (True, True), (None, True), (False, False)):
        await store.login_by_telegram(user(premium=premium), session(), proof())
        assert await rows(database, "SELECT premium FROM players") == [(kept,)]


# ---- the log of logins

_LOGINS = """
    SELECT player_id, ms_from_time(at), severity::text, detail ->> 'session', detail ->> 'kind'
    FROM security_logs WHERE event = 'login' ORDER BY id
"""


async def test_each_login_is_in_the_log_once(database: Database, store: AccountStore) -> None:
    first = await store.login_by_telegram(user(), session(), proof("Monday"))
    replayed = await store.login_by_telegram(user(), session(), proof("Monday"))
    other = await store.login_by_telegram(user(), session(), proof("Tuesday"))
    assert first.player_id == replayed.player_id
    assert await rows(database, _LOGINS) == [
        (first.player_id, AT_MS, "info", str(first.session_id), "init_data"),
        (first.player_id, AT_MS, "info", str(other.session_id), "init_data"),
    ]
    assert await rows(database, "SELECT count(*) FROM player_sessions") == [(3,)], "a replay is a session all the same"


async def test_logins_by_name_are_all_in_the_log(database: Database, store: AccountStore) -> None:
    logins = [await store.login_by_dev_name("ada", session()) for _ in range(2)]
    assert await rows(database, _LOGINS) == [
        (login.player_id, AT_MS, "info", str(login.session_id), "dev") for login in logins
    ]


async def test_the_same_proof_is_known_in_another_month_and_not_looked_for_before_it_was_made(
    database: Database, store: AccountStore
) -> None:
    await rows(database, "SELECT create_partitions('security_logs', to_timestamp($1)::date, 3)", AT_MS // 1_000)
    later_ms = AT_MS + 40 * 86_400_000
    later = NewSession(uuid4(), hash_of("later"), later_ms + 1_000, "", later_ms)
    await store.login_by_telegram(user(), session(), proof("once", not_before_ms=1))
    await store.login_by_telegram(user(), later, proof("once", not_before_ms=1))
    assert await rows(database, "SELECT count(*) FROM security_logs") == [(1,)]
    await store.login_by_telegram(user(), session(), proof("once", not_before_ms=AT_MS + 1))
    assert await rows(database, "SELECT count(*) FROM security_logs") == [(2,)]


async def test_one_proof_shown_by_twenty_at_once_is_one_login(asyncio_loop: None, database_dsn: str) -> None:  # noqa: ARG001 - its loop
    async with Database.open(database_dsn, max_connections=20) as database:
        store, found = AccountStore(database), list[AccountRow]()

        async def log_in() -> None:
            found.append(await store.login_by_telegram(user(), session(), proof("the same")))

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(log_in)
        assert len({row.player_id for row in found}) == 1
        assert [row.created for row in found].count(True) == 1
        assert await rows(database, "SELECT count(*) FROM security_logs WHERE event = 'login'") == [(1,)]
        assert await rows(database, "SELECT count(*) FROM player_sessions") == [(20,)]


# ---- refresh tokens


async def test_refresh_rotates(store: AccountStore) -> None:
    login = await store.login_by_dev_name("ada", session("r1"))
    for old, new in (("r1", "r2"), ("r2", "r3")):
        row = await store.rotate_refresh(hash_of(old), hash_of(new), AT_MS + 1000, TTL_S)
        assert row is not None
        assert (row.player_id, row.public_id, row.session_id) == (login.player_id, login.public_id, login.session_id)
        assert (row.display_name, row.created) == ("ada", False)


async def test_reuse_ends_the_family_and_no_other(database: Database, store: AccountStore) -> None:
    await store.login_by_dev_name("ada", session("r1"))
    await store.login_by_dev_name("ada", session("other"))
    assert await store.rotate_refresh(hash_of("r1"), hash_of("r2"), AT_MS, TTL_S) is not None
    assert await store.rotate_refresh(hash_of("r1"), hash_of("thief"), AT_MS + 7, TTL_S, "203.0.113.9", "abcd") is None
    assert await store.rotate_refresh(hash_of("r2"), hash_of("r3"), AT_MS, TTL_S) is None
    assert await rows(database, "SELECT count(*) FROM player_sessions WHERE revoked_at IS NOT NULL") == [(1,)]
    assert await store.rotate_refresh(hash_of("other"), hash_of("other2"), AT_MS, TTL_S) is not None
    reused = "SELECT ms_from_time(at), detail->>'address_hash' FROM security_logs WHERE event = 'refresh_reuse'"
    assert await rows(database, reused) == [(AT_MS + 7, "abcd")]


async def test_one_token_used_twice_at_once_is_reuse(store: AccountStore) -> None:
    await store.login_by_dev_name("ada", session("r1"))
    found: list[bool] = []

    async def rotate(new: str) -> None:
        found.append(await store.rotate_refresh(hash_of("r1"), hash_of(new), AT_MS, TTL_S) is not None)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for new in ("a", "b"):
                nursery.start_soon(rotate, new)
    assert sorted(found) == [False, True]
    for new in ("a", "b"):
        assert await store.rotate_refresh(hash_of(new), hash_of(f"{new}2"), AT_MS, TTL_S) is None


async def test_expired_ended_and_unknown_tokens_are_none(store: AccountStore) -> None:
    login = await store.login_by_dev_name("ada", session("r1"))
    assert await store.rotate_refresh(hash_of("never"), hash_of("x"), AT_MS, TTL_S) is None
    assert await store.rotate_refresh(hash_of("r1"), hash_of("x"), AT_MS + 1000 * TTL_S, TTL_S) is None
    await store.end_session(login.session_id)
    await store.end_session(login.session_id)
    await store.end_session(uuid4())
    assert await store.rotate_refresh(hash_of("r1"), hash_of("x"), AT_MS, TTL_S) is None


async def test_only_the_latest_replaced_hashes_are_kept(database: Database, store: AccountStore) -> None:
    await store.login_by_dev_name("ada", session("r0"))
    for number in range(40):
        row = await store.rotate_refresh(hash_of(f"r{number}"), hash_of(f"r{number + 1}"), AT_MS, TTL_S)
        assert row is not None
    [(hashes,)] = await rows(database, "SELECT previous_hashes FROM player_sessions")
    assert hashes == [hash_of(f"r{number}") for number in range(39, 7, -1)]
