"""Upgrades and free boosts (game rules, "Sinks" and "Boost")."""

from enum import StrEnum
from typing import Final

from hotpath.player_state import FIELD_RANGES
from hotpath.rules import MPT_PER_PT

DOUBLE_MS: Final = 60_000  #: the ×2 boost runs so long
FREE_BOOSTS_PER_DAY: Final = 3  #: of each kind


class Upgrade(StrEnum):
    """What can be raised by a level."""

    TAP_LEVEL = "tap_level"  #: tokens per tap
    ENERGY_CAP = "energy_cap"  #: energy that fits
    ENERGY_REGEN = "energy_regen"  #: energy that comes back
    OFFLINE = "offline"  #: hours of passive income


class Boost(StrEnum):
    """What is free a few times a day."""

    DOUBLE = "double"  #: ×2 for 60 s
    FULL_ENERGY = "full_energy"  #: energy to its cap


#: The number of a player that an upgrade raises.
COLUMN_OF: Final = {
    Upgrade.TAP_LEVEL: "tap_level",
    Upgrade.ENERGY_CAP: "energy_cap_level",
    Upgrade.ENERGY_REGEN: "energy_regen_level",
    Upgrade.OFFLINE: "offline_level",
}


#: What the first step costs; each later one costs twice the one before.
_FIRST_PRICE_PT: Final = {
    Upgrade.TAP_LEVEL: 1_000,
    Upgrade.ENERGY_CAP: 1_000,
    Upgrade.ENERGY_REGEN: 2_000,
    Upgrade.OFFLINE: 5_000,
}


def first_level(upgrade: Upgrade) -> int:
    """The level everybody starts at."""
    return FIELD_RANGES[COLUMN_OF[upgrade]][0]


def top_level(upgrade: Upgrade) -> int:
    """The highest level there is."""
    return FIELD_RANGES[COLUMN_OF[upgrade]][1]


def upgrade_price_mpt(upgrade: Upgrade, level: int) -> int:
    """What the step from `level` to the next costs, in mPT; all of it is burned.

    Args:
        upgrade: what is raised.
        level: its present level, below `top_level`.

    Raises:
        ValueError: there is no next level.
    """
    if not first_level(upgrade) <= level < top_level(upgrade):
        raise ValueError(f"{upgrade} has no step from level {level}")
    return _FIRST_PRICE_PT[upgrade] * MPT_PER_PT << (level - first_level(upgrade))
