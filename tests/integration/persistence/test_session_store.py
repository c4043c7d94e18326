"""Logins and devices, against a real PostgreSQL."""

import hashlib
from uuid import UUID, uuid4

import pytest
import trio

from persistence import session_store
from persistence.account_store import AccountRow, AccountStore
from persistence.postgres import Database
from persistence.session_store import MAX_DEVICES, MAX_SESSIONS, NewSession, SessionStore, Sighting
from tests.fakes.database_probe import rows
from tests.fakes.flushable_player import AT_MS

DAY_MS = 86_400_000


def session(*, at_ms: int = AT_MS, address: str = "203.0.113.7") -> NewSession:
    new = uuid4()
    return NewSession(new, hashlib.sha256(new.bytes).digest(), at_ms + 7 * DAY_MS, "a client/1", at_ms, address)


async def log_in(database: Database, name: str = "ada", *, at_ms: int = AT_MS) -> AccountRow:
    return await AccountStore(database).login_by_dev_name(name, session(at_ms=at_ms))


async def live(store: SessionStore, player: UUID, at_ms: int = AT_MS) -> list[UUID]:
    return [row.id for row in await store.sessions(player, at_ms)]


@pytest.fixture
def store(database: Database) -> SessionStore:
    return SessionStore(database)


async def test_live_logins_the_latest_seen_first(database: Database, store: SessionStore) -> None:
    first = await log_in(database)
    second = await log_in(database, at_ms=AT_MS + 1)
    await log_in(database, "eve")
    [newer, older] = await store.sessions(first.public_id, AT_MS + 2)
    assert (newer.id, older.id) == (second.session_id, first.session_id)
    assert (older.client, older.address, older.name, older.device) == ("a client/1", "203.0.113.7", "", "")
    assert (older.created_at_ms, older.last_seen_at_ms, older.expires_at_ms) == (AT_MS, AT_MS, AT_MS + 7 * DAY_MS)
    assert await live(store, first.public_id, AT_MS + 7 * DAY_MS) == [second.session_id], "the other has expired"


async def test_of_too_many_those_seen_longest_ago_end(database: Database, store: SessionStore) -> None:
    logins = [await log_in(database, at_ms=AT_MS + number) for number in range(MAX_SESSIONS)]
    [first, second, *others] = logins
    await store.note([Sighting(first.session_id, "", "", "", AT_MS + 100)])
    extra = await log_in(database, at_ms=AT_MS + 200)
    assert await live(store, extra.public_id) == [
        extra.session_id,
        first.session_id,
        *[login.session_id for login in reversed(others)],
    ]
    found = await rows(
        database, "SELECT detail->>'reason', detail->>'session' FROM security_logs WHERE event = 'session_revoked'"
    )
    assert found == [("limit", str(second.session_id))]


async def test_many_at_once_leave_no_more_than_there_may_be(asyncio_loop: None, database_dsn: str) -> None:  # noqa: ARG001 - its loop
    async with Database.open(database_dsn, max_connections=10) as database:
        await log_in(database)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for _ in range(3 * MAX_SESSIONS):
                    nursery.start_soon(log_in, database)
        assert await rows(database, "SELECT count(*) FROM player_sessions WHERE revoked_at IS NULL") == [
            (MAX_SESSIONS,)
        ]


async def test_ones_own_are_named_and_ended_and_nobody_elses(database: Database, store: SessionStore) -> None:
    ada, eve = await log_in(database), await log_in(database, "eve")
    assert not await store.rename(eve.public_id, ada.session_id, "mine")
    assert not await store.revoke(eve.public_id, ada.session_id, AT_MS, reason="revoked")
    assert await store.rename(ada.public_id, ada.session_id, "my '; DROP TABLE players; --")
    assert [row.name for row in await store.sessions(ada.public_id, AT_MS)] == ["my '; DROP TABLE players; --"]
    assert await store.revoke(ada.public_id, ada.session_id, AT_MS, reason="revoked")
    assert not await store.revoke(ada.public_id, ada.session_id, AT_MS, reason="revoked")
    assert not await store.rename(ada.public_id, ada.session_id, "late")
    assert await live(store, ada.public_id) == []
    assert await live(store, eve.public_id) == [eve.session_id]
    found = await rows(
        database, "SELECT event::text, player_id, detail->>'reason' FROM security_logs WHERE event <> 'login'"
    )
    assert found == [("session_revoked", ada.player_id, "revoked")]


async def test_an_ended_login_is_not_refreshed(database: Database, store: SessionStore) -> None:
    accounts = AccountStore(database)
    new = session()
    row = await accounts.login_by_dev_name("ada", new)
    await store.revoke(row.public_id, row.session_id, AT_MS, reason="revoked")
    successor = hashlib.sha256(b"next").digest()
    assert await accounts.rotate_refresh(new.refresh_hash, successor, AT_MS, 100) is None


async def test_all_but_one_end(database: Database, store: SessionStore) -> None:
    logins = [await log_in(database, at_ms=AT_MS + number) for number in range(4)]
    eve = await log_in(database, "eve")
    assert await store.revoke_others(eve.public_id, logins[0].session_id, AT_MS) == 1, "the kept one is not hers"
    assert await store.revoke_others(logins[0].public_id, logins[2].session_id, AT_MS) == 3
    assert await live(store, logins[0].public_id) == [logins[2].session_id]


async def test_where_and_when_a_login_was_used(database: Database, store: SessionStore) -> None:
    ada, eve = await log_in(database), await log_in(database, "eve")
    await store.note([])
    await store.note(
        [
            Sighting(ada.session_id, "phone", "client 2", "2001:db8::1", AT_MS + 50),
            Sighting(eve.session_id, "phone", "client 3", "", AT_MS + 60),
            Sighting(uuid4(), "ghost", "client 4", "", AT_MS + 70),
        ]
    )
    await store.note([Sighting(ada.session_id, "", "", "", AT_MS + 10)])
    [login] = await store.sessions(ada.public_id, AT_MS)
    assert (login.device, login.address, login.last_seen_at_ms) == ("phone", "2001:db8::1", AT_MS + 50)
    [hers] = await store.sessions(eve.public_id, AT_MS)
    assert (hers.device, hers.address, hers.last_seen_at_ms) == ("phone", "203.0.113.7", AT_MS + 60)
    [device] = await store.devices(ada.public_id, AT_MS)
    assert (device.device, device.client, device.address, device.sessions) == ("phone", "client 2", "2001:db8::1", 1)
    assert await rows(database, "SELECT count(*) FROM devices") == [(2,)]


async def test_logins_on_one_device_at_once(database: Database, store: SessionStore) -> None:
    logins = [await log_in(database) for _ in range(2)]
    await store.note(
        [Sighting(login.session_id, "phone", "c", "", AT_MS + number) for number, login in enumerate(logins)]
    )
    [device] = await store.devices(logins[0].public_id, AT_MS)
    assert (device.sessions, device.first_seen_at_ms, device.last_seen_at_ms) == (2, AT_MS + 1, AT_MS + 1)
    assert not await store.forget_device((await log_in(database, "eve")).public_id, device.id, AT_MS)
    assert await store.forget_device(logins[0].public_id, device.id, AT_MS)
    assert await live(store, logins[0].public_id) == []
    assert await store.devices(logins[0].public_id, AT_MS) == []


async def test_devices_are_not_remembered_without_end(
    database: Database, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_store, "MAX_DEVICES", 3)
    assert MAX_DEVICES > 3
    ada = await log_in(database)
    for number in range(6):
        await store.note([Sighting(ada.session_id, f"device {number}", "", "", AT_MS + number)])
    assert [row.device for row in await store.devices(ada.public_id, AT_MS)] == ["device 5", "device 4", "device 3"]


async def test_a_refresh_is_a_use(database: Database, store: SessionStore) -> None:
    accounts, new = AccountStore(database), session()
    row = await accounts.login_by_dev_name("ada", new)
    successor = hashlib.sha256(b"next").digest()
    assert await accounts.rotate_refresh(new.refresh_hash, successor, AT_MS + 50, 100, "2001:db8::2")
    [login] = await store.sessions(row.public_id, AT_MS)
    assert (login.last_seen_at_ms, login.address) == (AT_MS + 50, "2001:db8::2")
