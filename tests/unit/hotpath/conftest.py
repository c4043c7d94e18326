"""Every test here runs over both twins: `py`, the readable specification, and `c`, what the façade exposes."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import hotpath.player_state
import hotpath.player_writes
import hotpath.rate_limit
import hotpath.rules
import hotpath.tap_codec
import hotpath.tap_signals
from hotpath import _player_state_py, _player_writes_py, _rate_limit_py, _rules_py, _tap_codec_py, _tap_signals_py

NOON_MS = 1_767_268_800_000  # 2026-01-01 12:00 UTC

NEW_PLAYER: dict[str, int] = {
    "balance_mpt": 0,
    "unposted_mpt": 0,
    "lifetime_mpt": 0,
    "xp": 0,
    "taps": 0,
    "tap_level": 1,
    "energy_cap_level": 1,
    "energy_regen_level": 1,
    "offline_level": 0,
    "energy_ue": 1_000_000_000,
    "energy_at_ms": NOON_MS,
    "bucket_mt": 40_000,
    "bucket_at_ms": NOON_MS,
    "combo": 0,
    "last_tap_at_ms": 0,
    "tap_carry": 0,
    "raw_day": 0,
    "raw_today_mpt": 0,
    "streak_days": 0,
    "double_until_ms": 0,
    "last_seen_ms": 0,
    "generation": 14,  # no bonus
}


@pytest.fixture(scope="session", params=[_rules_py, hotpath.rules], ids=["py", "c"])
def rules(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


@pytest.fixture(scope="session", params=[_player_state_py, hotpath.player_state], ids=["py", "c"])
def player_state(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


@pytest.fixture(
    scope="session",
    params=[(_player_writes_py, _player_state_py), (hotpath.player_writes, hotpath.player_state)],
    ids=["py", "c"],
)
def writing(request: pytest.FixtureRequest) -> tuple[ModuleType, ModuleType]:
    """`player_writes` and the `player_state` that belongs to it."""
    modules: tuple[ModuleType, ModuleType] = request.param
    return modules


@pytest.fixture(scope="session", params=[_tap_codec_py, hotpath.tap_codec], ids=["py", "c"])
def tap_codec(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


@pytest.fixture(scope="session", params=[_rate_limit_py, hotpath.rate_limit], ids=["py", "c"])
def rate_limit(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


@pytest.fixture(
    scope="session",
    params=[(_tap_signals_py, _player_state_py), (hotpath.tap_signals, hotpath.player_state)],
    ids=["py", "c"],
)
def signalling(request: pytest.FixtureRequest) -> tuple[ModuleType, ModuleType]:
    """`tap_signals` and the `player_state` that belongs to it."""
    modules: tuple[ModuleType, ModuleType] = request.param
    return modules


@pytest.fixture(scope="session")
def new_player(player_state: ModuleType) -> Callable[..., Any]:
    """A player at noon with full energy and bucket and no bonus at all, but for the fields given."""

    def build(**fields: int) -> Any:
        return player_state.PlayerState(**(NEW_PLAYER | fields))

    return build
