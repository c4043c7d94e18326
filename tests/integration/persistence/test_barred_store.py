"""Who is barred, and that every way to become it is notified, against a real PostgreSQL."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
import trio

from persistence.account_changes import ban_account, erase_account, lift_ban, migrate_account
from persistence.account_store import AccountRow, AccountStore, LoginProof
from persistence.barred_store import CHANNEL, BarredRows, BarredStore
from persistence.errors import SetupFailed
from persistence.postgres import Database
from persistence.registration import Newcomer
from persistence.session_store import SessionStore
from tests.fakes.database_probe import rows
from tests.fakes.flushable_player import AT_MS
from tests.integration.persistence.test_session_store import log_in, session

DAY_MS = 86_400_000


class Ear:
    """What was notified since the last time it was asked."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[str](100)

    def notice(self, payload: str) -> None:
        self._send.send_nowait(payload)

    async def next(self) -> str:
        with trio.fail_after(10):
            return await self._receive.receive()


@pytest.fixture
async def ear(database: Database) -> AsyncIterator[Ear]:
    ear = Ear()
    async with trio.open_nursery() as nursery:
        await nursery.start(database.listen, CHANNEL, ear.notice)
        assert await ear.next() == ""
        yield ear
        nursery.cancel_scope.cancel()


@pytest.fixture
async def ada(database: Database) -> AccountRow:
    return await log_in(database)


async def banned(database: Database, player: UUID, now_ms: int = AT_MS) -> dict[UUID, int]:
    store = BarredStore(database)
    everybody = await store.everybody(ended_since_ms=0, now_ms=now_ms)
    assert await store.banned_until_ms(player) == everybody.bans.get(player, 0)
    return everybody.bans


async def test_a_login_that_is_ended_is_told_however_it_ends(database: Database, ear: Ear, ada: AccountRow) -> None:
    accounts, sessions = AccountStore(database), SessionStore(database)
    await sessions.revoke(ada.public_id, ada.session_id, AT_MS, reason="revoked")
    assert await ear.next() == f"session {ada.session_id}"
    left = await log_in(database)
    await accounts.end_session(left.session_id)
    assert await ear.next() == f"session {left.session_id}"
    stolen = session()
    reused = await accounts.login_by_dev_name("ada", stolen)
    assert await accounts.rotate_refresh(stolen.refresh_hash, b"n" * 32, AT_MS, 100)
    assert await accounts.rotate_refresh(stolen.refresh_hash, b"m" * 32, AT_MS, 100) is None
    assert await ear.next() == f"session {reused.session_id}"
    moved = await log_in(database)
    await migrate_account(database, ada.public_id, 99, now_ms=AT_MS, actor="test")
    assert await ear.next() == f"session {moved.session_id}"
    last = await accounts.login_by_telegram(Newcomer("Ada", telegram_id=99), session(), LoginProof("init_data"))
    await erase_account(database, last.public_id, now_ms=AT_MS, actor="test")
    assert await ear.next() == f"session {last.session_id}"
    everybody = await BarredStore(database).everybody(ended_since_ms=AT_MS - 1, now_ms=AT_MS)
    assert everybody == BarredRows([], {}), "an erased player's logins are gone, and so is the player they name"


async def test_who_ended_lately_is_read(database: Database, ada: AccountRow) -> None:
    other = await log_in(database, at_ms=AT_MS)
    store, sessions = BarredStore(database), SessionStore(database)
    await sessions.revoke(ada.public_id, ada.session_id, AT_MS, reason="revoked")
    await sessions.revoke(ada.public_id, other.session_id, AT_MS + 10, reason="revoked")
    assert (await store.everybody(ended_since_ms=AT_MS, now_ms=AT_MS)).sessions == [other.session_id]
    assert len((await store.everybody(ended_since_ms=AT_MS - 1, now_ms=AT_MS)).sessions) == 2


async def test_a_ban_is_told_and_so_is_its_end(database: Database, ear: Ear, ada: AccountRow) -> None:
    await ban_account(database, ada.public_id, days=2, reason="spam", now_ms=AT_MS, actor="root")
    assert await ear.next() == f"player {ada.public_id}"
    assert await banned(database, ada.public_id) == {ada.public_id: AT_MS + 2 * DAY_MS}
    await ban_account(database, ada.public_id, days=None, reason="more spam", now_ms=AT_MS, actor="root")
    assert await ear.next() == f"player {ada.public_id}"
    assert (await banned(database, ada.public_id))[ada.public_id] > AT_MS + 1_000_000 * DAY_MS
    await lift_ban(database, ada.public_id, now_ms=AT_MS, actor="root")
    assert await ear.next() == f"player {ada.public_id}"
    assert await banned(database, ada.public_id) == {}
    assert await rows(
        database, "SELECT event::text, detail->>'reason' FROM security_logs WHERE event <> 'login' ORDER BY id"
    ) == [
        ("banned", "spam"),
        ("banned", "more spam"),
        ("unbanned", None),
    ]
    assert await rows(database, "SELECT actor, action FROM admin_audit_log ORDER BY id") == [
        ("root", "account.ban"),
        ("root", "account.ban"),
        ("root", "account.unban"),
    ]


async def test_a_player_who_is_none_is_not_banned(database: Database) -> None:
    with pytest.raises(SetupFailed, match="There is no player"):
        await ban_account(database, uuid4(), days=1, reason="x", now_ms=AT_MS, actor="root")
    with pytest.raises(SetupFailed, match="There is no player"):
        await lift_ban(database, uuid4(), now_ms=AT_MS, actor="root")
