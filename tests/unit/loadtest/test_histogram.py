import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest._histogram_c import LONGEST_BITS, Histogram


def of(*values_ns: int) -> Histogram:
    histogram = Histogram()
    for value_ns in values_ns:
        histogram.add(value_ns)
    return histogram


def test_without_values_everything_is_zero() -> None:
    empty = Histogram()
    assert (empty.count, empty.highest_ns, empty.quantile_ns(0.99), empty.mean_ns()) == (0, 0, 0, 0.0)


def test_small_values_are_exact() -> None:
    histogram = of(*range(1, 101))
    assert [histogram.quantile_ns(share) for share in (0.0, 0.01, 0.5, 0.99, 1.0)] == [1, 1, 50, 99, 100]
    assert histogram.mean_ns() == 50.5


@given(st.lists(st.integers(0, 2**LONGEST_BITS - 1), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_off_by_less_than_one_percent(values_ns: list[int], share: float) -> None:
    ordered = sorted(values_ns)
    exact = ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
    assert of(*values_ns).quantile_ns(share) == pytest.approx(exact, rel=0.01, abs=0)


def test_the_highest_value_is_exact_and_no_quantile_is_above_it() -> None:
    values_ns = [random.Random(1).randrange(10**9) for _ in range(1_000)]
    histogram = of(*values_ns)
    assert histogram.highest_ns == max(values_ns)
    assert histogram.quantile_ns(1.0) <= max(values_ns)


def test_beyond_the_range_the_highest_value_stands_for_all() -> None:
    histogram = of(1, 2**LONGEST_BITS, 2**62)
    assert histogram.quantile_ns(0.9) == histogram.highest_ns == 2**62


def test_clearing_forgets() -> None:
    histogram = of(5, 6)
    histogram.clear()
    assert (histogram.count, histogram.highest_ns, histogram.quantile_ns(1.0), histogram.mean_ns()) == (0, 0, 0, 0.0)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_between_none_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        of(1).quantile_ns(share)
