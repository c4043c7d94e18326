"""The figures of the set-based functions: levels, influence, the pool, invitations; examples from the game's rules."""

import math
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from persistence.postgres import Database
from tests.fakes.database_probe import add_node, rows
from tests.fakes.schema_breaker import people, reconciliation, script

# ---- roots, levels, periods


async def test_integer_roots_are_exact_at_every_square(database: Database) -> None:
    roots = [*range(1, 2_000), *(2**bits + step for bits in range(11, 26) for step in (-1, 0, 1)), 2**26]
    numbers = [
        square + step for root in roots for square in (root * root,) for step in (-1, 0, 1) if square + step <= 2**52
    ]
    found = await rows(
        database, "SELECT isqrt(n) FROM unnest($1::bigint[]) WITH ORDINALITY AS u (n, i) ORDER BY i", numbers
    )
    assert [root for (root,) in found] == [math.isqrt(number) for number in numbers]


async def test_levels_are_those_of_the_rules(database: Database) -> None:
    xps = [0, 99, 100, 399, 400, 1_599, 1_600, 8_100, 980_100, 2**53 - 1]
    xps += [100 * level**2 + step for level in (7, 77, 777, 77_777, 7_777_777) for step in (-1, 0, 1)]
    found = await rows(
        database, "SELECT level_of(n) FROM unnest($1::bigint[]) WITH ORDINALITY AS u (n, i) ORDER BY i", xps
    )
    assert [level for (level,) in found] == [1 + math.isqrt(xp // 100) for xp in xps]
    assert [level for (level,) in found][:9] == [1, 1, 2, 2, 3, 4, 5, 10, 100]


@pytest.mark.parametrize(
    ("period", "begin", "end"),
    [
        ("day", "2026-12-31", "2027-01-01"),
        ("week", "2026-12-28", "2027-01-04"),
        ("month", "2028-02-01", "2028-03-01"),
        ("all", "1970-01-01", "infinity"),
    ],
)
async def test_the_end_of_a_period(database: Database, period: str, begin: str, end: str) -> None:
    sql = "SELECT period_end($1::text::board_period, $2::text::date) = $3::text::date"
    assert await rows(database, sql, period, begin, end) == [(True,)]


@pytest.mark.parametrize(
    ("flushed", "asked", "past"),
    [
        ("NULL", "12:00", False),
        ("'2026-01-01 11:59:59Z'", "12:04:59", False),
        ("'2026-01-01 12:00Z'", "12:00", True),
        ("'2026-01-01 12:00Z'", "11:59:59", False),
        ("'2026-01-01 11:00Z'", "12:05", True),
    ],
    ids=["never", "not yet", "just", "too early to ask", "has had five minutes"],
)
async def test_a_moment_is_past_when_every_live_node_has_written_past_it(
    database: Database, flushed: str, asked: str, past: bool
) -> None:
    await add_node(database, "node-1")
    await script(database, f"UPDATE nodes SET lease_until = '2026-01-01 13:00Z', flushed_until = {flushed}")
    question = f"SELECT flushed_past('2026-01-01 12:00Z', '2026-01-01 {asked}Z')"
    assert await rows(database, question) == [(past,)]
    await script(database, "UPDATE nodes SET lease_until = '2026-01-01 11:00Z'")  # dead: nobody waits for it
    assert await rows(database, question) == [(asked >= "12:00",)]


# ---- influence

AT = "'2026-01-10 00:00Z'"
RECOMPUTE = f"SELECT recompute_influence({AT})"
INFLUENCE = "SELECT influence, supporters, active_direct, active_second FROM player_influence WHERE player_id = 1"

#: Player 1 of the rules' example: level 10, 100 000 PT, three active invitees, four of theirs.
EXAMPLE = """
    UPDATE players SET xp = 8100, lifetime_mpt = 100000000, generation = 2 WHERE id = 1;
    UPDATE players SET xp = 1600, last_seen_at = '2026-01-03 00:00:01Z' WHERE id NOT IN (1, 5, 6);
    UPDATE players SET xp = 1600, last_seen_at = '2026-01-03 00:00:00Z' WHERE id = 5;
    UPDATE players SET xp = 1599, last_seen_at = '2026-01-09' WHERE id = 6;
    INSERT INTO referrals (player_id, inviter_id, joined_at) VALUES
        (2, 1, now()), (3, 1, now()), (4, 1, now()), (5, 1, now()), (6, 1, now()),
        (7, 2, now()), (8, 2, now()), (9, 5, now()), (10, 6, now());
"""


@pytest.fixture
async def invited(database: Database) -> Database:
    """A database with the example's ten players."""
    assert await people(database, 10) == list(range(1, 11))
    await script(database, EXAMPLE)
    return database


async def test_influence_and_supporters_of_the_rules_example(invited: Database) -> None:
    await rows(invited, RECOMPUTE)
    assert await rows(invited, INFLUENCE) == [(626, 6, 3, 4)]
    direct = (
        "SELECT player_id, active_direct, active_second FROM player_influence WHERE player_id IN (2, 5, 6) ORDER BY 1"
    )
    assert await rows(invited, direct) == [(2, 2, 0), (5, 1, 0), (6, 1, 0)]


async def test_what_did_not_change_keeps_its_time(invited: Database) -> None:
    [(changed,)] = await rows(invited, RECOMPUTE)
    assert changed == 10
    assert await rows(invited, RECOMPUTE) == [(0,)]
    await script(invited, "UPDATE players SET lifetime_mpt = 102010000 WHERE id = 1")
    assert await rows(invited, "SELECT recompute_influence('2026-01-09 12:00Z')") == [(1,)]
    times = "SELECT count(*) FILTER (WHERE reached_at = '2026-01-09 12:00Z'), count(*) FROM player_influence"
    assert await rows(invited, times) == [(1, 10)]


async def test_influence_that_has_gone_is_gone(invited: Database) -> None:
    await script(invited, "UPDATE players SET xp = 0, lifetime_mpt = 0 WHERE id IN (1, 2)")
    await rows(invited, RECOMPUTE)
    assert [row[0] for row in await rows(invited, INFLUENCE)] == [(2 * 25 + 4 * 5) * 12_500 // 10_000]
    await script(invited, "UPDATE players SET last_seen_at = NULL; UPDATE players SET erased_at = now() WHERE id = 3")
    await rows(invited, RECOMPUTE)
    left = "SELECT array_agg(player_id ORDER BY player_id) FROM player_influence"
    assert await rows(invited, left) == [([4, 5, 6, 7, 8, 9, 10],)]


@pytest.mark.parametrize("generation", [1, 2, 3, 13, 14, 33])
async def test_the_bonus_of_a_generation(database: Database, generation: int) -> None:
    await people(database, 1)
    await script(
        database,
        "INSERT INTO generations SELECT g, 1000000000000 * g FROM generate_series(15, 40) AS g;"
        f"UPDATE players SET lifetime_mpt = 10000000000000, generation = {generation}",
    )
    await rows(database, RECOMPUTE)
    assert [row[0] for row in await rows(database, INFLUENCE)] == [
        100_000 * (10_000 + (5_000 >> (generation - 1))) // 10_000
    ]


# ---- the pool


@pytest.mark.parametrize(
    ("day", "pool_mpt"),
    [(-30, 100_000_000), (0, 100_000_000), (6, 100_000_000), (7, 99_000_000), (14, 98_010_000), (70, 90_438_203),
     (370, 59_296_623), (7 * 900, 1_000_000), (7 * 5_000, 1_000_000)],
)  # fmt: skip
async def test_the_pool_of_a_day(database: Database, day: int, pool_mpt: int) -> None:
    found = await rows(database, "SELECT pool_of('2026-03-04'::date + $1::integer, '2026-03-04')", day)
    assert found == [(pool_mpt,)]


async def test_the_pool_never_falls_below_its_floor(database: Database) -> None:
    pools = await rows(
        database, "SELECT pool_of(date '2026-01-01' + 7 * w, '2026-01-01') FROM generate_series(0, 600) AS w"
    )
    expected, pool_mpt = [], 100_000_000
    for _ in range(601):
        expected.append(pool_mpt)
        pool_mpt = max(pool_mpt * 9_900 // 10_000, 1_000_000)
    assert [pool for (pool,) in pools] == expected


DAY = date(2026, 1, 9)
WEIGHTS = """
    DELETE FROM player_influence;
    DELETE FROM player_daily_stats;
    INSERT INTO player_influence (player_id, active_direct, active_second, influence, supporters, reached_at)
    SELECT i, 0, 0, w, 0, now() FROM unnest(ARRAY[{}]::bigint[]) WITH ORDINALITY AS u (w, i);
    INSERT INTO player_daily_stats (player_id, day, taps, reached_at)
    SELECT player_id, '2026-01-09', 1, now() FROM player_influence;
"""
SHARES = "SELECT share_mpt FROM pool_shares($1, $2) ORDER BY player_id"


async def shares(database: Database, weights: list[int], pool_mpt: int) -> list[int]:
    await script(database, WEIGHTS.format(", ".join(map(str, weights))))
    return [share for (share,) in await rows(database, SHARES, DAY, pool_mpt)]


@pytest.mark.parametrize(
    ("weights", "pool_mpt", "expected"),
    [
        ([1, 1, 1], 100, [34, 33, 33]),
        ([501, 200, 300], 100_000_000, [50_049_950, 19_980_020, 29_970_030]),
        ([1, 1], 1, [1, 0]),
        ([1, 2], 0, [0, 0]),
        ([], 100, []),
    ],
)
async def test_shares_by_largest_remainder(
    database: Database, weights: list[int], pool_mpt: int, expected: list[int]
) -> None:
    await people(database, 3)
    assert await shares(database, weights, pool_mpt) == expected


async def test_shares_sum_to_the_pool_and_are_within_one_of_what_is_due(database: Database) -> None:
    await people(database, 12)
    weights_of = st.lists(st.integers(1, 9_007_199_254_740_991), min_size=1, max_size=12)
    drawn: list[tuple[list[int], int]] = []

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(weights_of, st.integers(0, 100_000_000))
    def draw(weights: list[int], pool_mpt: int) -> None:
        drawn.append((weights, pool_mpt))

    draw()
    for weights, pool_mpt in drawn:
        given_out = await shares(database, weights, pool_mpt)
        assert sum(given_out) == pool_mpt, (weights, pool_mpt)
        for weight, share in zip(weights, given_out, strict=True):
            assert abs(share - Fraction(pool_mpt * weight, sum(weights))) < 1, (weights, pool_mpt)


async def test_the_pool_is_paid_once_to_who_tapped(database: Database) -> None:
    await people(database, 4)
    await script(database, WEIGHTS.format("1, 1, 1, 1"))
    await script(database, "UPDATE player_daily_stats SET taps = 0 WHERE player_id = 4")
    pay = "SELECT pay_pool('2026-01-09', '2026-01-01')"
    assert await rows(database, pay) == [(3,)]
    grants = "SELECT player_id, key, kind::text, amount_mpt FROM player_grants ORDER BY player_id"
    paid = await rows(database, grants)
    assert [row[:3] for row in paid] == [(n, f"pool:2026-01-09:{n}", "pool_share") for n in (1, 2, 3)]
    assert sum(row[3] for row in paid) == 99_000_000
    assert await rows(database, pay) == [(0,)]
    assert await rows(database, grants) == paid
    assert await reconciliation(database) == []


# ---- invitations

NOW = "'2026-01-10 12:00Z'::timestamptz"


async def test_who_has_come_to_life(database: Database) -> None:
    assert await people(database, 8) == list(range(1, 9))
    await script(
        database,
        "UPDATE players SET xp = 1600; UPDATE players SET xp = 1599 WHERE id = 3;"
        "INSERT INTO referrals (player_id, inviter_id, premium, joined_at) VALUES"
        f" (2, 1, false, {NOW} - interval '1 day'), (3, 1, false, {NOW} - interval '1 day'),"
        f" (4, 1, true, {NOW} - interval '168 hours 59 minutes'), (5, 1, false, {NOW} - interval '169 hours'),"
        f" (6, 1, false, {NOW} + interval '1 s'), (7, 2, false, {NOW} - interval '1 hour');"
        f"INSERT INTO referrals (player_id, inviter_id, joined_at, activated_at)"
        f" VALUES (8, 1, {NOW} - interval '2 days', {NOW} - interval '1 day')",
    )
    due = await rows(database, f"SELECT * FROM due_activations({NOW}) ORDER BY player_id")
    assert due == [(2, 1, False, True), (4, 1, True, True), (7, 2, False, True)]
    assert await rows(database, f"SELECT activate_referrals({NOW})") == [(3,)]
    assert await rows(database, f"SELECT activate_referrals({NOW} + interval '1 minute')") == [(1,)]  # number 6
    assert await rows(database, "SELECT key, player_id, amount_mpt FROM player_grants ORDER BY key") == [
        ("referral:2:friend", 2, 2_500_000),
        ("referral:2:inviter", 1, 2_500_000),
        ("referral:4:friend", 4, 2_500_000),
        ("referral:4:inviter", 1, 5_000_000),
        ("referral:6:friend", 6, 2_500_000),
        ("referral:6:inviter", 1, 2_500_000),
        ("referral:7:friend", 7, 2_500_000),
        ("referral:7:inviter", 2, 2_500_000),
    ]
    assert await rows(database, f"SELECT activate_referrals({NOW} + interval '1 minute')") == [(0,)]


async def test_twenty_are_paid_a_day(database: Database) -> None:
    await people(database, 60)
    invite = (
        "INSERT INTO referrals (player_id, inviter_id, joined_at)"
        " SELECT n, 1, {} - interval '1 hour' FROM generate_series({}, {}) AS n"
    )
    await script(database, "UPDATE players SET xp = 1600;" + invite.format(NOW, 2, 16))
    assert await rows(database, f"SELECT activate_referrals({NOW})") == [(15,)]
    await script(database, invite.format(NOW, 17, 30))
    assert await rows(database, f"SELECT activate_referrals({NOW} + interval '1 hour')") == [(14,)]
    paid = "SELECT array_agg(player_id ORDER BY player_id) FROM referrals WHERE paid"
    assert await rows(database, paid) == [(list(range(2, 22)),)]
    assert await rows(database, "SELECT count(*) FROM referrals WHERE activated_at IS NOT NULL") == [(29,)]
    assert await rows(database, "SELECT count(*) FROM player_grants WHERE player_id = 1") == [(20,)]
    tomorrow = f"{NOW} + interval '1 day'"
    await script(database, invite.format(tomorrow, 31, 60))
    assert await rows(database, f"SELECT activate_referrals({tomorrow})") == [(30,)]
    assert await rows(database, "SELECT count(*) FROM player_grants WHERE player_id = 1") == [(40,)]


# ---- missions


async def test_open_missions_of_absent_players_end_with_their_period(database: Database) -> None:
    await people(database, 2)
    await add_node(database, "node-1")
    await script(
        database,
        "UPDATE players SET owner_node = 'node-1' WHERE id = 2;"
        "INSERT INTO missions (id, key, period, metric, base_target, weight, name, description) VALUES"
        " (1, 'tap_a_lot', 'day', 'taps', 200, 10, 'Tap', 'Tap {target} times.');"
        "INSERT INTO player_missions (player_id, period, period_start, slot, mission_id, state, target,"
        " progress, reward_mpt,"
        " reward_xp, created_at, completed_at) VALUES"
        " (1, 'day', '2026-01-08', 0, 1, 'active', 9, 0, 0, 0, now(), NULL),"
        " (1, 'day', '2026-01-09', 0, 1, 'active', 9, 0, 0, 0, now(), NULL),"
        " (1, 'day', '2026-01-07', 0, 1, 'completed', 9, 9, 0, 0, now(), now()),"
        " (1, 'week', '2026-01-05', 0, 1, 'active', 9, 0, 0, 0, now(), NULL),"
        " (1, 'week', '2025-12-29', 0, 1, 'active', 9, 0, 0, 0, now(), NULL),"
        " (2, 'day', '2026-01-08', 0, 1, 'active', 9, 0, 0, 0, now(), NULL)",
    )
    assert await rows(database, "SELECT expire_missions('2026-01-09')") == [(2,)]
    ended = "SELECT player_id, period_start FROM player_missions WHERE state = 'expired' ORDER BY period_start"
    assert await rows(database, ended) == [(1, date(2025, 12, 29)), (1, date(2026, 1, 8))]
    assert await rows(database, "SELECT expire_missions('2026-01-12')") == [(2,)]


# ---- pruning


async def test_cursors_live_30_days_without_a_write_and_their_stored_answers_go_with_them(database: Database) -> None:
    await people(database, 1)
    await script(
        database,
        "INSERT INTO operation_cursors (player_id, lineage, applied_seq, updated_at) VALUES"
        " (1, decode(repeat('aa', 16), 'hex'), 5, '2026-01-31 00:00:00Z'),"
        " (1, decode(repeat('bb', 16), 'hex'), 5, '2026-01-30 23:59:59Z');"
        "INSERT INTO operation_results (player_id, lineage, seq, answer)"
        " SELECT player_id, lineage, 5, 'x' FROM operation_cursors",
    )
    assert await rows(database, "SELECT prune('2026-03-02') > 0") == [(True,)]
    for table in ("operation_cursors", "operation_results"):
        assert await rows(database, f"SELECT lineage FROM {table}") == [(b"\xaa" * 16,)]
