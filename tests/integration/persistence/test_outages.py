"""The database away, cut off at COMMIT, stopped and started again: nothing lost, nothing twice."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import trio

from persistence.errors import DatabaseUnavailable, OutcomeUnknown
from persistence.flush_sink import PostgresSink
from persistence.migrations import migrate
from persistence.postgres import Connection, Database
from persistence.write_behind import WriteBehind
from tests.chosen_postgres import start_postgres
from tests.data_folders import new_data_folder
from tests.fakes.database_probe import assert_reconciled, claimed_players, rows
from tests.fakes.flushable_player import FlushablePlayer
from tests.fakes.postgres_proxy import Fault, proxy_to

RUN = uuid4()


def write_behind_to(database: Database, *, dirty_age_max_s: float = 60.0) -> WriteBehind:
    return WriteBehind(
        PostgresSink(database),
        node_run=RUN,
        lanes=1,
        flush_ms=1,
        observe_flush_lag_s=lambda _lag_s: None,
        dirty_age_max_s=dirty_age_max_s,
    )


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_transaction_cut_at_commit_has_an_unknown_outcome(
    database: Database, database_dsn: str, fault: Fault
) -> None:
    async def insert(connection: Connection) -> str:
        await connection.execute("INSERT INTO write_batches VALUES ($1, 1, 0, 0)", RUN)
        return "inserted"

    async with proxy_to(database_dsn) as proxy, Database.open(proxy.dsn) as cut:
        proxy.faults.append(fault)
        with trio.fail_after(10), pytest.raises(OutcomeUnknown) as caught:
            await cut.transaction(insert)
        assert caught.value.result == "inserted"
        happened = 1 if fault is Fault.CUT_AFTER else 0
        assert await rows(database, "SELECT count(*) FROM write_batches") == [(happened,)]
        if not happened:
            assert await cut.transaction(insert) == "inserted"


@pytest.mark.parametrize("faults", [[Fault.CUT_AFTER], [Fault.CUT_BEFORE], [Fault.CUT_BEFORE, Fault.CUT_AFTER]])
async def test_a_flush_cut_at_commit_is_written_exactly_once(
    database: Database, database_dsn: str, faults: list[Fault]
) -> None:
    players = await claimed_players(database, 3)
    for player in players:
        player.tap()
        player.post(f"taps:{player.player_id}")
    [(stolen,)] = await rows(
        database, "UPDATE players SET owner_epoch = owner_epoch + 1 WHERE id = $1 RETURNING id", players[1].player_id
    )
    async with proxy_to(database_dsn) as proxy, Database.open(proxy.dsn) as cut, trio.open_nursery() as nursery:
        write_behind = write_behind_to(cut)
        proxy.faults += faults
        await nursery.start(write_behind.run)
        for player in players:
            write_behind.mark_dirty(player)
        assert await write_behind.drain(trio.current_time() + 20)
        assert write_behind.statistics().retries >= len(faults)
        assert not write_behind.degraded
        nursery.cancel_scope.cancel()
    told = {player.player_id: player.told for player in players}
    assert told.pop(stolen) == ["fenced"]
    assert list(told.values()) == [["committed"], ["committed"]]
    assert await rows(database, "SELECT sum(taps) FROM players") == [(2,)]
    assert await rows(database, "SELECT batch, minted_mpt FROM write_batches") == [(1, 2_000)]
    await assert_reconciled(database)


@pytest.mark.parametrize("fault", list(Fault))
async def test_a_flush_in_one_statement_that_gets_no_answer_is_written_exactly_once(
    database: Database, database_dsn: str, fault: Fault
) -> None:
    players = await claimed_players(database, 3)
    async with proxy_to(database_dsn) as proxy, Database.open(proxy.dsn) as cut, trio.open_nursery() as nursery:
        write_behind = write_behind_to(cut)
        await nursery.start(write_behind.run)
        for faults in ([], [fault]):
            proxy.commits = (b"l" * 16).hex().encode()  # a lineage among the arguments
            proxy.faults += faults
            for player in players:
                player.tap()
                player.post(f"taps:{player.player_id}:{player.columns.taps}")
                write_behind.mark_dirty(player)
            assert await write_behind.drain(trio.current_time() + 20)
            assert write_behind.statistics().retries == len(faults)
        assert proxy.faults == []
        nursery.cancel_scope.cancel()
    assert [player.told for player in players] == [["committed", "committed"]] * 3
    assert await rows(database, "SELECT taps, balance_mpt FROM players") == [(2, 2_000)] * 3
    assert await rows(database, "SELECT batch, minted_mpt FROM write_batches ORDER BY batch") == [
        (1, 3_000),
        (2, 3_000),
    ]
    await assert_reconciled(database)


async def test_a_backend_killed_between_statements_costs_only_a_retry(database: Database) -> None:
    [player] = await claimed_players(database, 1)
    async with trio.open_nursery() as nursery:
        write_behind = write_behind_to(database)
        await nursery.start(write_behind.run)
        with trio.fail_after(30):
            for taps in range(1, 21):
                player.tap(seq=taps)
                write_behind.mark_dirty(player)
                await rows(
                    database,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE '% flush %'",
                )
            await write_behind.flush_now(player)
        nursery.cancel_scope.cancel()
    assert set(player.told) == {"committed"}
    assert await rows(database, "SELECT taps FROM players") == [(20,)]
    await assert_reconciled(database)


async def test_changes_gather_while_the_database_is_away_and_stop_being_accepted_when_they_are_old(
    database: Database, database_dsn: str
) -> None:
    players = await claimed_players(database, 2)
    async with proxy_to(database_dsn) as proxy, Database.open(proxy.dsn) as cut, trio.open_nursery() as nursery:
        write_behind = write_behind_to(cut, dirty_age_max_s=0.2)
        await nursery.start(write_behind.run)
        proxy.refusing = True
        proxy.cut_all()
        with trio.fail_after(20):
            players[0].tap()
            write_behind.mark_dirty(players[0])
            while write_behind.accepting:
                await trio.lowlevel.checkpoint()
            assert write_behind.degraded
            assert not await write_behind.drain(trio.current_time() + 0.05)
            players[0].tap()
            players[1].tap()
            for player in players:
                write_behind.mark_dirty(player)
            assert write_behind.statistics().dirty_players == 3  # one of them also in the batch that waits
            proxy.refusing = False
            assert await write_behind.drain(trio.current_time() + 15)
        assert write_behind.statistics().database_up
        assert write_behind.statistics().oldest_dirty_age_s == 0
        nursery.cancel_scope.cancel()
    assert players[0].told == ["committed", "committed"]
    assert await rows(database, "SELECT taps FROM players ORDER BY id") == [(2,), (1,)]
    await assert_reconciled(database)


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A data folder for a PostgreSQL that the test may kill."""
    folder = new_data_folder("ppj-outage-")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.database
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
async def test_the_database_stops_and_comes_back(asyncio_loop: None, own_folder: Path, how: signal.Signals) -> None:  # noqa: ARG001 - its loop
    server = start_postgres(own_folder)
    try:
        async with Database.open(server.dsn) as database, trio.open_nursery() as nursery:
            await migrate.up(database)
            players = await claimed_players(database, 50)
            write_behind = write_behind_to(database)
            await nursery.start(write_behind.run)
            tap_all(players, write_behind)
            assert await write_behind.drain(trio.current_time() + 10)
            postgres = psutil.Process(server.pid)
            postgres.send_signal(how)
            tap_all(players, write_behind)  # a fast shutdown may still let this flush through
            server.stop()
            tap_all(players, write_behind)
            with trio.fail_after(20):
                while not write_behind.degraded:
                    await trio.lowlevel.checkpoint()
            server = start_postgres(own_folder)
            assert await write_behind.drain(trio.current_time() + 20)
            assert await rows(database, "SELECT count(*) FROM players WHERE taps = 3") == [(50,)]
            await assert_reconciled(database)
            nursery.cancel_scope.cancel()
    finally:
        server.stop()


def tap_all(players: list[FlushablePlayer], write_behind: WriteBehind) -> None:
    for player in players:
        player.tap()
        write_behind.mark_dirty(player)


async def test_a_database_that_is_not_there_is_said_so(asyncio_loop: None) -> None:  # noqa: ARG001 - its loop
    with pytest.raises(DatabaseUnavailable, match=r"PostgreSQL at 127\.0\.0\.1:1/game does not answer"):
        async with Database.open("postgresql://someone:secret@127.0.0.1:1/game"):
            raise AssertionError("opened")
