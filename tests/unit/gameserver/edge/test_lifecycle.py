"""The transition table, exhaustively."""

import itertools

import pytest

from gameserver.edge.lifecycle import TRANSITIONS, Happening, State

EXPECTED = {
    (State.OPENING, Happening.WELCOMED): State.LIVE,
    (State.OPENING, Happening.ENDED): State.DRAINING,
    (State.OPENING, Happening.GONE): State.CLOSED,
    (State.LIVE, Happening.ENDED): State.DRAINING,
    (State.LIVE, Happening.GONE): State.CLOSED,
    (State.DRAINING, Happening.GONE): State.CLOSED,
}


@pytest.mark.parametrize(("state", "happening"), list(itertools.product(State, Happening)))
def test_every_pair(state: State, happening: Happening) -> None:
    assert TRANSITIONS[state].get(happening) is EXPECTED.get((state, happening))


def test_every_state_is_in_the_table_and_closed_is_final() -> None:
    assert set(TRANSITIONS) == set(State)
    assert not TRANSITIONS[State.CLOSED]
