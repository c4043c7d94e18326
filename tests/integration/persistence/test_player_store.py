"""Claiming, loading, granting, against a real PostgreSQL."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import trio

from persistence import player_store
from persistence.postgres import Connection, Database
from persistence.records import GrantKind, LoadedPlayer, OwnedElsewhere
from tests.fakes.database_probe import add_node, claimed_players, rows
from tests.fakes.flushable_player import AT_MS


@pytest.fixture
async def players(database: Database) -> list[UUID]:
    """Three players, and two nodes that live."""
    for node in ("node-1", "node-2"):
        await add_node(database, node, url=f"ws://{node}/ws")
    return await player_store.create_load_test_players(database, 3, now_ms=AT_MS)


async def claim(database: Database, public_ids: list[UUID], node: str) -> dict[UUID, LoadedPlayer | OwnedElsewhere]:
    found = await player_store.claim_and_load(database, public_ids, node=node)
    assert len({player.public_id for player in found}) == len(found)
    return {player.public_id: player for player in found}


async def test_a_new_player_is_claimed_with_full_energy_and_its_grants(database: Database, players: list[UUID]) -> None:
    [loaded] = (await claim(database, players[:1], "node-1")).values()
    assert isinstance(loaded, LoadedPlayer)
    assert (loaded.display_name, loaded.generation, loaded.owner_epoch) == ("load-000001", 1, 1)
    columns = loaded.columns
    assert (columns.energy_ue, columns.energy_at_ms) == (1_000_000_000, AT_MS)
    assert (columns.bucket_mt, columns.bucket_at_ms) == (40_000, AT_MS)
    assert (columns.tap_level, columns.balance_mpt, columns.last_tap_at_ms, columns.raw_day) == (1, 0, 0, 0)
    assert loaded.cursors == {}
    assert [grant.kind for grant in loaded.grants] == [GrantKind.FULL_ENERGY]


async def test_every_claim_raises_the_epoch_and_unknown_or_repeated_ids_are_no_matter(
    database: Database, players: list[UUID]
) -> None:
    for epoch in (1, 2, 3):
        found = await claim(database, [*players, *players, uuid4()], "node-1")
        assert set(found) == set(players)
        assert {player.owner_epoch for player in found.values() if isinstance(player, LoadedPlayer)} == {epoch}
    assert await player_store.claim_and_load(database, [], node="node-1") == []


async def test_a_live_lease_is_not_stolen_and_a_dead_one_is(database: Database, players: list[UUID]) -> None:
    await claim(database, players[:2], "node-1")
    found = await claim(database, players, "node-2")
    for owned in players[:2]:
        assert found[owned] == OwnedElsewhere(owned, "node-1", "ws://node-1/ws")
    assert isinstance(found[players[2]], LoadedPlayer)
    await add_node(database, "node-1", lease_s=-0.001)
    found = await claim(database, players, "node-2")
    assert all(isinstance(player, LoadedPlayer) for player in found.values())
    epochs = await rows(database, "SELECT owner_epoch, owner_node FROM players ORDER BY id")
    assert epochs == [(2, "node-2"), (2, "node-2"), (2, "node-2")]


async def test_a_claim_that_waited_sees_what_was_committed_meanwhile(database: Database, players: list[UUID]) -> None:
    """The other node's whole turn happens after our statement began: its lease, its claim, its cursor."""
    lineage = b"x" * 16
    found: dict[UUID, LoadedPlayer | OwnedElsewhere] = {}

    async def begin(connection: Connection) -> None:
        await connection.execute("BEGIN")
        await connection.execute("SELECT FROM players WHERE public_id = $1 FOR NO KEY UPDATE", players[0])

    async def finish(connection: Connection) -> None:
        await connection.execute("UPDATE players SET owner_node = 'node-3', owner_epoch = owner_epoch + 1")
        await connection.execute(
            "INSERT INTO operation_cursors SELECT id, $2, 42 FROM players WHERE public_id = $1", players[0], lineage
        )
        await connection.execute("COMMIT")

    async def claim_in_background(node: str) -> None:
        found.update(await claim(database, players[:1], node))

    async with database.dedicated("other") as other:
        for owner_lives in (True, False):
            await add_node(database, "node-3", lease_s=-1)
            await rows(database, "DELETE FROM operation_cursors")
            await other.run(begin)
            with trio.fail_after(10):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(claim_in_background, "node-1")
                    while not await rows(database, "SELECT FROM pg_locks WHERE NOT granted"):
                        await trio.lowlevel.checkpoint()
                    await add_node(database, "node-3", lease_s=60 if owner_lives else -1)
                    await other.run(finish)
            if owner_lives:
                assert found[players[0]] == OwnedElsewhere(players[0], "node-3", "")
                await rows(database, "UPDATE players SET owner_node = NULL")
            else:
                loaded = found[players[0]]
                assert isinstance(loaded, LoadedPlayer)
                assert loaded.cursors == {lineage: 42}


@pytest.mark.parametrize(("crowd", "left"), [(0, 3), (player_store.CROWDED_CURSORS, player_store.CROWDED_CURSORS + 1)])
async def test_a_crowded_player_loses_the_cursors_that_no_client_can_need(
    database: Database, players: list[UUID], crowd: int, left: int
) -> None:
    async def use(connection: Connection) -> None:
        insert = """
            INSERT INTO operation_cursors (player_id, lineage, applied_seq, updated_at)
            SELECT id, decode(lpad(to_hex($2 + number), 32, '0'), 'hex'), 5, now() - $3::interval
            FROM players CROSS JOIN generate_series(1, $4) AS number WHERE public_id = $1
        """
        await connection.execute(insert, players[0], 0, timedelta(days=8, minutes=1), 2)
        await connection.execute(insert, players[0], 1_000, timedelta(days=8, minutes=-1), 1)
        await connection.execute(insert, players[0], 2_000, timedelta(0), crowd)
        await connection.execute(insert, players[1], 0, timedelta(days=29), 1)

    await database.transaction(use)
    found = await claim(database, players, "node-1")
    first, second = found[players[0]], found[players[1]]
    assert isinstance(first, LoadedPlayer)
    assert isinstance(second, LoadedPlayer)
    assert len(first.cursors) == left
    assert (2).to_bytes(16, "big") in first.cursors or crowd
    assert (1_001).to_bytes(16, "big") in first.cursors
    assert len(second.cursors) == 1, "who is not crowded keeps his"
    stored = await rows(database, f"SELECT count(*) FROM operation_cursors WHERE player_id = {first.id}")
    assert stored == [(left,)]


async def test_claims_at_once_end_with_one_owner_each(database: Database) -> None:
    for node in ("node-1", "node-2"):
        await add_node(database, node)
    public_ids = await player_store.create_load_test_players(database, 200, now_ms=AT_MS)
    answers: dict[str, dict[UUID, LoadedPlayer | OwnedElsewhere]] = {}

    async def run(node: str, order: list[UUID]) -> None:
        answers[node] = await claim(database, order, node)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, "node-1", public_ids)
            nursery.start_soon(run, "node-2", public_ids[::-1])
    for public_id in public_ids:
        claims = [isinstance(answer[public_id], LoadedPlayer) for answer in answers.values()]
        assert claims.count(True) == 1


async def test_grants_are_listed_for_the_players_a_node_owns(database: Database, players: list[UUID]) -> None:
    await claim(database, players[:1], "node-1")
    await claim(database, players[1:], "node-2")
    await player_store.create_load_test_players(database, 1, now_ms=AT_MS)
    [grants] = (await player_store.unapplied_grants(database, node="node-1")).values()
    assert len(grants) == 2
    assert [grant.id for grant in grants] == sorted(grant.id for grant in grants)
    assert len({grant.key for grant in grants}) == 2
    assert len(await player_store.unapplied_grants(database, node="node-2")) == 2
    assert await player_store.unapplied_grants(database, node="node-9") == {}


async def test_a_grant_rings_the_bell_once_it_is_committed(database: Database) -> None:
    heard = 0
    bell = trio.Event()

    def on_notice(_: str) -> None:
        nonlocal heard
        heard += 1
        bell.set()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(database.listen, "player_grants", on_notice)
            bell = trio.Event()
            await player_store.create_load_test_players(database, 50, now_ms=AT_MS)
            await bell.wait()
            nursery.cancel_scope.cancel()
    assert heard == 2  # once on connecting, once for the one statement


async def test_load_test_players_are_made_once_numbered_without_gaps_and_granted_each_time(database: Database) -> None:
    first = await player_store.create_load_test_players(database, 3, now_ms=AT_MS)
    again = await player_store.create_load_test_players(database, 1_205, now_ms=AT_MS)
    assert again[:3] == first
    assert len(set(again)) == 1_205
    found = await rows(database, "SELECT count(*), min(join_seq), max(join_seq) FROM players")
    assert found == [(1_205, 1, 1_205)]
    assert await rows(database, "SELECT generation, count(*) FROM players GROUP BY generation ORDER BY generation") == [
        (1, 1_000),
        (2, 205),
    ]
    assert await rows(database, "SELECT count(*) FROM player_grants") == [(1_208,)]


async def test_epochs_tell_who_was_claimed_since(database: Database) -> None:
    first, second = await claimed_players(database, 2)
    [(public_id,)] = await rows(database, "SELECT public_id FROM players WHERE id = $1", second.player_id)
    await player_store.claim_and_load(database, [public_id], node="node-1")
    assert await player_store.owner_epochs(database, [first.player_id, second.player_id, 10**9]) == {
        first.player_id: first.owner_epoch,
        second.player_id: second.owner_epoch + 1,
    }
