"""Names and leases of nodes, against a real PostgreSQL."""

import math

import pytest
import trio

from persistence import node_lease
from persistence.errors import DatabaseUnavailable, NodeNameTaken
from persistence.node_lease import LEASE_S, NodeLease
from persistence.postgres import Database
from persistence.records import FlushWatermark
from tests.fakes.database_probe import rows

_LIVE = "SELECT name, url, run, lease_until > now() FROM nodes ORDER BY name"


def live(lease: NodeLease) -> bool:
    return lease.live


def serving(lease: NodeLease) -> bool:
    return lease.serving


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals and patience fit for a test."""
    for name, seconds in {"RENEW_S": 0.02, "RETRY_S": 0.02, "NAME_S": 0.2}.items():
        monkeypatch.setattr(node_lease, name, seconds)


async def test_a_node_appears_lives_and_leaves(database: Database) -> None:
    lease = NodeLease(database, name="node-1", url="ws://here")
    assert not live(lease)
    async with trio.open_nursery() as nursery:
        await nursery.start(lease.run)
        assert live(lease)
        assert await rows(database, _LIVE) == [("node-1", "ws://here", lease.node_run, True)]
        [(good_for_s,)] = await rows(database, "SELECT extract(epoch FROM lease_until - now())::float8 FROM nodes")
        assert 0 < good_for_s <= LEASE_S
        nursery.cancel_scope.cancel()
    assert not live(lease)
    assert not lease.lost.is_set()
    assert await rows(database, _LIVE) == [("node-1", "ws://here", lease.node_run, False)]


async def test_renewals_publish_the_watermark(database: Database, quick: None) -> None:  # noqa: ARG001 - patches
    lease = NodeLease(database, name="n", url="", watermark=lambda: FlushWatermark(settled_batch=7, lag_s=60))
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(lease.run)
            while not await rows(database, "SELECT FROM nodes WHERE settled_batch = 7 AND flushed_until < now()"):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    [(lag_s,)] = await rows(database, "SELECT extract(epoch FROM now() - flushed_until)::float8 FROM nodes")
    assert lag_s >= 60


async def test_a_name_is_held_by_one_and_free_again_when_it_leaves(database: Database, quick: None) -> None:  # noqa: ARG001 - patches
    first, second = (NodeLease(database, name="node-1", url="") for _ in range(2))
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(first.run)
            with pytest.raises(NodeNameTaken, match="Another server runs as node node-1; stop it, or"):
                await second.run()
            assert live(first)
            nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            await nursery.start(second.run)
            assert await rows(database, "SELECT run FROM nodes") == [(second.node_run,)]
            nursery.cancel_scope.cancel()


async def test_a_successor_waits_for_the_connection_of_a_killed_process(
    database: Database,
    quick: None,  # noqa: ARG001 - patches
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_lease, "NAME_S", 10)
    async with database.dedicated("a killed process") as dying, trio.open_nursery() as nursery:

        async def hold(connection: object) -> None:
            await connection.execute(node_lease._TRY_LOCK, "node-1")  # type: ignore[attr-defined]  # a Connection

        await dying.run(hold)
        successor = NodeLease(database, name="node-1", url="")
        nursery.start_soon(successor.run)
        with trio.fail_after(10):
            while not await rows(database, "SELECT FROM pg_stat_activity WHERE application_name ~ ' lease$'"):
                await trio.lowlevel.checkpoint()
            assert not live(successor)
            await dying.aclose()
            while not live(successor):
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_a_lease_that_ran_out_counts_again_once_it_is_known_who_was_claimed_meanwhile(
    database: Database,
    quick: None,  # noqa: ARG001 - patches
) -> None:
    looks = [(trio.Event(), trio.Event(), DatabaseUnavailable("away")), (trio.Event(), trio.Event(), None)]
    (looking, told, _), (looking_again, told_again, _) = looks

    async def look() -> None:
        asked, answered, error = looks.pop(0)
        asked.set()
        await answered.wait()
        if error is not None:
            raise error

    lease = NodeLease(database, name="node-1", url="", on_lapse=look)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(lease.run)
            assert serving(lease)
            lease._live_until = -math.inf  # the process stood still for that long
            await looking.wait()
            assert await rows(database, "SELECT lease_until > now() FROM nodes") == [(True,)]
            assert not live(lease)
            assert not serving(lease)
            told.set()
            await looking_again.wait()  # what the database could not tell is asked again
            assert not live(lease)
            assert serving(lease), "nobody can claim while it does not answer, as far as this node can tell"
            told_again.set()
            while not live(lease):
                await trio.lowlevel.checkpoint()
            assert looks == []
            nursery.cancel_scope.cancel()


async def test_a_lost_connection_is_made_up_for(database: Database, quick: None) -> None:  # noqa: ARG001 - patches
    lease = NodeLease(database, name="node-1", url="")
    holders = "SELECT a.pid FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE l.locktype = 'advisory'"
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(lease.run)
            [(pid,)] = await rows(database, holders)
            await rows(database, "SELECT pg_terminate_backend($1)", pid)
            while await rows(database, holders) in ([], [(pid,)]):
                await trio.lowlevel.checkpoint()
            await rows(database, "UPDATE nodes SET lease_until = now() - interval '1 h'")
            while not await rows(database, "SELECT FROM nodes WHERE lease_until > now()"):
                await trio.lowlevel.checkpoint()
            assert live(lease)
            assert not lease.lost.is_set()
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("keeps_lock", [True, False])
async def test_a_node_whose_name_another_run_has_taken_is_lost(
    database: Database,
    quick: None,  # noqa: ARG001 - patches
    keeps_lock: bool,
) -> None:
    lease = NodeLease(database, name="node-1", url="")
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery, database.dedicated("usurper") as usurper:
            await nursery.start(lease.run)
            await rows(database, "UPDATE nodes SET run = gen_random_uuid()")
            if not keeps_lock:

                async def usurp(connection: object) -> None:
                    await connection.execute(  # type: ignore[attr-defined]  # a Connection
                        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                    )
                    await connection.execute(  # type: ignore[attr-defined]  # a Connection
                        node_lease._TRY_LOCK.replace("try_", ""), "node-1"
                    )

                await usurper.run(usurp)
            await lease.lost.wait()
            assert not live(lease)


async def test_a_lease_ends_by_the_holders_own_clock_while_the_database_is_silent(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_lease, "LEASE_S", 0.05)
    lease = NodeLease(database, name="node-1", url="")
    async with trio.open_nursery() as nursery:
        await nursery.start(lease.run)
        with trio.fail_after(5):
            while live(lease):
                await trio.lowlevel.checkpoint()
        assert not lease.lost.is_set()  # nobody else has the name; the next renewal brings it back
        nursery.cancel_scope.cancel()
