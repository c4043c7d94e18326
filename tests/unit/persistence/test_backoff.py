"""Pauses between attempts."""

from persistence.backoff import FIRST_S, MAX_S, pause_s


def test_the_ceiling_doubles_up_to_its_end_and_pauses_fill_all_below_it() -> None:
    for attempt, ceiling_s in [(0, FIRST_S), (1, 2 * FIRST_S), (3, 8 * FIRST_S), (6, MAX_S), (10_000, MAX_S)]:
        pauses_s = [pause_s(attempt) for _ in range(500)]
        assert 0 <= min(pauses_s) < ceiling_s / 10
        assert ceiling_s * 0.9 < max(pauses_s) <= ceiling_s
        assert len(set(pauses_s)) > 490


def test_the_end_of_the_ceiling_can_be_lower() -> None:
    assert max(pause_s(9, 0.1) for _ in range(500)) <= 0.1
