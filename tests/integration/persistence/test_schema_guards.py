"""What the database refuses whatever the process does, tried directly in SQL."""

from uuid import uuid4

import pytest

from persistence.errors import Duplicate, Rejected
from persistence.flush_transaction import write_by_steps
from persistence.postgres import Connection, Database
from tests.fakes.database_probe import assert_reconciled, claimed_players, rows
from tests.fakes.flushable_player import FlushablePlayer
from tests.fakes.schema_breaker import refusal, refusal_by_trigger

RUN = uuid4()


@pytest.fixture
async def player(database: Database) -> FlushablePlayer:
    """A player with 1 000 mPT in the ledger (key `taps:1`) and 500 unposted."""
    [player] = await claimed_players(database, 1)
    player.tap(1_000)
    player.post("taps:1")
    player.tap(500)
    writes = player.take_writes()
    assert writes is not None
    assert await database.transaction(write_by_steps, RUN, 1, [writes]) == frozenset({0})
    await assert_reconciled(database)
    return player


@pytest.mark.parametrize(
    "change",
    [
        "balance_mpt = -1, unposted_mpt = -1",
        "balance_mpt = 9000000000000000",
        "unposted_mpt = balance_mpt + 1",
        "tap_level = 0",
        "energy_cap_level = 21",
        "offline_level = 10",
        "bucket_mt = 900001",
        "tap_carry = 100000000",
        "xp = 9007199254740992",
        "combo = -1",
        "join_seq = 0",
        "generation = 99",
        "owner_node = 'nobody'",
        "display_name = ''",
        "dev_name = ''",
        "telegram_id = 0",
    ],
)
async def test_a_player_out_of_range(database: Database, player: FlushablePlayer, change: str) -> None:
    with pytest.raises(Rejected) as caught:
        await rows(database, f"UPDATE players SET {change} WHERE id = $1", player.player_id)
    assert caught.value.constraint.startswith("players_")


@pytest.mark.parametrize(
    ("trigger", "change"),
    [
        ("token_transactions_append_only", "UPDATE token_transactions SET amount_mpt = amount_mpt + 1"),
        ("token_transactions_append_only", "DELETE FROM token_transactions"),
        ("token_transactions_append_only", "DELETE FROM token_transactions_default"),
        ("token_transactions_default_no_truncate", "TRUNCATE token_transactions_default"),
        ("ledger_keys_append_only", "UPDATE ledger_keys SET key = 'other'"),
    ],
)
async def test_the_ledger_is_append_only(
    database: Database, player: FlushablePlayer, trigger: str, change: str
) -> None:
    assert player.columns.balance_mpt == 1_500
    before = await rows(database, "SELECT * FROM token_transactions ORDER BY amount_mpt")
    assert "append-only" in str(await refusal_by_trigger(database, trigger, change))
    assert await rows(database, "SELECT * FROM token_transactions ORDER BY amount_mpt") == before


@pytest.mark.parametrize(
    ("trigger", "change"),
    [
        ("token_transactions_no_truncate", "TRUNCATE token_transactions"),
        ("ledger_keys_no_truncate", "TRUNCATE ledger_keys CASCADE"),
        ("ledger_keys_append_only", "DELETE FROM ledger_keys"),
    ],
)
async def test_the_ledger_is_append_only_in_more_than_one_way(
    database: Database, player: FlushablePlayer, trigger: str, change: str
) -> None:
    """Without this trigger another one, or a foreign key, would still refuse."""
    assert player.columns.balance_mpt == 1_500
    assert "append-only" in str(await refusal(database, change))
    assert await rows(database, "SELECT count(*) FROM pg_trigger WHERE tgname = $1 AND tgenabled = 'O'", trigger) == [
        (1,)
    ]
    assert await rows(database, "SELECT count(*) FROM ledger_keys JOIN token_transactions USING (transaction_id)") == [
        (2,)
    ]


async def test_a_month_with_a_partition_is_append_only_too(database: Database, player: FlushablePlayer) -> None:
    month = await rows(database, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")
    partition = f"token_transactions_{month[0][0]}"

    async def post_now(connection: Connection) -> None:
        await connection.execute("INSERT INTO ledger_keys (key, node_run, batch) VALUES ('k', $1, 9)", RUN)
        await connection.execute(
            "INSERT INTO token_transactions SELECT transaction_id, now(), 'player', $1, 'tap_income', 5, 1005"
            " FROM ledger_keys WHERE key = 'k'",
            player.player_id,
        )

    await database.transaction(post_now)
    assert await rows(database, f"SELECT amount_mpt FROM {partition}") == [(5,)]
    for change in (f"DELETE FROM {partition}", f"TRUNCATE {partition}"):
        with pytest.raises(Rejected, match="append-only"):
            await rows(database, change)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([("player", 700, 1_700)], "does not sum to 0"),
        ([("player", 700, 1_700), ("mint", -600, None)], "does not sum to 0"),
        ([("player", 700, 1_700), ("mint", -700, None)], "has 1000 posted, the ledger says 1700"),
        ([("player", 700, 9_999), ("mint", -700, None)], "has 1000 posted, the ledger says 1700"),
    ],
)
async def test_a_batch_whose_ledger_disagrees_is_refused_at_commit(
    database: Database, player: FlushablePlayer, entries: list[tuple[str, int, int | None]], sentence: str
) -> None:
    async def forge(connection: Connection) -> None:
        await connection.execute("INSERT INTO write_batches VALUES ($1, 2, 0, 0)", RUN)
        transaction_id = await connection.fetchval(
            "INSERT INTO ledger_keys (key, node_run, batch) VALUES ('forged', $1, 2) RETURNING transaction_id", RUN
        )
        for account, amount_mpt, after_mpt in entries:
            await connection.execute(
                "INSERT INTO token_transactions VALUES ($1, now(), $2::text::ledger_account, $3, 'tap_income', $4, $5)",
                *(transaction_id, account, player.player_id if account == "player" else None, amount_mpt, after_mpt),
            )

    with pytest.raises(Rejected, match=sentence) as caught:
        await database.transaction(forge)
    assert caught.value.constraint == "write_batches_ledger_check"  # the trigger
    assert await rows(database, "SELECT count(*) FROM ledger_keys") == [(1,)]
    await assert_reconciled(database)


@pytest.mark.parametrize(
    "insert",
    [
        "INSERT INTO ledger_keys (key, node_run, batch) VALUES ('taps:1', gen_random_uuid(), 1)",
        "INSERT INTO player_grants (player_id, key, kind) SELECT player_id, key, kind FROM player_grants",
        "INSERT INTO players (display_name, join_seq, generation) VALUES ('x', 1, 1)",
        "INSERT INTO write_batches SELECT * FROM write_batches",
    ],
)
async def test_keys_are_used_once(database: Database, player: FlushablePlayer, insert: str) -> None:
    assert player.player_id > 0
    with pytest.raises(Duplicate):
        await rows(database, insert)


async def test_the_reconciliation_view_names_what_is_wrong(database: Database, player: FlushablePlayer) -> None:
    await rows(database, "UPDATE players SET balance_mpt = balance_mpt + 7")
    found = await rows(database, "SELECT what, id, expected_mpt, found_mpt FROM ledger_reconciliation ORDER BY what")
    assert found == [("economy", 0, 1_500, 1_507), ("player", player.player_id, 1_007, 1_000)]
    await rows(database, "UPDATE players SET balance_mpt = balance_mpt - 7")
    await rows(
        database,
        "INSERT INTO token_transactions SELECT transaction_id, now(), 'burn', NULL, 'tap_income', 3, NULL"
        " FROM ledger_keys",
    )
    found = await rows(database, "SELECT what, expected_mpt, found_mpt FROM ledger_reconciliation")
    assert found == [("transaction", 0, 3)]


async def test_partitions_ahead_and_months_that_began_without_one(database: Database, player: FlushablePlayer) -> None:
    assert player.player_id > 0
    # its entries of 2026-01 lie in the default partition and stay there; the months round it get their own
    assert await rows(database, "SELECT create_ledger_partitions('2025-12-15', 3)") == [(2,)]
    assert await rows(database, "SELECT create_ledger_partitions('2025-12-15', 3)") == [(0,)]
    assert await rows(database, "SELECT to_regclass('token_transactions_2026_01')::text") == [(None,)]
    assert await rows(database, "SELECT count(*) FROM token_transactions_default") == [(2,)]


@pytest.mark.parametrize("ms", [1, 999, 1_767_225_600_123, 1_899_999_999_999, 253_402_300_799_999])
async def test_milliseconds_go_through_time_unchanged(database: Database, ms: int) -> None:
    assert await rows(database, "SELECT ms_from_time(time_from_ms($1))", ms) == [(ms,)]
    assert await rows(database, "SELECT time_from_ms(0) IS NULL, ms_from_time(NULL)") == [(True, 0)]


async def test_a_flush_stays_out_of_the_indexes(database: Database) -> None:
    players = await claimed_players(database, 20)
    for batch in range(1, 6):
        for player in players:
            player.tap()
        writes = [taken for player in players if (taken := player.take_writes()) is not None]
        await database.transaction(write_by_steps, RUN, batch, writes)
    await rows(database, "SELECT pg_stat_force_next_flush()")
    [(updates, hot_updates)] = await rows(
        database, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'players'"
    )
    assert updates >= 100
    assert updates - hot_updates <= 20  # the claim, which sets the indexed owner
