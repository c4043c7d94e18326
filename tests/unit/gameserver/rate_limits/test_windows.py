"""Windows for many: memory is bounded, and nobody is forgotten without need."""

from hypothesis import given
from hypothesis import strategies as st

from gameserver.rate_limits.table import Limit, LimitClass, Scope
from gameserver.rate_limits.windows import Windows

LIMIT = Limit(Scope.ADDRESS, LimitClass.HELLO, 2, 10, "")


def test_each_subject_has_a_window_of_its_own() -> None:
    windows = Windows(LIMIT)
    windows.of("a", 0).acquire(0)
    assert windows.of("a", 0) is windows.of("a", 0)
    assert windows.of("a", 0) is not windows.of("b", 0)
    assert len(windows) == 2


def test_a_flood_of_subjects_takes_no_more_than_there_is() -> None:
    windows = Windows(LIMIT, 100)
    for number in range(10_000):
        windows.of(number, 0).acquire(0)
    assert len(windows) == 100
    assert windows.forgotten_total == 9_900


def test_who_is_asked_for_again_and_again_is_not_forgotten_in_a_flood() -> None:
    windows = Windows(LIMIT, 10)
    for _ in range(2):
        windows.of("guesser", 0).acquire(0)
    for number in range(1_000):
        windows.of(number, 0).acquire(0)
        if number % 5 == 0:
            assert windows.of("guesser", 0).wait_ms(0) > 0


def test_those_for_whom_nothing_counts_any_more_go_as_others_come() -> None:
    windows = Windows(LIMIT)
    for number in range(1_000):
        windows.of(number, 0).acquire(0)
    for number in range(1_000, 1_500):
        windows.of(number, 20_000).acquire(20_000)
    assert len(windows) <= 502
    assert windows.forgotten_total == 0


@given(
    places=st.integers(1, 6),
    moves=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 15_000)), max_size=60),
)
def test_no_more_than_its_places_and_only_the_oldest_are_forgotten(places: int, moves: list[tuple[int, int]]) -> None:
    windows, now_ms = Windows(LIMIT, places), 0
    for subject, delta_ms in moves:
        now_ms += delta_ms
        windows.of(subject, now_ms).acquire(now_ms)
        assert 1 <= len(windows) <= places
        assert next(reversed(windows._by_subject)) == subject
