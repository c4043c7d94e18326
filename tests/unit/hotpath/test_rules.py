"""The rules of game.md "Per tap", each worked example of it, and the ends of their ranges."""

from itertools import pairwise
from types import ModuleType

import pytest

BILLION = 10**9


@pytest.mark.parametrize(
    ("xp", "level"),
    [(0, 1), (99, 1), (100, 2), (399, 2), (400, 3), (8_099, 9), (8_100, 10), (980_099, 99), (980_100, 100)],
)
def test_level_of_xp(rules: ModuleType, xp: int, level: int) -> None:
    assert rules.level_of(xp) == level


def test_levels_are_exact_up_to_the_last_xp(rules: ModuleType) -> None:
    last = rules.level_of(rules.MAX_COUNT)
    assert last == 9_490_627
    for level in (2, 3, 1_000, 94_907, 1_000_003, last - 1, last):
        start_xp = rules.level_start_xp(level)
        assert (rules.level_of(start_xp - 1), rules.level_of(start_xp)) == (level - 1, level)


@pytest.mark.parametrize(("level", "start_xp"), [(1, 0), (2, 100), (3, 400), (10, 8_100), (100, 980_100)])
def test_a_level_begins_where_the_one_before_ends(rules: ModuleType, level: int, start_xp: int) -> None:
    assert rules.level_start_xp(level) == start_xp


def test_level_rewards(rules: ModuleType) -> None:
    assert rules.level_rewards_mpt(1, 2) == 200_000
    assert rules.level_rewards_mpt(1, 4) == 200_000 + 300_000 + 400_000
    assert rules.level_rewards_mpt(7, 7) == 0
    assert rules.level_rewards_mpt(1, 1_000) == sum(100_000 * level for level in range(2, 1_001))
    assert rules.level_rewards_mpt(1, 9_490_627) == 100_000 * (9_490_627 * 9_490_628 // 2 - 1) < 2**63


def test_ranks_begin_at_their_levels(rules: ModuleType) -> None:
    expected = {
        1: "Novice",
        5: "Apprentice",
        10: "Adept",
        20: "Expert",
        35: "Master",
        50: "Grandmaster",
        75: "Legend",
        100: "Mythic",
    }
    assert dict(zip(rules.RANK_LEVELS, rules.RANK_NAMES, strict=True)) == expected
    assert [rules.rank_of(level) for level in expected] == list(range(8))
    assert [rules.rank_of(level - 1) for level in list(expected)[1:]] == list(range(7))
    assert rules.rank_of(9_490_627) == 7


def test_energy_cap_and_regeneration(rules: ModuleType) -> None:
    assert [rules.energy_cap(level) for level in (1, 2, 20)] == [1_000, 1_500, 10_500]
    assert [rules.energy_regen_mps(level) for level in (1, 3, 20)] == [1_000, 1_500, 5_750]


@pytest.mark.parametrize(("cap_level", "regen_level", "energy"), [(1, 1, 290), (2, 3, 335)])
def test_energy_after_90_s_from_200(rules: ModuleType, cap_level: int, regen_level: int, energy: int) -> None:
    cap, regen_mps = rules.energy_cap(cap_level), rules.energy_regen_mps(regen_level)
    assert rules.energy_ue_at(200_000_000, 5_000, 95_000, cap, regen_mps) == energy * 1_000_000


def test_energy_stops_at_the_cap_and_stands_still_while_the_clock_is_behind(rules: ModuleType) -> None:
    assert rules.energy_ue_at(999_999_999, 0, 1, 1_000, 1_000) == 1_000_000_000
    assert rules.energy_ue_at(1_000_000_000, 0, rules.MAX_TIME_MS, 10_500, 5_750) == 10_500_000_000
    assert rules.energy_ue_at(10_500_000_000, 0, rules.MAX_TIME_MS, 10_500, 5_750) == 10_500_000_000
    assert rules.energy_ue_at(7_000_000, 60_000, 0, 1_000, 1_000) == 7_000_000


@pytest.mark.parametrize(("after_ms", "taps"), [(0, 0), (1_000, 15), (5_000, 40), (1_000_000_000, 40)])
def test_rate_bucket_from_empty(rules: ModuleType, after_ms: int, taps: int) -> None:
    assert rules.bucket_mt_at(0, 7_000, 7_000 + after_ms) == taps * 1_000


def test_rate_bucket_above_the_burst_only_falls(rules: ModuleType) -> None:
    assert rules.bucket_mt_at(900_000, 0, rules.MAX_TIME_MS) == 900_000
    assert rules.bucket_mt_at(40_000, 0, 1_000) == 40_000
    assert rules.bucket_mt_at(39_999, 0, 1_000) == 40_000
    assert rules.bucket_mt_at(1_000, 60_000, 0) == 1_000


@pytest.mark.parametrize(
    ("bucket_mt", "gap_s", "expected_mt"),
    [
        (0, 0, 0),
        (40_000, 1, 40_000),
        (40_000, 3, 45_000),
        (0, 60, 900_000),
        (0, 10**9, 900_000),
        (900_000, 1, 900_000),
    ],
)
def test_rate_bucket_after_a_gap(rules: ModuleType, bucket_mt: int, gap_s: int, expected_mt: int) -> None:
    assert rules.reconnect_bucket_mt(bucket_mt, gap_s) == expected_mt


@pytest.mark.parametrize(
    ("n", "bonus_bp"), [(0, 0), (49, 0), (50, 500), (100, 26_000), (120, 46_000), (500, 1_130_000), (600, 1_630_000)]
)
def test_combo_prefix_examples(rules: ModuleType, n: int, bonus_bp: int) -> None:
    assert rules.combo_prefix(n) == bonus_bp


def test_combo_prefix_is_the_sum_of_what_each_tap_earns(rules: ModuleType) -> None:
    prefixes = [rules.combo_prefix(n) for n in range(1_200)]
    assert [after - before for before, after in pairwise(prefixes)] == [
        min(5_000, 500 * (tap // 50)) for tap in range(1, 1_200)
    ]


def test_combo_weight(rules: ModuleType) -> None:
    assert rules.combo_weight(0, 20) == 200_000
    assert rules.combo_weight(0, 120) == 1_246_000
    assert rules.combo_weight(0, 5_000) == 73_630_000
    assert rules.combo_weight(100, 20) == 20 * 10_000 + 46_000 - 26_000
    assert rules.combo_weight(10**15 - 900, 900) == 900 * 15_000


def test_generation_bonus_halves_to_nothing(rules: ModuleType) -> None:
    halves = [5_000, 2_500, 1_250, 625, 312, 156, 78, 39, 19, 9, 4, 2, 1, 0, 0]
    assert [rules.generation_bonus_bp(g) for g in range(1, 16)] == halves
    assert rules.generation_bonus_bp(64) == rules.generation_bonus_bp(1_000) == 0


@pytest.mark.parametrize(("days", "bp"), [(0, 0), (1, 0), (2, 100), (8, 700), (31, 3_000), (1_000_000, 3_000)])
def test_streak(rules: ModuleType, days: int, bp: int) -> None:
    assert rules.streak_bp(days) == bp


def test_boost_adds_up_to_its_cap(rules: ModuleType) -> None:
    assert rules.boost_bp(0, 0, 0, 0) == 10_000
    assert rules.boost_bp(700, 1_000, 0, 0) == 11_700
    assert rules.boost_bp(1, 20, 300, 4_000) == 14_321
    assert rules.boost_bp(3_000, 5_000, 10_000, 1_000) == 29_000
    assert rules.boost_bp(3_000, 30_000, 10_000, 1_000) == 30_000


@pytest.mark.parametrize(
    ("minted_pt", "em_bp"),
    [
        (0, 10_000),
        (10**8, 9_090),
        (250_000_000, 8_000),
        (10**9, 5_000),
        (3 * 10**9, 2_500),
        (19 * 10**9, 500),
        (9 * 10**15, 500),
    ],
)
def test_emission(rules: ModuleType, minted_pt: int, em_bp: int) -> None:
    assert rules.emission_bp(minted_pt, BILLION) == em_bp


def test_emission_at_the_largest_scale(rules: ModuleType) -> None:
    assert rules.emission_bp(0, 9 * 10**14) == 10_000
    assert rules.emission_bp(9 * 10**14, 9 * 10**14) == 5_000


def test_emission_without_scale_is_refused(rules: ModuleType) -> None:
    with pytest.raises(ZeroDivisionError):
        rules.emission_bp(0, 0)


def test_multiplier(rules: ModuleType) -> None:
    assert rules.multiplier_bp(0, 10_000, 10_000) == 10_000
    assert rules.multiplier_bp(2_500, 10_700, 8_000) == 10_700
    assert rules.multiplier_bp(2_500, 11_700, 8_000) == 11_700
    assert rules.multiplier_bp(5_000, 30_000, 10_000) == 45_000


def test_example_a_twenty_plain_taps(rules: ModuleType) -> None:
    assert rules.income(1, rules.combo_weight(0, 20), 10_000, 0) == (20_000, 0)


def test_example_b_120_taps_with_every_factor(rules: ModuleType) -> None:
    boost = rules.boost_bp(rules.streak_bp(8), 0, 0, 0)
    m_bp = rules.multiplier_bp(rules.generation_bonus_bp(2), boost, rules.emission_bp(250_000_000, BILLION))
    assert rules.income(3, rules.combo_weight(0, 120), m_bp, 0) == (399_966, 0)


def test_example_split_pays_the_same(rules: ModuleType) -> None:
    paid, carry = [], 0
    for tap in range(3):
        mpt, carry = rules.income(1, rules.combo_weight(tap, 1), 3_333, carry)
        paid.append(mpt)
    assert (paid, carry) == ([333, 333, 333], 90_000_000)
    assert rules.income(1, rules.combo_weight(0, 3), 3_333, 0) == (999, 90_000_000)


def test_the_carry_is_paid_once_it_is_whole(rules: ModuleType) -> None:
    assert rules.income(1, 1, 9_999, 0) == (0, 9_999_000)
    assert rules.income(1, 1, 9_999, 99_999_999) == (1, 9_998_999)


def test_income_of_the_largest_batch_fits(rules: ModuleType) -> None:
    weight = rules.combo_weight(10**9, 900)
    assert rules.income(20, weight, 45_000, 10**8 - 1) == (121_500_000, 10**8 - 1)


def test_soft_cap_examples(rules: ModuleType) -> None:
    worth_pt = {0: 0, 10_000: 10_000, 14_000: 12_000, 30_000: 20_000, 50_000: 22_000}
    assert {raw_pt: rules.soft_cap_mpt(raw_pt * 1_000) // 1_000 for raw_pt in worth_pt} == worth_pt
    assert rules.soft_capped_mpt(9_000_000, 8_000_000) == 4_500_000


def test_example_c_5000_taps_in_one_run(rules: ModuleType) -> None:
    m_bp = rules.multiplier_bp(rules.generation_bonus_bp(2), rules.boost_bp(700, 1_000, 0, 0), 8_000)
    raw_mpt, carry = rules.income(4, rules.combo_weight(0, 5_000), m_bp, 0)
    assert (raw_mpt, carry) == (34_458_840, 0)
    assert rules.soft_capped_mpt(0, raw_mpt) == 20_445_884


def test_soft_cap_at_its_borders_and_its_end(rules: ModuleType) -> None:
    assert [rules.soft_cap_mpt(raw) for raw in (9_999_999, 10_000_001, 10_000_002)] == [
        9_999_999,
        10_000_000,
        10_000_001,
    ]
    assert [rules.soft_cap_mpt(raw) for raw in (29_999_999, 30_000_009, 30_000_010)] == [
        19_999_999,
        20_000_000,
        20_000_001,
    ]
    assert rules.soft_cap_mpt(rules.MAX_MONEY_MPT) == 20_000_000 + (rules.MAX_MONEY_MPT - 30_000_000) // 10


def test_limits_leave_room_in_int64_and_javascript(rules: ModuleType) -> None:
    assert rules.MAX_COUNT == 2**53 - 1
    assert rules.MAX_MONEY_MPT == 9 * 10**15 - 1 < 2**53
    assert rules.MAX_TIME_MS * rules.energy_regen_mps(rules.MAX_UPGRADE_LEVEL) < 2**63
