"""Simulated people stay below the threshold of suspicion, the bots that the rules of the game name are found.

The distributions stand in tappers.py and crowds.py and are told in docs/security.md, where these rates are published.
"""

import pytest

from tests.simulation.rates import Rate, crowds, measure, share_over

pytestmark = pytest.mark.slow

PEOPLE, OF_EACH = 100, 5
CROWDS = crowds(PEOPLE, OF_EACH)


def over(rates: list[Rate]) -> dict[str, int]:
    return {rate.kind: rate.over for rate in rates if rate.over}


def missed(rates: list[Rate]) -> dict[str, int]:
    return {rate.kind: rate.tappers - rate.over for rate in rates if rate.over < rate.tappers}


def test_no_ordinary_person_is_accused_or_comes_near() -> None:
    rates = measure(CROWDS["ordinary people"])
    assert share_over(rates) == f"0 of {PEOPLE}"
    assert max(rate.top_score for rate in rates) < 3_000


def test_nobody_is_accused_for_an_honest_oddity() -> None:
    rates = measure(CROWDS["odd people"])
    assert share_over(rates) == f"0 of {8 * OF_EACH}", over(rates)


def test_the_bots_that_the_rules_name_are_found() -> None:
    rates = measure(CROWDS["bots"])
    assert share_over(rates) == f"{8 * OF_EACH} of {8 * OF_EACH}", missed(rates)


def test_bots_that_take_more_trouble_are_not_found_by_their_taps_alone() -> None:
    """What the signals cannot do is said as well: who finds a way to do better may change this."""
    rates = measure(CROWDS["imitators"])
    assert share_over(rates) == f"0 of {3 * OF_EACH}", over(rates)
