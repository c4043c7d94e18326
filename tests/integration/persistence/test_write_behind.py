"""Write-behind against a real PostgreSQL."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
import trio

from persistence import flush_sink, player_store
from persistence.errors import Duplicate, Rejected
from persistence.flush_sink import PostgresSink
from persistence.flush_transaction import write_at_once, write_by_steps
from persistence.postgres import Connection, Database
from persistence.records import Account, GrantKind, LoadedPlayer
from persistence.write_behind import WriteBehind
from tests.fakes.database_probe import add_node, assert_reconciled, claimed_players, rows
from tests.fakes.flushable_player import AT_MS, FlushablePlayer

RUN = uuid4()


@asynccontextmanager
async def writing(
    database: Database, *, lanes: int = 2, flush_ms: int = 5, node_run: UUID = RUN
) -> AsyncIterator[WriteBehind]:
    lags_s: list[float] = []
    write_behind = WriteBehind(
        PostgresSink(database), node_run=node_run, lanes=lanes, flush_ms=flush_ms, observe_flush_lag_s=lags_s.append
    )
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(write_behind.run)
            yield write_behind
            nursery.cancel_scope.cancel()


async def flushed(write_behind: WriteBehind, players: Sequence[FlushablePlayer]) -> None:
    for player in players:
        write_behind.mark_dirty(player)
    assert await write_behind.drain(trio.current_time() + 20)


async def test_what_was_flushed_is_what_the_next_claim_loads(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    player.tap(1_500, seq=7)
    player.change(
        tap_level=3, energy_cap_level=2, energy_regen_level=4, offline_level=5, energy_ue=123, energy_at_ms=AT_MS + 1,
        bucket_mt=0, bucket_at_ms=AT_MS + 2, combo=99, last_tap_at_ms=AT_MS + 3, tap_carry=99_999_999, raw_day=20_454,
        raw_today_mpt=1_500, streak_days=8, double_until_ms=AT_MS + 60_123, last_seen_ms=AT_MS + 999,
    )  # fmt: skip
    player.post("taps:1")
    async with writing(database) as write_behind:
        await flushed(write_behind, [player])
    assert player.told == ["committed"]
    [(public_id,)] = await rows(database, "SELECT public_id FROM players")
    [loaded] = await player_store.claim_and_load(database, [public_id], node="node-1")
    assert isinstance(loaded, LoadedPlayer)
    assert loaded.columns == player.columns
    assert loaded.cursors == {b"l" * 16: 7}
    assert loaded.owner_epoch == player.owner_epoch + 1
    await assert_reconciled(database)


async def test_a_thousand_players_are_two_batches_of_one_lane(database: Database) -> None:
    players = await claimed_players(database, 1_000)
    for player in players:
        player.tap()
    async with writing(database, lanes=1) as write_behind:
        await flushed(write_behind, players)
        statistics = write_behind.statistics()
    assert (statistics.batches, statistics.rows, statistics.dirty_players) == (2, 1_000, 0)
    assert write_behind.watermark().settled_batch == 2
    assert await rows(database, "SELECT count(*), sum(taps) FROM players") == [(1_000, 1_000)]
    await assert_reconciled(database)


async def test_many_changes_before_a_flush_are_one_row(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    async with writing(database, flush_ms=60_000) as write_behind:
        for _ in range(100):
            player.tap()
            write_behind.mark_dirty(player)
        await write_behind.flush_now(player)
        assert write_behind.statistics().rows == 1
    assert await rows(database, "SELECT taps, balance_mpt FROM players") == [(100, 100_000)]


async def test_flush_now_of_a_clean_player_returns_at_once(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    async with writing(database, flush_ms=60_000) as write_behind:
        with trio.fail_after(1):
            await write_behind.flush_now(player)
        assert player.told == []
        assert write_behind.statistics().batches == 0


async def test_ledger_rows_are_double_entry(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    async with writing(database) as write_behind:
        for number in (1, 2):
            player.tap(2_500)
            player.post(f"taps:{number}")
            await flushed(write_behind, [player])
    found = await rows(
        database,
        "SELECT account::text, player_id, amount_mpt, balance_after_mpt FROM token_transactions"
        " ORDER BY transaction_id, amount_mpt DESC",
    )
    assert found == [
        ("player", player.player_id, 2_500, 2_500),
        ("mint", None, -2_500, None),
        ("player", player.player_id, 2_500, 5_000),
        ("mint", None, -2_500, None),
    ]
    assert await rows(database, "SELECT sum(minted_mpt) FROM write_batches") == [(5_000,)]
    await assert_reconciled(database)


async def test_a_player_claimed_by_someone_else_is_fenced_whole_and_the_others_go_through(database: Database) -> None:
    stale, fresh = await claimed_players(database, 2)
    for player in (stale, fresh):
        player.tap()
        player.post(f"taps:{player.player_id}")
    [(public_id,)] = await rows(database, "SELECT public_id FROM players WHERE id = $1", stale.player_id)
    await add_node(database, "node-1", lease_s=-1)
    await add_node(database, "node-2")
    await player_store.claim_and_load(database, [public_id], node="node-2")
    async with writing(database, lanes=1) as write_behind:
        await flushed(write_behind, [stale, fresh])
        assert write_behind.statistics().fenced == 1
    assert (stale.told, fresh.told) == (["fenced"], ["committed"])
    assert await rows(database, "SELECT id, taps, owner_node FROM players ORDER BY id") == [
        (stale.player_id, 0, "node-2"),
        (fresh.player_id, 1, "node-1"),
    ]
    assert await rows(database, "SELECT DISTINCT player_id FROM operation_cursors") == [(fresh.player_id,)]
    assert await rows(database, "SELECT key FROM ledger_keys") == [(f"taps:{fresh.player_id}",)]
    assert await rows(database, "SELECT minted_mpt FROM write_batches") == [(1_000,)]
    await assert_reconciled(database)


async def test_an_old_and_a_new_actor_of_one_player_in_one_batch(database: Database) -> None:
    [old] = await claimed_players(database, 1)
    [(public_id,)] = await rows(database, "SELECT public_id FROM players")
    [loaded] = await player_store.claim_and_load(database, [public_id], node="node-1")
    assert isinstance(loaded, LoadedPlayer)
    new = FlushablePlayer.of(loaded)
    old.tap(9_000)
    new.tap(1_000)
    async with writing(database) as write_behind:
        await flushed(write_behind, [old, new])
    assert (old.told, new.told) == (["fenced"], ["committed"])
    assert await rows(database, "SELECT balance_mpt FROM players") == [(1_000,)]
    await assert_reconciled(database)


@pytest.mark.parametrize("position", [0, 3, 6])
async def test_what_postgresql_refuses_is_bisected_until_the_bad_player_is_alone(
    database: Database, position: int
) -> None:
    players = await claimed_players(database, 7)
    for player in players:
        player.tap()
    players[position].change(tap_level=21)
    async with writing(database, lanes=1) as write_behind:
        await flushed(write_behind, players)
        assert write_behind.statistics().rejected == 1
    bad = players.pop(position)
    assert bad.told == ["rejected"]
    [error] = bad.errors
    assert isinstance(error, Rejected)
    assert error.constraint == "players_tap_level_check"
    assert {tuple(player.told) for player in players} == {("committed",)}
    assert await rows(database, "SELECT count(*) FROM players WHERE taps = 1") == [(6,)]
    await assert_reconciled(database)


async def test_a_balance_that_moves_without_the_ledger_is_refused(database: Database) -> None:
    honest, counterfeiter = await claimed_players(database, 2)
    honest.tap()
    counterfeiter.change(balance_mpt=1_000_000)
    async with writing(database, lanes=1) as write_behind:
        await flushed(write_behind, [honest, counterfeiter])
    assert (honest.told, counterfeiter.told) == (["committed"], ["rejected"])
    await assert_reconciled(database)


async def test_a_ledger_key_counts_once(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    async with writing(database) as write_behind:
        for _ in range(2):
            player.tap()
            player.post("level:1:2")
            await flushed(write_behind, [player])
    assert player.told == ["committed", "rejected"]
    assert isinstance(player.errors[0], Duplicate)
    await assert_reconciled(database)


async def test_values_that_do_not_even_fit_the_protocol_are_refused_alone(database: Database) -> None:
    fine, huge, broken, cut = await claimed_players(database, 4)
    fine.tap()
    huge.tap(seq=2**70)
    broken.tap(seq="many")  # type: ignore[arg-type]  # what a bug would do
    cut.tap(lineage=b"short")
    async with writing(database, lanes=1) as write_behind:
        await flushed(write_behind, [fine, huge, broken, cut])
    assert [player.told for player in (fine, huge, broken, cut)] == [["committed"], *[["rejected"]] * 3]
    assert [type(player.errors[0]) for player in (huge, broken, cut)] == [OverflowError, TypeError, Rejected]


async def test_grants_are_used_up_once(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    [grants] = (await player_store.unapplied_grants(database, node="node-1")).values()
    [grant] = grants
    assert grant.kind is GrantKind.FULL_ENERGY
    async with writing(database) as write_behind:
        player.apply_grant(grant.id)
        await flushed(write_behind, [player])
        assert await player_store.unapplied_grants(database, node="node-1") == {}
        player.apply_grant(grant.id)
        await flushed(write_behind, [player])
    assert player.told == ["committed", "rejected"]


async def test_the_last_flush_of_a_leaving_player_gives_it_up(database: Database) -> None:
    leaving, staying = await claimed_players(database, 2)
    leaving.tap()
    leaving.leave()
    staying.tap()
    async with writing(database) as write_behind:
        await flushed(write_behind, [leaving, staying])
    assert await rows(database, "SELECT owner_node, taps FROM players ORDER BY id") == [(None, 1), ("node-1", 1)]


async def test_cursors_never_go_back(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    async with writing(database) as write_behind:
        for seq in (9, 4):
            player.tap(seq=seq)
            await flushed(write_behind, [player])
    assert await rows(database, "SELECT applied_seq FROM operation_cursors") == [(9,)]


async def test_burns_and_escrow_balance_too(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    player.tap(5_000)
    player.post("e:1", counter=Account.ESCROW)
    async with writing(database) as write_behind:
        await flushed(write_behind, [player])
    assert player.told == ["committed"]
    # 5 000 came out of escrow, which nobody had filled: the totals say so
    found = await rows(database, "SELECT what, expected_mpt, found_mpt FROM ledger_reconciliation")
    assert found == [("economy", 5_000, 0)]


async def test_flushes_of_one_player_never_overtake(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    async with writing(database, lanes=3, flush_ms=0) as write_behind:
        player.on_told = lambda: changes.set()  # noqa: PLW0108 - whichever is the present one
        for taps in range(1, 60):
            changes = trio.Event()
            player.tap(seq=taps)
            write_behind.mark_dirty(player)
            if taps % 3 == 0:
                await changes.wait()
        await write_behind.flush_now(player)
    taps_in_order = [columns.taps for columns in player.committed_columns]
    assert taps_in_order == sorted(taps_in_order)
    assert taps_in_order[-1] == 59
    assert await rows(database, "SELECT taps FROM players") == [(59,)]


async def test_an_actor_that_raises_when_told_harms_nobody(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = await claimed_players(database, 2)
    for player in (broken, fine):
        player.tap()

    def explode() -> None:
        raise RuntimeError("boom")

    broken.on_told = explode
    async with writing(database, lanes=1) as write_behind:
        await flushed(write_behind, [broken, fine])
        fine.tap()
        await flushed(write_behind, [fine])
    assert fine.told == ["committed", "committed"]
    assert [record.message for record in caplog.records] == [f"player {broken.player_id} broke when told of its flush"]


@pytest.mark.parametrize("first", ["at once", "by steps"])
async def test_a_batch_that_was_committed_is_not_written_again(database: Database, first: str) -> None:
    """The same number again, as after a COMMIT of unknown outcome: the row is there, nothing else happens."""
    [player] = await claimed_players(database, 1)
    player.tap()
    player.post("taps:once")
    writes = player.take_writes()
    assert writes is not None
    if first == "at once":
        assert await database.run(write_at_once, RUN, 1, [writes]) == frozenset({0})
    else:
        assert await database.transaction(write_by_steps, RUN, 1, [writes]) == frozenset({0})
    assert await database.transaction(write_by_steps, RUN, 1, [writes]) is None
    with pytest.raises(Rejected):
        await database.run(write_at_once, RUN, 1, [writes])
    await assert_reconciled(database)


async def test_at_once_is_all_or_nothing(database: Database) -> None:
    stale, fresh = await claimed_players(database, 2)
    await rows(database, "UPDATE players SET owner_epoch = owner_epoch + 1 WHERE id = $1", stale.player_id)
    for player in (stale, fresh):
        player.tap()
        player.post(f"taps:{player.player_id}")
    batch = [writes for player in (stale, fresh) if (writes := player.take_writes()) is not None]
    with pytest.raises(Rejected, match="division by zero"):
        await database.run(write_at_once, RUN, 1, batch)
    for table in ("write_batches", "operation_cursors", "ledger_keys", "token_transactions"):
        assert await rows(database, f"SELECT count(*) FROM {table}") == [(0,)]
    assert await rows(database, "SELECT sum(taps) FROM players") == [(0,)]
    assert await database.run(write_at_once, RUN, 1, batch[1:]) == frozenset({0})
    await assert_reconciled(database)


async def test_a_claim_that_is_under_way_fences_a_flush_at_once_too(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    player.tap()
    [writes] = [player.take_writes()]
    refused: list[Rejected] = []
    claimed, flushing = trio.Event(), trio.Event()

    async def claim(connection: Connection) -> None:
        await connection.execute("UPDATE players SET owner_epoch = owner_epoch + 1")
        trio_token.run_sync_soon(claimed.set)
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            pass  # until the flush waits for this row

    async def flush() -> None:
        await claimed.wait()
        flushing.set()
        with pytest.raises(Rejected, match="division by zero") as caught:
            await database.run(write_at_once, RUN, 1, [writes])
        refused.append(caught.value)

    trio_token = trio.lowlevel.current_trio_token()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flush)
            await database.transaction(claim)
    assert len(refused) == 1
    assert await rows(database, "SELECT taps FROM players") == [(0,)]


async def test_most_batches_are_written_at_once_and_the_others_by_steps(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[str] = []
    for way in (write_at_once, write_by_steps):

        async def noted(*args: Any, way: Callable[..., Any] = way) -> object:
            ways.append(way.__name__)
            return await way(*args)

        monkeypatch.setattr(flush_sink, way.__name__, noted)
    plain, posting, leaving = await claimed_players(database, 3)
    for player in (plain, posting, leaving):
        player.tap()
    posting.post("taps:1")
    leaving.leave()
    async with writing(database, lanes=1) as write_behind:
        for player in (plain, posting, leaving):
            await flushed(write_behind, [player])
        assert ways == ["write_at_once", "write_at_once", "write_by_steps"]
        [grant, *_] = next(iter((await player_store.unapplied_grants(database, node="node-1")).values()))
        [(owner_id,)] = await rows(database, "SELECT player_id FROM player_grants WHERE id = $1", grant.id)
        owner = next(player for player in (plain, posting) if player.player_id == owner_id)
        owner.apply_grant(grant.id)
        await flushed(write_behind, [owner])
    assert ways[3:] == ["write_by_steps"]
    assert {tuple(player.told) for player in (plain, posting, leaving)} == {("committed",), ("committed", "committed")}
    await assert_reconciled(database)
