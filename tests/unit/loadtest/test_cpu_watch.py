import os

import pytest

from loadtest.cpu_watch import CpuShare, CpuWatch, Watched, share_of


def test_mean_and_highest_share() -> None:
    points = [(10.0, 5.0), (10.5, 5.1), (11.0, 5.6), (12.0, 5.6)]
    assert share_of(points, 0.0) == pytest.approx(CpuShare(0.3, 1.0))
    assert share_of(points, 10.8) == pytest.approx(CpuShare(0.0, 0.0))


@pytest.mark.parametrize("points", [[], [(1.0, 1.0)]])
def test_too_few_points_are_no_share(points: list[tuple[float, float]]) -> None:
    assert share_of(points, 0.0) == CpuShare(0.0, 0.0)


def test_a_group_whose_member_ended_has_no_negative_share() -> None:
    assert share_of([(0.0, 9.0), (1.0, 3.0)], 0.0) == CpuShare(0.0, 0.0)


def test_it_sees_this_process_and_outlives_one_that_is_gone() -> None:
    gone = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(gone, 0)
    watched = {"me": Watched(os.getpid()), "gone": Watched(gone), "children": Watched(os.getpid(), descendants=True)}
    with CpuWatch(watched) as watch:
        pass
    assert watch.shares().keys() == watched.keys()
    assert len(watch._points["me"]) == 1
    assert watch._points["me"][0][1] > 0
    assert watch._points["gone"] == []
