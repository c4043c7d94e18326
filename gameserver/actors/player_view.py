"""A player as clients see it."""

import msgspec

from gameserver.wire.messages import State
from hotpath import rules
from hotpath.player_state import PlayerState, World


def view_of(state: PlayerState, world: World, now_ms: int) -> State:
    """The state as clients see it: whole, and right for `now_ms`."""
    return State(
        tokens_mpt=state.balance_mpt,
        xp=state.xp,
        level=state.level,
        rank=rules.RANK_NAMES[state.rank],
        energy=state.energy(now_ms),
        energy_cap=state.energy_cap,
        energy_regen_mps=state.energy_regen_mps,
        combo=state.combo_at(now_ms),
        generation=state.generation,
        tap_level=state.tap_level,
        multiplier_bp=state.multiplier_bp(now_ms, world),
        streak_days=state.streak_days,
        energy_cap_level=state.energy_cap_level,
        energy_regen_level=state.energy_regen_level,
        offline_level=state.offline_level,
        double_until_ms=state.double_until_ms,
    )


def changed_keys(before: State, after: State) -> dict[str, int | str]:
    """The keys whose values are other than they were, by their names on the wire."""
    was, now = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return {key: value for key, value in now.items() if value != was[key]}
