"""Prices of upgrades."""

import pytest

from gameserver.game.shop import COLUMN_OF, Upgrade, first_level, top_level, upgrade_price_mpt
from hotpath.player_state import UPGRADE_COLUMNS
from hotpath.rules import MAX_MONEY_MPT


@pytest.mark.parametrize(
    ("upgrade", "level", "price_pt"),
    [
        (Upgrade.TAP_LEVEL, 1, 1_000),
        (Upgrade.TAP_LEVEL, 2, 2_000),
        (Upgrade.TAP_LEVEL, 19, 262_144_000),
        (Upgrade.ENERGY_CAP, 1, 1_000),
        (Upgrade.ENERGY_REGEN, 1, 2_000),
        (Upgrade.ENERGY_REGEN, 3, 8_000),
        (Upgrade.OFFLINE, 0, 5_000),
        (Upgrade.OFFLINE, 8, 1_280_000),
    ],
)
def test_each_step_costs_twice_the_one_before(upgrade: Upgrade, level: int, price_pt: int) -> None:
    assert upgrade_price_mpt(upgrade, level) == price_pt * 1_000


@pytest.mark.parametrize("upgrade", Upgrade)
def test_there_is_a_price_for_every_step_and_for_no_other(upgrade: Upgrade) -> None:
    for level in range(first_level(upgrade), top_level(upgrade)):
        assert 0 < upgrade_price_mpt(upgrade, level) <= MAX_MONEY_MPT
    for level in (first_level(upgrade) - 1, top_level(upgrade)):
        with pytest.raises(ValueError, match="no step"):
            upgrade_price_mpt(upgrade, level)


def test_what_is_sold_is_what_a_player_has() -> None:
    assert set(COLUMN_OF.values()) == set(UPGRADE_COLUMNS)
    assert [(first_level(upgrade), top_level(upgrade)) for upgrade in Upgrade] == [(1, 20), (1, 20), (1, 20), (0, 9)]
