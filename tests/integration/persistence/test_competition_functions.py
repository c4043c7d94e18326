"""Competitions: places, prizes to the last mPT, and a settlement that happens once."""

from uuid import uuid4

import pytest

from persistence.postgres import Connection, Database
from tests.fakes.database_probe import rows
from tests.fakes.schema_breaker import people, reconciliation, script

NOW = "'2026-01-10 12:00Z'::timestamptz"
SETTLEMENT = (
    "SELECT player_id, place, from_fees_mpt, from_bonus_mpt, refund_mpt FROM competition_settlement(1) ORDER BY place"
)

_POST = """
    WITH new AS (INSERT INTO ledger_keys (key, node_run, batch) VALUES ($1, $2, 1) RETURNING transaction_id)
    INSERT INTO token_transactions (transaction_id, posted_at, account, player_id, kind, amount_mpt, balance_after_mpt)
    SELECT transaction_id, now(), side.account::ledger_account, side.player_id, $4::text::transaction_kind,
        side.amount_mpt, side.balance_after_mpt
    FROM new, (VALUES ('player', $3::bigint, $5::bigint, $6::bigint), ($7::text, NULL, -$5::bigint, NULL))
        AS side (account, player_id, amount_mpt, balance_after_mpt)
"""


async def running(
    database: Database, fees_mpt: list[int], *, bonus_mpt: int = 0, scores: list[int] | None = None
) -> None:
    """Competition 1 at its end, one entrant a fee; the fees come from the players' balances and lie in escrow."""
    await people(database, len(fees_mpt))
    given = scores or list(range(len(fees_mpt), 0, -1))
    run = uuid4()

    async def enter(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO competitions (title, entry_fee_mpt, bonus_mpt, opens_at, starts_at, ends_at) VALUES"
            f" ('Sprint', $1, $2, {NOW} - interval '3 h', {NOW} - interval '2 h', {NOW})",
            *(max(fees_mpt, default=0), bonus_mpt),
        )
        total_mpt = sum(fees_mpt)
        await connection.execute("INSERT INTO write_batches VALUES ($1, 1, $2, 0)", run, total_mpt)
        for player_id, (fee_mpt, score) in enumerate(zip(fees_mpt, given, strict=True), start=1):
            await connection.execute(
                "INSERT INTO player_competitions (competition_id, player_id, fee_mpt, score, entered_at, reached_at)"
                f" VALUES (1, $1, $2, $3, {NOW} - interval '2 h', {NOW} - interval '1 h')",
                *(player_id, fee_mpt, score),
            )
            for kind, account, amount_mpt in (
                ("tap_income", "mint", fee_mpt),
                ("competition_entry", "escrow", -fee_mpt),
            ):
                if fee_mpt:
                    await connection.execute(
                        _POST, f"{kind}:{player_id}", run, player_id, kind, amount_mpt, max(amount_mpt, 0), account
                    )

    await database.transaction(enter)
    assert await reconciliation(database) == []
    for step in ("open", "running"):
        await script(database, f"UPDATE competitions SET state = '{step}'")


@pytest.mark.parametrize(
    ("fees_mpt", "bonus_mpt", "prizes"),
    [
        ([3_333_334] * 3, 0, [4_500_001, 2_700_000, 1_800_000]),  # nine tenths of 10 000 002 are 9 000 001
        ([1_000] * 2, 0, [1_125, 675]),  # 1 800 by 5 : 3
        ([1_000] * 3, 0, [1_350, 810, 540]),
        ([1_000] * 4, 0, [1_800, 1_080, 720, 0]),
        ([1_000] * 9, 50_000, [4_050, 2_430, 1_620, *[0] * 6]),  # nine entrants: no bonus
        ([1_000] * 10, 50_000, [29_500, 17_700, 11_800, *[0] * 7]),
        ([0] * 10, 10, [5, 3, 2, *[0] * 7]),
        ([1] * 3, 0, [1, 1, 0]),  # 2 by 5 : 3 : 2 → 1, 0, 0, and the largest remainder is the second's
        ([1_000_000_000_000] * 100, 0, [45_000_000_000_000, 27_000_000_000_000, 18_000_000_000_000, *[0] * 97]),
    ],
)
async def test_prizes(database: Database, fees_mpt: list[int], bonus_mpt: int, prizes: list[int]) -> None:
    await running(database, fees_mpt, bonus_mpt=bonus_mpt)
    settled = await rows(database, SETTLEMENT)
    assert [from_fees + from_bonus for _, _, from_fees, from_bonus, _ in settled] == prizes
    assert [place for _, place, *_ in settled] == list(range(1, len(fees_mpt) + 1))
    from_fees_mpt = sum(row[2] for row in settled)
    assert from_fees_mpt == sum(fees_mpt) * 9_000 // 10_000
    assert sum(row[3] for row in settled) == (bonus_mpt if len(fees_mpt) >= 10 else 0)
    assert all(row[2] >= 0 and row[3] >= 0 and row[4] == 0 for row in settled)


async def test_places_of_equals(database: Database) -> None:
    await running(database, [1_000] * 4, scores=[7, 9, 7, 7])
    await script(database, f"UPDATE player_competitions SET reached_at = {NOW} - interval '90 min' WHERE player_id = 3")
    assert [player for player, *_ in await rows(database, SETTLEMENT)] == [2, 3, 1, 4]


async def test_the_only_entrant_gets_the_fee_back(database: Database) -> None:
    await running(database, [1_000], bonus_mpt=500)
    assert await rows(database, SETTLEMENT) == [(1, 1, 0, 0, 1_000)]
    assert await rows(database, f"SELECT advance_competitions({NOW})") == [(2,)]
    grants = "SELECT player_id, key, kind::text, amount_mpt FROM player_grants"
    assert await rows(database, grants) == [(1, "competition_refund:1:1", "competition_refund", 1_000)]
    assert await reconciliation(database) == []


async def test_a_competition_without_entrants_is_settled(database: Database) -> None:
    await running(database, [])
    assert await rows(database, f"SELECT advance_competitions({NOW})") == [(2,)]
    assert await rows(database, "SELECT state::text FROM competitions") == [("settled",)]
    assert await rows(database, "SELECT count(*) FROM player_grants") == [(0,)]


async def test_settling_twice_pays_once_and_burns_the_rest(database: Database) -> None:
    await running(database, [3_333_334] * 3)
    assert await rows(database, "SELECT settle_competition(1, now())") == [(0,)]  # not before it is frozen
    await script(database, f"UPDATE competitions SET state = 'frozen', frozen_at = {NOW}")
    assert await rows(database, f"SELECT settle_competition(1, {NOW})") == [(3,)]
    paid = "SELECT key, amount_mpt FROM player_grants ORDER BY key"
    prizes = [
        ("competition_prize:1:1", 4_500_001),
        ("competition_prize:1:2", 2_700_000),
        ("competition_prize:1:3", 1_800_000),
    ]
    assert await rows(database, paid) == prizes
    burned = "SELECT amount_mpt FROM token_transactions WHERE account = 'burn'"
    assert await rows(database, burned) == [(1_000_001,)]
    assert await reconciliation(database) == []
    assert await rows(database, f"SELECT settle_competition(1, {NOW})") == [(0,)]
    assert await rows(database, f"SELECT advance_competitions({NOW} + interval '1 day')") == [(0,)]
    assert await rows(database, paid) == prizes
    assert await rows(database, burned) == [(1_000_001,)]
    standings = "SELECT place, prize_mpt FROM competition_standings ORDER BY place"
    assert await rows(database, standings) == [(1, 4_500_001), (2, 2_700_000), (3, 1_800_000)]
    assert await reconciliation(database) == []


async def test_a_bonus_is_granted_apart_for_it_is_minted_not_escrowed(database: Database) -> None:
    await running(database, [1_000] * 10, bonus_mpt=50_000)
    await rows(database, f"SELECT advance_competitions({NOW})")
    # the 9 000 of the fees all go to the first place, the bonus pays the rest of it and the others
    assert await rows(database, "SELECT key, amount_mpt FROM player_grants ORDER BY key") == [
        ("competition_bonus:1:1", 20_500),
        ("competition_bonus:1:2", 17_700),
        ("competition_bonus:1:3", 11_800),
        ("competition_prize:1:1", 9_000),
    ]
    assert await reconciliation(database) == []


async def test_a_competition_goes_as_far_as_the_time_allows(database: Database) -> None:
    await people(database, 2)
    await script(
        database,
        "INSERT INTO competitions (title, entry_fee_mpt, bonus_mpt, opens_at, starts_at, ends_at) VALUES"
        " ('Sprint', 0, 0, '2026-01-01 10:00Z', '2026-01-01 11:00Z', '2026-01-01 12:00Z')",
    )
    seen = []
    for at in ("09:59:59", "10:00", "10:59:59", "11:00", "11:59:59", "12:00"):
        await rows(database, f"SELECT advance_competitions('2026-01-01 {at}Z')")
        seen += [state for (state,) in await rows(database, "SELECT state::text FROM competitions")]
    assert seen == ["scheduled", "open", "open", "running", "running", "settled"]


async def test_a_competition_that_was_slept_through_is_settled_at_once(database: Database) -> None:
    await script(
        database,
        "INSERT INTO competitions (title, entry_fee_mpt, bonus_mpt, opens_at, starts_at, ends_at) VALUES"
        " ('Sprint', 0, 0, '2026-01-01 10:00Z', '2026-01-01 11:00Z', '2026-01-01 12:00Z')",
    )
    assert await rows(database, f"SELECT advance_competitions({NOW})") == [(4,)]
    assert await rows(database, "SELECT state::text FROM competitions") == [("settled",)]


async def test_a_competition_is_not_frozen_before_every_node_has_written_past_its_end(database: Database) -> None:
    await running(database, [1_000] * 2)
    await script(
        database,
        "INSERT INTO nodes (name, run, url, lease_until, flushed_until)"
        f" VALUES ('node-1', gen_random_uuid(), '', {NOW} + interval '1 h', {NOW} - interval '1 s')",
    )
    assert await rows(database, f"SELECT advance_competitions({NOW} + interval '1 minute')") == [(0,)]
    assert await rows(database, "SELECT state::text FROM competitions") == [("running",)]
    assert await rows(database, f"SELECT advance_competitions({NOW} + interval '5 minutes')") == [(2,)]


async def test_a_prize_may_be_more_than_any_one_reward(database: Database) -> None:
    await running(database, [1_000_000_000_000] * 10)
    assert await rows(database, f"SELECT advance_competitions({NOW})") == [(2,)]
    assert await rows(database, "SELECT max(prize_mpt) FROM player_competitions") == [(4_500_000_000_000,)]
    assert await reconciliation(database) == []
