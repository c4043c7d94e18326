"""What each sign is worth."""

from gameserver.game.suspicion import LIMIT_SCORE, REARM_SCORE, TOP_SCORE, Sign, judge
from hotpath.tap_signals import HOUR_MS, TapSignals

NOW_MS = 1_767_268_800_000


def window(mean: int, cv_permille: int, count: int = 400) -> tuple[int, int, int]:
    """Count, sum and sum of squares of values half above and half below the mean by so many thousandths of it."""
    off = mean * cv_permille // 1_000
    return count, count * mean, count * (mean * mean + off * off)


def rhythm(cv_permille: int, count: int = 400) -> int:
    gaps, total, squares = window(1_000, cv_permille, count)
    return judge(TapSignals(gaps=gaps, gaps_sum=total, gaps_squares=squares)).signs.get(Sign.RHYTHM, 0)


def pace(cv_permille: int, count: int = 400) -> int:
    paces, total, squares = window(100_000, cv_permille, count)
    return judge(TapSignals(paces=paces, paces_sum=total, paces_squares=squares)).signs.get(Sign.PACE, 0)


def restless(awake_h: int, busy: int) -> int:
    signals = TapSignals(last_batch_ms=NOW_MS, awake_since_ms=NOW_MS - awake_h * HOUR_MS, hours=busy)
    return judge(signals).signs.get(Sign.RESTLESS, 0)


def test_nothing_counted_is_nothing_suspected() -> None:
    verdict = judge(TapSignals())
    assert (verdict.score, verdict.signs) == (0, {})
    assert REARM_SCORE < LIMIT_SCORE < TOP_SCORE


def test_gaps_that_do_not_vary() -> None:
    assert [rhythm(cv) for cv in (0, 4, 6, 8, 40)] == [7_000, 7_000, 4_083, 0, 0]
    assert [rhythm(0, 255), rhythm(0, 256)] == [0, 7_000]


def test_paces_that_do_not_vary() -> None:
    assert [pace(cv) for cv in (0, 10, 15, 20, 22, 80)] == [7_000, 7_000, 4_721, 1_531, 0, 0]
    assert [pace(0, 255), pace(0, 256)] == [0, 7_000]


def test_batches_at_the_cap() -> None:
    def points(capped: int, batches: int) -> int:
        return judge(TapSignals(batches=batches, capped=capped)).score

    assert [points(capped, 100) for capped in (10, 30, 50, 100)] == [0, 3_500, 7_000, 7_000]
    assert points(63, 63) == 0


def test_a_day_without_rest() -> None:
    every_hour, two_of_three = 2**48 - 1, int("110" * 16, 2)
    assert [restless(hours, every_hour) for hours in (23, 24, 48, 1_000)] == [0, 7_000, 7_000, 7_000]
    assert [restless(hours, two_of_three) for hours in (23, 24, 48, 1_000)] == [0, 1_500, 1_500, 1_500]
    assert restless(24, 2**21 - 1) == 1_500 + 3_437, "twenty-one of twenty-four hours"


def test_always_there_when_the_energy_is_full() -> None:
    def points(quick: int, refills: int) -> int:
        return judge(TapSignals(refills=refills, quick_refills=quick)).score

    assert [points(quick, 10) for quick in (3, 5, 7, 10)] == [0, 3_500, 7_000, 7_000]
    assert points(5, 5) == 0


def test_more_than_can_count() -> None:
    def points(refused: int, claimed: int) -> int:
        return judge(TapSignals(claimed=claimed, refused=refused)).score

    assert [points(refused, 1_000) for refused in (200, 400, 600, 1_000)] == [0, 1_500, 3_000, 3_000]


def test_signs_add_up_to_the_top() -> None:
    gaps, gaps_sum, gaps_squares = window(1_000, 0)
    signals = TapSignals(
        batches=100, capped=100, claimed=10_000, refused=5_000, gaps=gaps, gaps_sum=gaps_sum, gaps_squares=gaps_squares
    )
    verdict = judge(signals)
    assert verdict.signs == {Sign.RHYTHM: 7_000, Sign.CAPPED: 7_000, Sign.EXCESS: 2_250}
    assert verdict.score == TOP_SCORE


def test_signs_that_people_show_do_not_reach_the_limit_alone() -> None:
    assert judge(TapSignals(claimed=1_000, refused=1_000)).score < LIMIT_SCORE
    assert restless(1_000, int("110" * 16, 2)) < LIMIT_SCORE
