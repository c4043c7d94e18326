"""Every revision of the schema, also those to come: up and down over rows, and under a node that goes on playing."""

from uuid import uuid4

import pytest
import trio

from persistence.flush_sink import PostgresSink
from persistence.migrations import migrate
from persistence.migrations.fingerprint import differences, read_objects
from persistence.migrations.migrate import LOCK_TIMEOUT_S, REVISIONS
from persistence.postgres import Database
from persistence.write_behind import WriteBehind
from tests.fakes import older_node
from tests.fakes.database_probe import add_node, assert_reconciled, rows
from tests.fakes.flushable_player import AT_MS, FlushablePlayer
from tests.fakes.row_filler import fill

#: the oldest schema that an older node may have been started on
OLDEST = "0001"

_COLUMNS = """
    SELECT c.relname::text, string_agg(format('%I', a.attname), ', ' ORDER BY a.attname),
        (SELECT string_agg(format('%I', k.attname), ', ') FROM pg_index AS i
         JOIN pg_attribute AS k ON k.attrelid = c.oid AND k.attnum = ANY (i.indkey)
         WHERE i.indrelid = c.oid AND i.indisprimary)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relname <> 'schema_migrations' AND a.attnum > 0 AND NOT a.attisdropped
    GROUP BY c.oid ORDER BY c.relname
"""
_LABELS = """
    SELECT t.typname::text, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
    FROM pg_enum AS e JOIN pg_type AS t ON t.oid = e.enumtypid GROUP BY t.typname
"""

Content = dict[str, list[str]]


async def contents(database: Database, columns: dict[str, str]) -> Content:
    """Every row of these tables, as far as these columns go."""
    found = {}
    for table, names in columns.items():
        texts = await rows(database, f"SELECT r::text FROM (SELECT {names} FROM {table}) AS r ORDER BY 1")
        found[table] = [text for (text,) in texts]
    return found


@pytest.mark.parametrize("number", range(len(REVISIONS)), ids=[one.id for one in REVISIONS])
async def test_a_revision_goes_up_and_down_over_rows(empty_database: Database, number: int) -> None:
    database, revision = empty_database, REVISIONS[number]
    before_it = REVISIONS[number - 1].id if number else migrate.BASE
    if number:
        await migrate.up(database, before_it)
    tables = await rows(database, _COLUMNS)
    await fill(database, [table for table, _, _ in tables])
    columns = {table: names for table, names, _ in tables}
    keys = {table: key or names for table, names, key in tables}
    content, content_keys = await contents(database, columns), await contents(database, keys)
    if number:
        assert min(len(content[table]) for table in ("players", "ledger_keys", "token_transactions")) > 0
        assert sum(map(bool, content.values())) > len(content) / 2
    objects, labels = await database.transaction(read_objects), dict(await rows(database, _LABELS))

    await migrate.up(database, revision.id)
    assert await contents(database, columns) == content
    await fill(database, [table for table, _, _ in await rows(database, _COLUMNS) if table not in columns])
    await migrate.down(database, before_it)

    assert await contents(database, keys) == content_keys
    # `ALTER TYPE … ADD VALUE` has no way back: a value once added stays, at the end and used by nobody
    for name, values in (await rows(database, _LABELS)) if number else ():
        assert values[: len(labels[name])] == labels[name]
    left = differences(objects, await database.transaction(read_objects))
    assert [what for what in left if not (what.startswith("enum ") and what.endswith(" is different"))] == []
    assert await migrate.drift(database) == []


async def test_an_older_node_plays_on_while_the_schema_grows(empty_database: Database) -> None:
    database = empty_database
    await migrate.up(database, OLDEST)
    await add_node(database, "node-1")
    public_ids = await older_node.register(database, [f"load-{number:06}" for number in range(1, 41)], now_ms=AT_MS)
    epochs = await older_node.claim(database, public_ids, node="node-1")
    players = [FlushablePlayer(id_, epoch) for id_, epoch in epochs.items()]
    lags_s: list[float] = []
    sink = PostgresSink(database)
    write_behind = WriteBehind(sink, node_run=uuid4(), lanes=4, flush_ms=5, observe_flush_lag_s=lags_s.append)
    taps, logins = [0], [0]

    async def tap_all() -> None:
        for player in players:
            player.tap()
            if taps[0] % 3 == 0:
                player.post(f"taps:{player.player_id}:{taps[0]}")
            write_behind.mark_dirty(player)
        taps[0] += 1
        await write_behind.flush_now(players[0])

    async def log_in() -> None:
        public_ids = await older_node.register(database, [f"newcomer-{logins[0]}"], now_ms=AT_MS)
        assert len(await older_node.claim(database, public_ids, node="node-1")) == 1
        logins[0] += 1

    async def play(scope: trio.CancelScope) -> None:
        with scope:
            while True:
                await tap_all()
                await log_in()

    await_end = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        await nursery.start(write_behind.run)
        nursery.start_soon(play, await_end)
        with trio.fail_after(60):
            await until_played(logins, 3)
            applied = await migrate.up(database)
            await until_played(logins, logins[0] + 3)
            await_end.cancel()
            assert await write_behind.drain(trio.current_time() + 20)
        nursery.cancel_scope.cancel()

    assert applied == [one.id for one in REVISIONS if one.id > OLDEST]
    assert {told for player in players for told in player.told} == {"committed"}
    statistics = write_behind.statistics()
    assert (statistics.retries, statistics.rejected) == (0, 0)
    assert await rows(database, "SELECT DISTINCT taps FROM players WHERE dev_name LIKE 'load-%'") == [(taps[0],)]
    assert max(lags_s) < LOCK_TIMEOUT_S
    await assert_reconciled(database)


async def until_played(logins: list[int], enough: int) -> None:
    while logins[0] < enough:
        await trio.lowlevel.checkpoint()
