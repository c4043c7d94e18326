"""One player's state under taps: who is paid what, what regenerates, what is clamped, what is undone."""

from collections.abc import Callable
from dataclasses import fields
from types import ModuleType
from typing import Any

import pytest

from persistence.records import PlayerColumns
from tests.unit.hotpath.conftest import NEW_PLAYER, NOON_MS

NewPlayer = Callable[..., Any]


def money(player: Any) -> tuple[int, int, int]:
    return player.balance_mpt, player.unposted_mpt, player.lifetime_mpt


def test_example_a_twenty_plain_taps(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player()
    assert player.apply_taps(20, NOON_MS, player_state.World()) == 20
    assert money(player) == (20_000, 20_000, 20_000)
    assert (player.xp, player.level, player.taps, player.combo) == (20, 1, 20, 20)
    assert (player.energy_ue, player.bucket_mt) == (980_000_000, 20_000)
    assert (player.energy_at_ms, player.bucket_at_ms, player.last_tap_at_ms) == (NOON_MS, NOON_MS, NOON_MS)
    assert (player.raw_day, player.raw_today_mpt, player.tap_carry) == (NOON_MS // 86_400_000, 20_000, 0)
    assert player.revision == 1


def test_example_b_level_rewards_count_as_posted(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(bucket_mt=900_000, tap_level=3, generation=2, streak_days=8)
    world = player_state.World(emission_bp=8_000)
    assert player.multiplier_bp(NOON_MS, world) == 10_700
    assert player.apply_taps(120, NOON_MS, world) == 120
    # 120 XP pass level 2, which pays 200 PT without any multiplier.
    assert (player.level, money(player)) == (2, (599_966, 399_966, 599_966))


def test_example_c_a_long_run_under_the_soft_cap(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(energy_cap_level=9, energy_ue=5_000_000_000, tap_level=4, generation=2, streak_days=8)
    world = player_state.World(emission_bp=8_000, event_bp=1_000)
    now_ms = NOON_MS
    for _ in range(125):
        assert player.apply_taps(40, now_ms, world) == 40
        now_ms += 2_667
    assert (player.combo, player.xp, player.level) == (5_000, 5_000, 8)
    assert (player.raw_today_mpt, player.unposted_mpt) == (34_458_840, 20_445_884)
    assert player.balance_mpt - player.unposted_mpt == 100_000 * (2 + 3 + 4 + 5 + 6 + 7 + 8)


def test_example_split_pays_the_same(player_state: ModuleType, new_player: NewPlayer) -> None:
    world = player_state.World(emission_bp=3_333)
    one_by_one, at_once = new_player(), new_player()
    for paid in (333, 666, 999):
        one_by_one.apply_taps(1, NOON_MS, world)
        assert one_by_one.balance_mpt == paid
    at_once.apply_taps(3, NOON_MS, world)
    assert one_by_one.columns() == at_once.columns()
    assert at_once.tap_carry == 90_000_000


def test_several_levels_at_once_pay_each_of_them(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(bucket_mt=900_000)
    player.apply_taps(900, NOON_MS, player_state.World())
    assert player.level == 4
    assert player.balance_mpt - player.unposted_mpt == 200_000 + 300_000 + 400_000


@pytest.mark.parametrize(
    ("claimed", "bucket_mt", "energy_ue", "accepted"),
    [
        (50, 40_000, 1_000_000_000, 40),
        (10, 40_999, 9_999_999, 9),
        (10, 999, 1_000_000_000, 0),
        (10, 40_000, 999_999, 0),
        (0, 40_000, 1_000_000_000, 0),
        (2**62, 900_000, 1_000_000_000, 900),
    ],
)
def test_accepted_is_the_least_of_claim_bucket_and_energy(
    player_state: ModuleType, new_player: NewPlayer, claimed: int, bucket_mt: int, energy_ue: int, accepted: int
) -> None:
    player = new_player(bucket_mt=bucket_mt, energy_ue=energy_ue)
    assert player.apply_taps(claimed, NOON_MS, player_state.World()) == accepted
    assert player.taps == player.xp == accepted


def test_nothing_accepted_changes_nothing(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(bucket_mt=0)
    before = player.columns()
    assert player.apply_taps(100, NOON_MS, player_state.World()) == 0
    assert (player.columns(), player.revision) == (before, 0)


def test_energy_and_bucket_come_back_with_time(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(energy_ue=200_000_000, bucket_mt=0)
    later_ms = NOON_MS + 90_000
    assert (player.energy(NOON_MS), player.energy(later_ms)) == (200, 290)
    assert player.apply_taps(100, later_ms, player_state.World()) == 40
    assert (player.energy_ue, player.energy_at_ms) == (250_000_000, later_ms)
    assert (player.bucket_mt, player.bucket_at_ms) == (0, later_ms)
    assert player.energy_cap == 1_000
    upgraded = new_player(energy_ue=200_000_000, energy_cap_level=2, energy_regen_level=3)
    assert (upgraded.energy(later_ms), upgraded.energy_cap, upgraded.energy_regen_mps) == (335, 1_500, 1_500)


def test_a_full_bar_stays_full_to_the_end_of_time(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(energy_ue=10_500_000_000, energy_at_ms=0, energy_cap_level=20, energy_regen_level=20)
    end_ms = player_state.FIELD_RANGES["energy_at_ms"][1]
    assert player.energy(end_ms) == 10_500
    assert player.apply_taps(40, end_ms, player_state.World()) == 40
    assert player.energy(end_ms) == 10_460


@pytest.mark.parametrize(("pause_ms", "combo"), [(0, 70), (3_000, 70), (3_001, 20)])
def test_a_pause_over_3_s_ends_the_run(
    player_state: ModuleType, new_player: NewPlayer, pause_ms: int, combo: int
) -> None:
    player = new_player(combo=50, last_tap_at_ms=NOON_MS)
    assert player.combo_at(NOON_MS + pause_ms) == combo - 20
    player.apply_taps(20, NOON_MS + pause_ms, player_state.World())
    assert player.combo == combo


def test_refused_taps_do_not_prolong_a_run(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(combo=50, last_tap_at_ms=NOON_MS, energy_ue=0)
    assert player.apply_taps(5, NOON_MS + 999, player_state.World()) == 0
    assert player.combo_at(NOON_MS + 3_001) == 0


def test_boosts_add_up_and_the_double_ends_in_time(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(streak_days=8, double_until_ms=NOON_MS + 60_000, community_bp=300)
    world = player_state.World(event_bp=1_000)
    assert player.multiplier_bp(NOON_MS + 59_999, world) == 10_000 + 700 + 1_000 + 10_000 + 300
    assert player.multiplier_bp(NOON_MS + 60_000, world) == 10_000 + 700 + 1_000 + 300
    world.emission_bp = 5_000
    world.event_bp = 0
    assert player.multiplier_bp(NOON_MS + 60_000, world) == 5_500


def test_the_soft_cap_starts_anew_each_utc_day_and_never_goes_back(
    player_state: ModuleType, new_player: NewPlayer
) -> None:
    world = player_state.World()
    day = NOON_MS // 86_400_000
    player = new_player(raw_day=day, raw_today_mpt=30_000_000)
    player.apply_taps(10, NOON_MS, world)
    assert (player.unposted_mpt, player.raw_today_mpt) == (1_000, 30_010_000)
    midnight_ms = (day + 1) * 86_400_000
    player.apply_taps(10, midnight_ms, world)
    assert (player.unposted_mpt, player.raw_day, player.raw_today_mpt) == (11_000, day + 1, 10_000)
    player.apply_taps(10, midnight_ms - 1, world)
    assert (player.raw_day, player.raw_today_mpt) == (day + 1, 20_000)


def test_a_clock_that_goes_back_gives_nothing_twice(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(bucket_mt=20_000, energy_ue=100_000_000)
    assert player.apply_taps(5, NOON_MS - 60_000, player_state.World()) == 5
    assert (player.energy_ue, player.energy_at_ms) == (95_000_000, NOON_MS)
    assert (player.bucket_mt, player.bucket_at_ms) == (15_000, NOON_MS)
    player.apply_taps(5, NOON_MS, player_state.World())
    player.apply_taps(5, NOON_MS - 1, player_state.World())
    # The first batch was a minute before the others, so the run began anew with the second.
    assert (player.energy(NOON_MS), player.bucket_mt, player.combo) == (85, 5_000, 10)
    assert player.last_tap_at_ms == NOON_MS


@pytest.mark.parametrize(
    ("bucket_mt", "last_tap_at_ms", "reopened_mt"),
    [
        (0, 0, 900_000),
        (0, NOON_MS, 0),
        (0, NOON_MS - 3_999, 45_000),
        (0, NOON_MS - 86_400_000, 900_000),
        (40_000, NOON_MS - 1_000, 40_000),
        (0, NOON_MS + 5_000, 0),
    ],
)
def test_a_reconnect_makes_room_for_the_gap(
    new_player: NewPlayer, bucket_mt: int, last_tap_at_ms: int, reopened_mt: int
) -> None:
    player = new_player(bucket_mt=bucket_mt, last_tap_at_ms=last_tap_at_ms)
    player.reopen_bucket(NOON_MS)
    assert (player.bucket_mt, player.bucket_at_ms, player.revision) == (reopened_mt, NOON_MS, 1)


def test_reopening_brings_the_bucket_forward_first(new_player: NewPlayer) -> None:
    player = new_player(bucket_mt=0, last_tap_at_ms=NOON_MS)
    player.reopen_bucket(NOON_MS + 1_500)
    assert (player.bucket_mt, player.bucket_at_ms) == (22_500, NOON_MS + 1_500)


def test_fill_energy(new_player: NewPlayer) -> None:
    player = new_player(energy_ue=0, energy_cap_level=3)
    player.fill_energy(NOON_MS + 5)
    assert (player.energy(NOON_MS + 5), player.energy_at_ms, player.revision) == (2_000, NOON_MS + 5, 1)
    player.fill_energy(NOON_MS)
    assert player.energy_at_ms == NOON_MS + 5


def test_being_seen_only_moves_forward(new_player: NewPlayer) -> None:
    player = new_player()
    player.mark_seen(NOON_MS)
    player.mark_seen(NOON_MS - 1)
    assert (player.last_seen_ms, player.revision) == (NOON_MS, 2)


def test_taking_the_unposted_income_leaves_the_balance(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player()
    player.apply_taps(20, NOON_MS, player_state.World())
    assert player.take_unposted() == 20_000
    assert (money(player), player.revision) == ((20_000, 0, 20_000), 2)


def test_rank_follows_the_level(new_player: NewPlayer) -> None:
    assert [new_player(xp=xp).rank for xp in (0, 1_600, 8_100, 980_100)] == [0, 1, 2, 7]


def test_a_failed_turn_is_undone_in_place(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(community_bp=70)
    world = player_state.World()
    player.apply_taps(7, NOON_MS, world)
    before, snapshot = player.columns(), player.snapshot()
    player.apply_taps(20, NOON_MS + 1, world)
    player.fill_energy(NOON_MS + 2)
    assert snapshot.columns() == before != player.columns()
    player.restore(snapshot)
    restored = (player.columns(), player.revision, player.level, player.generation, player.community_bp)
    assert restored == (before, 1, 1, 14, 70)
    player.apply_taps(1, NOON_MS + 3, world)
    assert snapshot.columns() == before


def test_money_stops_at_its_limit_income_first(player_state: ModuleType, new_player: NewPlayer) -> None:
    limit_mpt = player_state.FIELD_RANGES["balance_mpt"][1]
    assert limit_mpt == 9 * 10**15 - 1
    # 100 taps of one run earn 102 600 mPT and pass level 2, which pays 200 000 mPT.
    player = new_player(balance_mpt=limit_mpt - 100_000, lifetime_mpt=limit_mpt - 5, bucket_mt=900_000)
    player.apply_taps(100, NOON_MS, player_state.World())
    assert money(player) == (limit_mpt, 100_000, limit_mpt)
    player = new_player(balance_mpt=limit_mpt - 130_000, bucket_mt=900_000)
    player.apply_taps(100, NOON_MS, player_state.World())
    assert money(player) == (limit_mpt, 102_600, 130_000)


def test_every_field_at_its_highest_survives_a_tap(player_state: ModuleType) -> None:
    highest = {name: high for name, (_, high) in player_state.FIELD_RANGES.items()}
    player = player_state.PlayerState(**highest)
    world = player_state.World(emission_bp=10_000, event_bp=30_000)
    assert player.apply_taps(2**63 - 1, highest["last_tap_at_ms"], world) == 900
    for name in player_state.COLUMN_NAMES:
        low, high = player_state.FIELD_RANGES[name]
        assert low <= getattr(player, name) <= high, name
    assert (player.xp, player.taps, player.combo) == (2**53 - 1, 2**53 - 1, 10**9)
    assert money(player) == (9 * 10**15 - 1,) * 3


def test_the_largest_batch_earns_what_the_domain_says(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player(
        bucket_mt=900_000, tap_level=20, generation=1, streak_days=31, combo=10**9, last_tap_at_ms=NOON_MS
    )
    player.apply_taps(900, NOON_MS, player_state.World(event_bp=30_000))
    assert player.raw_today_mpt == 121_500_000
    assert player.unposted_mpt == 20_000_000 + 9_150_000


def test_columns_are_those_that_are_stored(player_state: ModuleType, new_player: NewPlayer) -> None:
    assert tuple(field.name for field in fields(PlayerColumns)) == player_state.COLUMN_NAMES
    player = new_player(xp=77, raw_day=5)
    assert PlayerColumns(*player.columns()) == PlayerColumns(
        **{name: value for name, value in NEW_PLAYER.items() if name != "generation"} | {"xp": 77, "raw_day": 5}
    )


@pytest.mark.parametrize("name", [*NEW_PLAYER, "community_bp"])
@pytest.mark.parametrize("wrong", ["below", "above", True, 1.0, None, 2**63, -(2**70)])
def test_a_field_outside_its_range_is_named(
    player_state: ModuleType, new_player: NewPlayer, name: str, wrong: object
) -> None:
    low, high = player_state.FIELD_RANGES[name]
    value = {"below": low - 1, "above": high + 1}.get(wrong, wrong) if isinstance(wrong, str) else wrong
    with pytest.raises(ValueError, match=f"{name} must be an integer from {low} to {high}, not {value}"):
        new_player(**{name: value})


def test_more_unposted_than_there_is_is_refused(new_player: NewPlayer) -> None:
    with pytest.raises(ValueError, match="unposted_mpt must be at most balance_mpt = 5, not 6"):
        new_player(balance_mpt=5, unposted_mpt=6)


def test_a_missing_or_unknown_field_is_refused(player_state: ModuleType) -> None:
    with pytest.raises(TypeError, match="balance_mpt"):
        player_state.PlayerState(**{name: value for name, value in NEW_PLAYER.items() if name != "balance_mpt"})
    with pytest.raises(TypeError, match="luck"):
        player_state.PlayerState(**NEW_PLAYER, luck=1)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("emission_bp", 499), ("emission_bp", 10_001), ("event_bp", -1), ("event_bp", 30_001), ("event_bp", True)],
)
def test_the_world_keeps_its_ranges(player_state: ModuleType, name: str, wrong: int) -> None:
    world = player_state.World()
    with pytest.raises(ValueError, match=f"{name} must be an integer from"):
        setattr(world, name, wrong)
    with pytest.raises(ValueError, match=f"{name} must be an integer from"):
        player_state.World(**{name: wrong})
    assert (world.emission_bp, world.event_bp) == (10_000, 0)


def test_a_cursor_only_moves_forward(player_state: ModuleType) -> None:
    cursor = player_state.Cursor(5)
    assert (cursor.applied_seq, cursor.durable_seq) == (5, 5)
    assert [cursor.advance(seq) for seq in (6, 6, 3, 9)] == [True, False, False, True]
    cursor.confirm(6)
    assert (cursor.applied_seq, cursor.durable_seq) == (9, 6)
    cursor.confirm(4)
    assert cursor.durable_seq == 6
    cursor.confirm(2**32 - 1)
    assert (cursor.applied_seq, cursor.durable_seq) == (9, 9)


def test_what_a_flush_has_taken_of_a_cursor(player_state: ModuleType) -> None:
    cursor = player_state.Cursor(5)
    assert cursor.taken_seq == 5
    cursor.advance(7)
    assert (cursor.applied_seq, cursor.taken_seq) == (7, 5)
    cursor.take()
    cursor.confirm(6)
    assert (cursor.applied_seq, cursor.taken_seq, cursor.durable_seq) == (7, 7, 6)


def test_waiting_for_a_flush_is_no_part_of_the_state(player_state: ModuleType, new_player: NewPlayer) -> None:
    player = new_player()
    assert player.awaiting_flush is False
    before = player.snapshot()
    player.awaiting_flush = True
    assert player.snapshot().awaiting_flush is before.awaiting_flush is False
    player.restore(before)
    assert player.awaiting_flush is True
    assert player.revision == 0
    assert "awaiting_flush" not in player_state.COLUMN_NAMES


def test_a_cursor_of_an_unknown_lineage_begins_at_0(player_state: ModuleType) -> None:
    cursor = player_state.Cursor()
    assert (cursor.applied_seq, cursor.durable_seq) == (0, 0)
    assert cursor.advance(2**32 - 2) is True
    assert cursor.applied_seq == 2**32 - 2


@pytest.mark.parametrize("seq", [-1, 2**32, True])
def test_a_cursor_refuses_what_is_no_sequence_number(player_state: ModuleType, seq: int) -> None:
    with pytest.raises(ValueError, match="applied_seq must be an integer from 0 to 4294967295"):
        player_state.Cursor(seq)
