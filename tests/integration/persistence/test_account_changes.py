"""Accounts that move, are recovered, are erased: what it needs, what it leaves, and that nobody's tokens move."""

from uuid import UUID, uuid4

import pytest

from persistence import player_store
from persistence.account_changes import erase_account, issue_recovery_code, migrate_account, redeem_recovery_code
from persistence.account_store import AccountStore, LoginProof
from persistence.errors import SetupFailed
from persistence.flush_transaction import write_by_steps
from persistence.postgres import Database
from persistence.registration import Newcomer
from persistence.session_store import NewSession
from tests.fakes.database_probe import assert_reconciled, claimed_players, rows
from tests.fakes.flushable_player import AT_MS, FlushablePlayer

OLD, NEW = 1_001, 2_002
DAY_MS = 86_400_000


async def log_in(database: Database, telegram_id: int) -> UUID:
    session = NewSession(uuid4(), uuid4().bytes * 2, AT_MS + DAY_MS, "test", AT_MS)
    somebody = Newcomer("Someone", telegram_id=telegram_id)
    row = await AccountStore(database).login_by_telegram(somebody, session, LoginProof("init_data"))
    return row.public_id


@pytest.fixture
async def played(database: Database) -> FlushablePlayer:
    """A player of Telegram account `OLD`, in a node's memory, with 1 000 mPT written and more to write."""
    [player] = await claimed_players(database, 1)
    await rows(database, "UPDATE players SET telegram_id = $2, dev_name = NULL WHERE id = $1", player.player_id, OLD)
    player.tap(1_000)
    player.post("taps:1")
    await flush(database, player, 1)
    player.tap(1)
    return player


async def flush(database: Database, player: FlushablePlayer, batch: int) -> bool:
    """Whether the player was still ours."""
    writes = player.take_writes()
    assert writes is not None
    return bool(await database.transaction(write_by_steps, uuid4(), batch, [writes]))


async def public_id(database: Database, player: FlushablePlayer) -> UUID:
    [(found,)] = await rows(database, "SELECT public_id FROM players WHERE id = $1", player.player_id)
    assert isinstance(found, UUID)
    return found


async def test_a_moved_account_is_the_same_player_under_another_telegram_account(
    database: Database, played: FlushablePlayer
) -> None:
    player = await public_id(database, played)
    assert await log_in(database, OLD) == player
    await migrate_account(database, player, NEW, now_ms=AT_MS, actor="test")
    assert not await flush(database, played, 2), "who had the player in memory writes nothing any more"
    assert await log_in(database, NEW) == player
    assert await log_in(database, OLD) != player
    assert await rows(database, "SELECT count(*) FROM player_sessions WHERE revoked_at IS NOT NULL") == [(1,)]
    assert await rows(database, "SELECT actor, action, player_id FROM admin_audit_log") == [
        ("test", "account.migrate", played.player_id)
    ]
    assert await rows(database, "SELECT event FROM security_logs WHERE event <> 'login'") == [("account_migrated",)]
    await assert_reconciled(database)


async def test_a_blank_player_of_the_new_telegram_account_makes_room(
    database: Database, played: FlushablePlayer
) -> None:
    blank = await log_in(database, NEW)
    player = await public_id(database, played)
    await migrate_account(database, player, NEW, now_ms=AT_MS, actor="test")
    assert await log_in(database, NEW) == player
    assert await rows(database, "SELECT count(*) FROM players WHERE public_id = $1", blank) == [(0,)]


async def test_one_who_has_played_does_not(database: Database, played: FlushablePlayer) -> None:
    await log_in(database, NEW)
    await rows(database, "UPDATE players SET xp = 1 WHERE telegram_id = $1", NEW)
    before = await rows(database, "SELECT * FROM players ORDER BY id")
    with pytest.raises(SetupFailed, match="Telegram account 2002 has a player of its own who has played"):
        await migrate_account(database, await public_id(database, played), NEW, now_ms=AT_MS, actor="test")
    assert await rows(database, "SELECT * FROM players ORDER BY id") == before


async def test_a_recovery_code_moves_the_account_once(database: Database, played: FlushablePlayer) -> None:
    player = await public_id(database, played)
    code = await issue_recovery_code(database, player, days=7, now_ms=AT_MS, actor="test")
    assert len(code) == 20
    stored = await rows(database, "SELECT code_hash FROM account_recovery")
    assert code.encode() not in stored[0][0]
    with pytest.raises(SetupFailed, match="unknown, used or expired"):
        await redeem_recovery_code(database, "another", NEW, now_ms=AT_MS, actor="test")
    assert await redeem_recovery_code(database, code, NEW, now_ms=AT_MS + 1, actor="test") == player
    assert await log_in(database, NEW) == player
    with pytest.raises(SetupFailed, match="unknown, used or expired"):
        await redeem_recovery_code(database, code, NEW + 1, now_ms=AT_MS + 2, actor="test")
    events = await rows(database, "SELECT event, count(*) FROM security_logs GROUP BY event ORDER BY event")
    assert dict(events) == {
        "recovery_code_issued": 1,
        "recovery_code_used": 1,
        "recovery_code_refused": 2,
        "account_migrated": 1,
        "login": 1,
    }


async def test_a_code_that_could_not_be_used_stays_good_and_an_old_one_is_not(
    database: Database, played: FlushablePlayer
) -> None:
    player = await public_id(database, played)
    code = await issue_recovery_code(database, player, days=1, now_ms=AT_MS, actor="test")
    await log_in(database, NEW)
    await rows(database, "UPDATE players SET xp = 1 WHERE telegram_id = $1", NEW)
    with pytest.raises(SetupFailed, match="has a player of its own"):
        await redeem_recovery_code(database, code, NEW, now_ms=AT_MS, actor="test")
    with pytest.raises(SetupFailed, match="unknown, used or expired"):
        await redeem_recovery_code(database, code, NEW + 1, now_ms=AT_MS + DAY_MS + 1, actor="test")
    assert await redeem_recovery_code(database, code, NEW + 1, now_ms=AT_MS + DAY_MS, actor="test") == player


async def test_an_erased_player_can_neither_be_loaded_nor_changed(database: Database, played: FlushablePlayer) -> None:
    player = await public_id(database, played)
    await erase_account(database, player, now_ms=AT_MS, actor="test")
    assert not await flush(database, played, 2)
    anew = await public_id(database, played)
    assert anew != player
    assert await player_store.claim_and_load(database, [player, anew], node="node-1") == []
    for name in (player, anew):
        with pytest.raises(SetupFailed, match="There is no player"):
            await erase_account(database, name, now_ms=AT_MS, actor="test")
        with pytest.raises(SetupFailed, match="There is no player"):
            await migrate_account(database, name, NEW, now_ms=AT_MS, actor="test")
        with pytest.raises(SetupFailed, match="There is no player"):
            await issue_recovery_code(database, name, days=7, now_ms=AT_MS, actor="test")
    assert await rows(database, "SELECT balance_mpt FROM players WHERE id = $1", played.player_id) == [(1_000,)]
    await assert_reconciled(database)
