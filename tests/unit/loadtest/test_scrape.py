import pytest

from loadtest.scrape import parse, quantile_between

BEFORE = """# HELP game_lag_seconds x
game_rows_total 10.0
game_lag_seconds_bucket{le="0.1"} 5.0
game_lag_seconds_bucket{le="1.0"} 6.0
game_lag_seconds_bucket{le="+Inf"} 6.0
python_info{version="3"} 1.0
"""
AFTER = """game_rows_total 25.0
game_lag_seconds_bucket{le="0.1"} 5.0
game_lag_seconds_bucket{le="1.0"} 105.0
game_lag_seconds_bucket{le="+Inf"} 106.0
"""


def test_our_metrics_are_read_and_no_others() -> None:
    assert parse(BEFORE)["game_rows_total"] == 10
    assert not any("python" in name for name in parse(BEFORE))


@pytest.mark.parametrize(("share", "end"), [(0.5, 1.0), (0.99, 1.0), (1.0, float("inf"))])
def test_a_quantile_is_of_what_came_between(share: float, end: float) -> None:
    assert quantile_between(parse(BEFORE), parse(AFTER), "game_lag_seconds", share) == end


def test_without_observations_there_is_no_quantile() -> None:
    assert quantile_between(parse(BEFORE), parse(BEFORE), "game_lag_seconds", 0.99) is None
    assert quantile_between({}, {}, "game_lag_seconds", 0.99) is None
