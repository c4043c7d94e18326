"""Registration, logins, refresh tokens, against a real PostgreSQL."""

import hashlib
from uuid import UUID, uuid4

import pytest
import trio

from persistence.account_store import AccountStore
from persistence.errors import Rejected
from persistence.postgres import Database
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


async def test_the_first_login_registers_and_the_next_finds(database: Database, store: AccountStore) -> None:
    first = await store.login_by_telegram(42, "Ada", False, session())
    again = await store.login_by_telegram(42, "Ada Lovelace", True, session())
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


async def test_two_hundred_at_once_give_no_gap_and_no_double(asyncio_loop: None, database_dsn: str) -> None:  # noqa: ARG001 - its loop
    async with Database.open(database_dsn, max_connections=20) as database:
        store = AccountStore(database)

        async def register(number: int) -> None:
            # every third is the same person logging in from several places
            await store.login_by_telegram(number if number % 3 else 3, f"player {number}", False, session())

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for number in range(1, 201):
                    nursery.start_soon(register, number)
        found = await rows(
            database, "SELECT count(*), min(join_seq), max(join_seq), count(DISTINCT telegram_id) FROM players"
        )
        assert found == [(135, 1, 135, 135)]
        assert await rows(database, "SELECT count(*) FROM player_sessions") == [(200,)]


async def test_a_registration_that_fails_leaves_no_gap(database: Database, store: AccountStore) -> None:
    taken = session()
    await store.login_by_dev_name("one", taken)
    with pytest.raises(Rejected):
        await store.login_by_dev_name("two", session(id_=taken.id))  # fails after the player was inserted
    await store.login_by_dev_name("three", session())
    found = await rows(database, "SELECT dev_name, join_seq FROM players ORDER BY join_seq")
    assert found == [("one", 1), ("three", 2)]


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
    assert await store.rotate_refresh(hash_of("r1"), hash_of("thief"), AT_MS, TTL_S) is None
    assert await store.rotate_refresh(hash_of("r2"), hash_of("r3"), AT_MS, TTL_S) is None
    assert await rows(database, "SELECT count(*) FROM player_sessions WHERE revoked_at IS NOT NULL") == [(1,)]
    assert await store.rotate_refresh(hash_of("other"), hash_of("other2"), AT_MS, TTL_S) is not None


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
