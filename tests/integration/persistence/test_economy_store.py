"""The hour's figures, against a real PostgreSQL."""

from uuid import uuid4

import trio

from persistence import economy_store
from persistence.economy_store import EconomyHour
from persistence.postgres import Database
from tests.fakes.database_probe import rows

HOUR = 490_896  # 2026-01-01 00:00 UTC


def emission_bp(minted_mpt: int) -> int:
    return max(500, 10_000 - minted_mpt // 1_000)


async def add_batch(
    database: Database, minted_mpt: int, *, run: object, batch: int = 1, age: str = "0", burned_mpt: int = 0
) -> None:
    await rows(
        database,
        "INSERT INTO write_batches VALUES ($1, $2, $3, $4, now() - $5::text::interval)",
        *(run, batch, minted_mpt, burned_mpt, age),
    )


async def test_an_hour_is_fixed_once_by_the_first_who_asks(database: Database) -> None:
    await add_batch(database, 5_000, run=uuid4(), burned_mpt=100)
    found: list[EconomyHour] = []

    async def ask(bonus_bp: int) -> None:
        found.append(await economy_store.fix_hour(database, HOUR, emission_bp=lambda m: emission_bp(m) - bonus_bp))

    async with trio.open_nursery() as nursery:
        for bonus_bp in range(4):
            nursery.start_soon(ask, bonus_bp)
    assert len(set(found)) == 1
    assert (found[0].minted_mpt, found[0].burned_mpt) == (5_000, 100)
    await add_batch(database, 1_000, run=uuid4())
    assert await economy_store.fix_hour(database, HOUR, emission_bp=lambda _: 500) == found[0]
    later = await economy_store.fix_hour(database, HOUR + 1, emission_bp=emission_bp)
    assert later == EconomyHour(6_000, 100, 9_994)
    assert await rows(database, "SELECT hour::text FROM economy_state ORDER BY hour LIMIT 1") == [
        ("2026-01-01 00:00:00+00",)
    ]


async def test_settled_batches_are_folded_and_the_sum_stays(database: Database) -> None:
    live, gone = uuid4(), uuid4()
    await rows(
        database,
        "INSERT INTO nodes (name, run, url, lease_until, settled_batch) VALUES ('n', $1, '', now(), 2)",
        live,
    )
    await add_batch(database, 1, run=live, batch=1, age="2 h")
    await add_batch(database, 10, run=live, batch=2, age="0 h")  # too young
    await add_batch(database, 100, run=live, batch=3, age="48 h")  # its outcome may still be asked for
    await add_batch(database, 1_000, run=gone, batch=1, age="2 h")  # the node may be cut off, not dead
    await add_batch(database, 10_000, run=gone, batch=2, age="25 h")
    for hour in (HOUR, HOUR + 1):
        fixed = await economy_store.fix_hour(database, hour, emission_bp=emission_bp)
        assert fixed.minted_mpt == 11_111
    assert await rows(database, "SELECT minted_mpt FROM write_batches ORDER BY minted_mpt") == [(10,), (100,), (1_000,)]
    folded = await rows(database, "SELECT folded_minted_mpt FROM economy_state ORDER BY hour")
    assert folded == [(10_001,), (10_001,)]


async def test_a_clock_that_goes_back_loses_nothing(database: Database) -> None:
    gone = uuid4()
    await add_batch(database, 7, run=gone, age="48 h")
    await economy_store.fix_hour(database, HOUR + 5, emission_bp=emission_bp)
    await add_batch(database, 5, run=gone, batch=2, age="48 h")
    earlier = await economy_store.fix_hour(database, HOUR, emission_bp=emission_bp)
    assert earlier.minted_mpt == 12
    assert (await economy_store.fix_hour(database, HOUR + 6, emission_bp=emission_bp)).minted_mpt == 12
