"""Upgrades and boosts."""

import pytest

from gameserver.game.shop import DOUBLE_MS
from hotpath.rules import DAY_MS, level_start_xp
from persistence.records import Account, LedgerKind
from tests.fakes.lone_player import LonePlayer
from tests.fakes.rich_player import assert_sound, results, rich_player


@pytest.fixture
def player() -> LonePlayer:
    return rich_player()


def test_the_list_tells_what_the_next_purchase_will_cost(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "shop.list")
    [(_, _, offers, _)] = results(origin)
    assert offers["upgrades"] == [
        {"kind": "tap_level", "level": 1, "top_level": 20, "price_mpt": 1_000_000},
        {"kind": "energy_cap", "level": 1, "top_level": 20, "price_mpt": 1_000_000},
        {"kind": "energy_regen", "level": 1, "top_level": 20, "price_mpt": 2_000_000},
        {"kind": "offline", "level": 0, "top_level": 9, "price_mpt": 5_000_000},
    ]
    for seq, offer in enumerate(offers["upgrades"], 2):
        player.act(origin, seq, "upgrade.buy", kind=offer["kind"])
    player.database.flush()
    bought = [told[2] for told in results(origin)]
    assert [(told["price_mpt"], told["level"]) for told in bought] == [
        (offer["price_mpt"], offer["level"] + 1) for offer in offers["upgrades"]
    ]


def test_the_list_tells_the_boosts_of_the_day_and_when_it_ends(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "boost.use", kind="double")
    player.act(origin, 2, "boost.use", kind="full_energy")
    player.act(origin, 3, "boost.use", kind="double")
    player.act(origin, 4, "shop.list")
    player.database.flush()
    (offers,) = (told[2] for told in results(origin) if told[1] == 4)
    assert offers["boosts"] == [
        {"kind": "double", "left_today": 1, "free_per_day": 3},
        {"kind": "full_energy", "left_today": 2, "free_per_day": 3},
    ]
    player.clock.advance(offers["resets_ms"] - player.clock.now_ms())
    player.act(origin, 5, "shop.list")
    [(_, _, offers, _)] = results(origin)
    assert [boost["left_today"] for boost in offers["boosts"]] == [3, 3]


def test_at_the_highest_level_there_is_no_price() -> None:
    player = LonePlayer(offline_level=9)
    origin = player.attach()
    player.act(origin, 1, "shop.list")
    [(_, _, offers, _)] = results(origin)
    assert offers["upgrades"][3] == {"kind": "offline", "level": 9, "top_level": 9, "price_mpt": 0}


def test_income_that_is_not_posted_yet_can_be_spent() -> None:
    player = LonePlayer(xp=level_start_xp(2) - 10)
    origin = player.attach()
    player.tap(origin, 1, 20)  # reaches level 2: 200 PT beside the taps' own 30
    player.actor.state.credit(10**6, minted=False)  # stands for tokens of long ago
    before_mpt = player.actor.state.balance_mpt
    player.actor.state.debit(10**6)
    assert player.actor.state.unposted_mpt > 0
    player.actor.journal.spend(
        player.actor.state, LedgerKind.UPGRADE, "upgrade:x", before_mpt - 10**6, Account.BURN, player.clock.now_ms()
    )
    player.actor.touched()
    player.database.flush()
    assert player.row.columns.balance_mpt == 0
    assert [posting.kind for posting in player.row.postings] == ["level_reward", "tap_income", "upgrade"]
    assert_sound(player)


def test_who_cannot_pay_keeps_everything() -> None:
    player = LonePlayer()
    origin = player.attach()
    before = player.numbers
    player.act(origin, 1, "upgrade.buy", kind="offline")
    player.database.flush()
    assert results(origin) == [("error", 1, "insufficient", 0)]
    assert player.numbers == before


def test_the_highest_level_is_the_last() -> None:
    player = LonePlayer(offline_level=9)
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="offline")
    player.database.flush()
    assert results(origin) == [("error", 1, "conflict", 0)]


def test_more_regeneration_counts_from_now_on(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1, 40)
    player.clock.advance(10_000)
    player.act(origin, 2, "upgrade.buy", kind="energy_regen")
    now_ms = player.clock.now_ms()
    assert player.actor.state.energy(now_ms) == 970
    assert player.actor.state.energy(now_ms + 8_000) == 980


def test_a_full_refill_and_a_doubling(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1, 40)
    player.act(origin, 2, "boost.use", kind="full_energy")
    player.act(origin, 3, "boost.use", kind="double")
    player.act(origin, 4, "boost.use", kind="double")
    player.database.flush()
    refill, first, second = (told[2] for told in results(origin) if told[0] == "result")
    now_ms = player.clock.now_ms()
    assert refill == {"kind": "full_energy", "left_today": 2, "state": {"energy": 1_000}}
    assert first["left_today"] == 2
    assert first["state"]["multiplier_bp"] == 2 * player.actor.snapshot(now_ms + 10**9).multiplier_bp
    assert second["state"] == {"double_until_ms": now_ms + 2 * DOUBLE_MS}
    assert player.row.limits is not None
    assert (player.row.limits.doubles, player.row.limits.refills) == (2, 1)


def test_the_days_boosts_are_counted_over_reloads_and_come_back_the_next_day(player: LonePlayer) -> None:
    origin = player.attach()
    for seq in range(1, 5):
        player.act(origin, seq, "boost.use", kind="full_energy")
    player.database.flush()
    assert [told[0] for told in results(origin)] == ["result"] * 3 + ["error"]
    player.load()
    back = player.attach()
    player.act(back, 5, "boost.use", kind="full_energy")
    player.clock.advance(DAY_MS)
    player.act(back, 6, "boost.use", kind="full_energy")
    player.clock.advance(-2 * DAY_MS)
    player.act(back, 7, "boost.use", kind="full_energy")
    player.database.flush()
    refused, fresh, as_that_day = results(back)
    assert refused[:3] == ("error", 5, "conflict")
    assert (fresh[2]["left_today"], as_that_day[2]["left_today"]) == (2, 1)
