"""Dead letters on a real PostgreSQL: kept whole, shown, written after all, or closed."""

import json
from uuid import uuid4

import pytest
import trio

from hotpath.tap_signals import COUNTER_NAMES
from persistence import player_store
from persistence.dead_letters import bury, discard_letter, list_letters, retry_letter, show_letter
from persistence.errors import Rejected, SetupFailed
from persistence.flush_sink import PostgresSink
from persistence.postgres import Database
from persistence.records import (
    Account,
    DailyLimits,
    GrantGiven,
    GrantKind,
    KeptSignals,
    LedgerKind,
    LedgerPosting,
    LoadedPlayer,
    PlayerWrites,
    Suspected,
)
from persistence.write_behind import WriteBehind
from tests.fakes.database_probe import ask, assert_reconciled, claimed_players, rows
from tests.fakes.flushable_player import AT_MS, FlushablePlayer
from tests.server_process import ServerProcess

LINEAGE = b"l" * 16
KEPT = KeptSignals((0,) * len(COUNTER_NAMES), 7_000, {"pace": 7_000}, over_limit=True, kept_ms=AT_MS)
FIX = "ALTER TABLE players DROP CONSTRAINT players_tap_level_check"


async def refuse(database: Database, player: FlushablePlayer) -> None:
    """Have what the player did refused by write-behind, as it happens."""
    write_behind = WriteBehind(
        PostgresSink(database), node_run=uuid4(), lanes=1, flush_ms=1, observe_flush_lag_s=lambda _: None
    )
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(write_behind.run)
            write_behind.mark_dirty(player)
            assert await write_behind.drain(trio.current_time() + 20)
            assert (write_behind.statistics().rejected, write_behind.statistics().buried) == (1, 1)
            nursery.cancel_scope.cancel()
    assert player.told == ["rejected"]


async def a_letter(database: Database) -> FlushablePlayer:
    [player] = await claimed_players(database, 1)
    player.tap(1_500, seq=7)
    player.post("taps:1")
    player.tap(500, seq=8)
    player.change(tap_level=21)
    await refuse(database, player)
    return player


async def test_what_is_refused_is_kept_whole_and_listed(database: Database) -> None:
    player = await a_letter(database)
    [letter] = await list_letters(database, everything=False, limit=10)
    assert (letter.id, letter.state, letter.sqlstate) == (1, "open", "23514")
    assert (letter.constraint, letter.player_id) == ("players_tap_level_check", player.player_id)
    assert "players_tap_level_check" in letter.error
    same, writes = await show_letter(database, letter.id)
    assert same == letter
    [content] = writes.values()
    assert content["columns"]["tap_level"] == 21
    assert content["cursors"] == {LINEAGE.hex(): 8}
    assert [posting["key"] for posting in content["postings"]] == ["taps:1"]
    with pytest.raises(SetupFailed, match="There is no dead letter 2"):
        await show_letter(database, 2)


async def test_a_letter_is_written_as_if_it_had_just_been_accepted(database: Database) -> None:
    player = await a_letter(database)
    with pytest.raises(Rejected):
        await retry_letter(database, 1)
    assert await rows(database, "SELECT taps, owner_epoch FROM players") == [(0, player.owner_epoch)]
    await rows(database, FIX)
    await retry_letter(database, 1)
    assert await rows(database, "SELECT taps, tap_level, owner_node FROM players") == [(2, 21, None)]
    assert await rows(database, "SELECT applied_seq FROM operation_cursors") == [(8,)]
    assert await rows(database, "SELECT state::text FROM write_dead_letters") == [("retried",)]
    await assert_reconciled(database)
    with pytest.raises(SetupFailed, match="no open dead letter 1"):
        await retry_letter(database, 1)
    assert await list_letters(database, everything=False, limit=10) == []
    assert len(await list_letters(database, everything=True, limit=10)) == 1


async def test_everything_that_goes_with_a_player_comes_back(database: Database) -> None:
    sender, receiver = await claimed_players(database, 2)
    sender.tap(10_000, seq=1)
    writes = PlayerWrites(
        sender.player_id,
        sender.owner_epoch,
        tuple(
            {"balance_mpt": 3_000, "lifetime_mpt": 10_000, "energy_ue": 5, "tap_level": 1}.get(
                name, getattr(sender.columns, name) if name not in ("unposted_mpt", "xp", "taps") else 0
            )
            for name in sender.columns.__slots__
        ),
        10_000,
        1_000,
        {LINEAGE: 2},
        (
            LedgerPosting("taps:1", LedgerKind.TAP_INCOME, Account.MINT, 10_000, 10_000, AT_MS),
            LedgerPosting("transfer_out:1", LedgerKind.TRANSFER_SENT, Account.ESCROW, -6_000, 4_000, AT_MS),
            LedgerPosting("transfer_fee:1", LedgerKind.TRANSFER_FEE, Account.BURN, -1_000, 3_000, AT_MS),
        ),
        answers=(Answered(),),
        effects=(
            GrantGiven(receiver.player_id, "transfer:1", GrantKind.TRANSFER_RECEIVED, 6_000),
            DailyLimits(20_000, 6_000, 1, 2),
            Suspected(7_000, {"pace": 7_000}, AT_MS),
            KEPT,
        ),
    )
    await database.transaction(bury, uuid4(), 5, writes, RuntimeError("a bug"))
    [letter] = await list_letters(database, everything=False, limit=1)
    assert (letter.sqlstate, letter.constraint, letter.error) == ("", "", "a bug")
    await retry_letter(database, letter.id)
    assert await rows(database, "SELECT answer FROM operation_results") == [(b"answer",)]
    assert await rows(database, "SELECT sent_mpt, doubles, refills FROM player_daily_limits") == [(6_000, 1, 2)]
    [(public_id,)] = await rows(database, f"SELECT public_id FROM players WHERE id = {receiver.player_id}")
    [loaded] = await player_store.claim_and_load(database, [public_id], node="node-1")
    assert isinstance(loaded, LoadedPlayer)
    assert [grant.key for grant in loaded.grants][-1] == "transfer:1"
    [(public_id,)] = await rows(database, f"SELECT public_id FROM players WHERE id = {sender.player_id}")
    [loaded] = await player_store.claim_and_load(database, [public_id], node="node-1")
    assert isinstance(loaded, LoadedPlayer)
    assert (loaded.signals, loaded.shadow_limited) == (KEPT, True)
    await assert_reconciled(database)


async def test_a_letter_of_a_server_that_knew_of_no_suspicion_is_written(database: Database) -> None:
    player = await a_letter(database)
    await rows(
        database,
        "UPDATE write_dead_letters SET writes = jsonb_build_object($1::text, (writes -> $1) - 'signals' - 'suspected')",
        str(player.player_id),
    )
    await rows(database, FIX)
    await retry_letter(database, 1)
    assert await rows(database, "SELECT taps FROM players WHERE id = $1", player.player_id) == [(2,)]


class Answered:
    """An answer, as write-behind sees it."""

    lineage, seq, encoded = LINEAGE, 2, b"answer"


async def test_who_has_gone_on_since_is_not_taken_back(database: Database) -> None:
    player = await a_letter(database)
    await rows(database, FIX)
    await rows(database, "UPDATE players SET taps = 1, updated_at = clock_timestamp()")
    with pytest.raises(SetupFailed, match="has gone on since"):
        await retry_letter(database, 1)
    assert await rows(database, "SELECT taps, owner_epoch FROM players") == [(1, player.owner_epoch)]
    await discard_letter(database, 1)
    with pytest.raises(SetupFailed, match="no open dead letter 1"):
        await discard_letter(database, 1)
    assert await rows(database, "SELECT state::text, closed_at IS NOT NULL FROM write_dead_letters") == [
        ("discarded", True)
    ]


async def test_a_batch_is_buried_once(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    player.tap()
    writes, run = player.take_writes(), uuid4()
    for _ in range(2):
        await database.transaction(bury, run, 5, writes, Rejected("no", sqlstate="23514", constraint="some_check"))
    assert await rows(database, "SELECT count(*) FROM write_dead_letters") == [(1,)]


def test_the_command_lists_shows_retries_and_discards(database_dsn: str) -> None:
    idle = ServerProcess(database_url=database_dsn)
    try:
        assert idle.run("dead-letters", "list").stdout == "there are none\n"
        missing = idle.run("dead-letters", "retry", "1")
        assert (missing.returncode, missing.stdout) == (1, "")
        assert missing.stderr.startswith("gameserver: There is no open dead letter 1")
        ask(
            database_dsn,
            "INSERT INTO write_dead_letters (node_run, batch, player_ids, writes, sqlstate, constraint_name, error)"
            " VALUES (gen_random_uuid(), 1, '{1}', '{\"1\": {}}', '23514', 'some_check', 'no')",
        )
        assert "open  -  some_check" in idle.run("dead-letters", "list").stdout
        shown = json.loads(idle.run("dead-letters", "show", "1").stdout)
        assert (shown["constraint"], shown["writes"]) == ("some_check", {"1": {}})
        assert idle.run("dead-letters", "discard", "1").stdout == "discarded: dead letter 1\n"
        assert "discarded" in idle.run("dead-letters", "list", "--all").stdout
    finally:
        idle.__exit__()
