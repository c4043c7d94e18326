"""The calendar: each period of each job once, whoever comes first, whatever was missed; a year of it, with gaps."""

from datetime import UTC, date, datetime, timedelta

import pytest
import trio

from persistence import schedule_store
from persistence.postgres import Database
from persistence.schedule_store import JOBS, Cadence, Fired, Job, due_periods, run_due
from tests.fakes.database_probe import assert_reconciled, claimed_players, rows

DAY_MS = 86_400_000
LAUNCH = date(2025, 1, 1)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cadence", "moment", "begin", "end"),
    [
        (Cadence.MINUTE, "2026-02-28T23:59:59.999", "2026-02-28T23:59", "2026-03-01"),
        (Cadence.TEN_MINUTES, "2026-02-28T23:59:59", "2026-02-28T23:50", "2026-03-01"),
        (Cadence.HOUR, "2026-02-28T00:00", "2026-02-28T00:00", "2026-02-28T01:00"),
        (Cadence.DAY, "2024-02-29T12:00", "2024-02-29", "2024-03-01"),
        (Cadence.WEEK, "2026-01-01T00:00", "2025-12-29", "2026-01-05"),
        (Cadence.WEEK, "2025-12-29T00:00", "2025-12-29", "2026-01-05"),
        (Cadence.MONTH, "2025-12-31T23:59", "2025-12-01", "2026-01-01"),
        (Cadence.MONTH, "2024-02-01T00:00", "2024-02-01", "2024-03-01"),
    ],
)
def test_periods(cadence: Cadence, moment: str, begin: str, end: str) -> None:
    assert cadence.begin(at(moment)) == at(begin)
    assert cadence.end(at(begin)) == at(end)


def begins(job: Job, latest: str | None, now: str) -> list[datetime]:
    return [begin for begin, _ in due_periods(job, latest and at(latest), at(now))]  # type: ignore[arg-type]


def test_what_is_due() -> None:
    over = Job("j", Cadence.DAY, "", made_up=True)
    assert begins(over, None, "2026-03-03T00:00") == [at("2026-03-02")]
    assert begins(over, "2026-03-02", "2026-03-03T23:59") == []
    assert begins(over, "2026-02-27", "2026-03-03T00:00") == [at("2026-02-28"), at("2026-03-01"), at("2026-03-02")]
    assert begins(over, "2026-03-09", "2026-03-03T00:00") == [], "the clock went back"
    assert len(begins(over, "2020-01-01", "2026-01-01")) == schedule_store.CATCH_UP
    at_begin = Job("j", Cadence.DAY, "", over=False)
    assert begins(at_begin, "2026-02-27", "2026-03-03T00:00") == [at("2026-03-03")], "only the latest counts"
    assert begins(at_begin, "2026-03-03", "2026-03-03T23:00") == []
    months = Job("j", Cadence.MONTH, "", made_up=True)
    assert begins(months, "2025-11-01", "2026-02-01T00:00") == [at("2025-12-01"), at("2026-01-01")]


async def test_a_job_is_done_once_by_however_many_nodes(database: Database) -> None:
    done: list[Fired] = []

    async def node() -> None:
        done.extend(await run_due(database, ms(at("2026-03-03T10:00"))))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(node)
    assert sorted(fired.job for fired in done) == sorted(job.name for job in JOBS)
    assert await run_due(database, ms(at("2026-03-03T10:00"))) == []
    fired = await rows(database, "SELECT job, count(*) FROM schedules GROUP BY job")
    assert dict(fired) == {job.name: 1 for job in JOBS}


async def test_this_month_and_the_next_two_have_partitions_before_anything_is_written(database: Database) -> None:
    await run_due(database, ms(at("2026-01-15T10:00")), jobs=(schedule_store.PARTITIONS,))
    names = await rows(
        database, "SELECT to_regclass('token_transactions_2026_0' || m)::text FROM generate_series(1, 4) m"
    )
    assert names == [*[(f"token_transactions_2026_0{month}",) for month in (1, 2, 3)], (None,)]


async def test_a_period_is_not_closed_before_every_live_node_has_written_past_its_end(database: Database) -> None:
    midnight = at("2026-03-03")
    await rows(
        database,
        "INSERT INTO nodes (name, run, url, lease_until, flushed_until) VALUES ('n', gen_random_uuid(), '', $1, $2)",
        *(midnight + timedelta(days=2), midnight - timedelta(seconds=1)),
    )
    waiting = {job.name for job in JOBS if job.over and job.cadence is Cadence.DAY}

    async def done_at(moment: datetime) -> set[str]:
        return {fired.job for fired in await run_due(database, ms(moment))}

    assert not waiting & await done_at(midnight + timedelta(seconds=5))
    await rows(database, "UPDATE nodes SET flushed_until = $1", midnight)
    assert waiting <= await done_at(midnight + timedelta(seconds=25))
    # the next day that node hangs: after five minutes it is waited for no more
    assert not waiting & await done_at(midnight + timedelta(days=1, minutes=4, seconds=59))
    assert waiting <= await done_at(midnight + timedelta(days=1, minutes=5))


async def test_a_job_that_cannot_be_done_stops_no_other_and_is_tried_again(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await rows(database, "ALTER FUNCTION roll_up_day(date) RENAME TO roll_up_day_away")
    done = {fired.job for fired in await run_due(database, ms(at("2026-03-03T10:00")))}
    assert done == {job.name for job in JOBS} - {"roll_up_day"}
    assert "roll_up_day of 2026-03-02" in caplog.text
    await rows(database, "ALTER FUNCTION roll_up_day_away(date) RENAME TO roll_up_day")
    assert [fired.job for fired in await run_due(database, ms(at("2026-03-03T10:00")))] == ["roll_up_day"]


async def play(database: Database, player_ids: list[int], day: date) -> None:
    """Each player taps: player n taps n times."""
    await rows(
        database,
        """
        INSERT INTO player_daily_stats (player_id, day, taps, xp, earned_mpt, reached_at)
        SELECT id, $2::date, position, position, 1000 * position, $2::date::timestamp AT TIME ZONE 'UTC'
        FROM unnest($1::bigint[]) WITH ORDINALITY AS p (id, position)
        """,
        player_ids,
        day,
    )


@pytest.mark.slow
async def test_a_year_with_missed_days(database: Database) -> None:
    players = [player.player_id for player in await claimed_players(database, 3)]
    await rows(database, "UPDATE players SET owner_node = NULL, xp = 400 * id, last_seen_at = 'infinity'")
    first, days = date(2025, 1, 1), 365
    silent = {*range(20, 24), *range(100, 131), 200, 363}  # no node ran on these days
    grants = 0
    for number in range(days + 1):
        day = first + timedelta(days=number)
        if number < days:
            await play(database, players, day)
        if number in silent:
            continue
        noon = ms(datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
        done = await run_due(database, noon, launch=LAUNCH)
        if number % 20 == 0:
            assert await run_due(database, noon, launch=LAUNCH) == [], "done twice"
        grants += sum(fired.outcome for fired in done if fired.job == "pay_pool")

    [(rolled, closed_days, closed_weeks, closed_months, sum_of_taps)] = await rows(
        database,
        """
        SELECT (SELECT count(DISTINCT day) FROM impact_metrics),
            (SELECT count(*) FROM leaderboards WHERE board = 'taps' AND period = 'day' AND frozen_at IS NOT NULL),
            (SELECT count(*) FROM leaderboards WHERE board = 'taps' AND period = 'week' AND frozen_at IS NOT NULL),
            (SELECT count(*) FROM leaderboards WHERE board = 'taps' AND period = 'month' AND frozen_at IS NOT NULL),
            (SELECT sum(value) FROM impact_metrics WHERE metric = 'taps')
        """,
    )
    # its first look, on the first day, found the day, week and month before
    assert (rolled, closed_days) == (days + 1, days + 1)
    assert (closed_weeks, closed_months) == (53, 13)
    assert sum_of_taps == days * (1 + 2 + 3)
    assert await rows(database, "SELECT * FROM leaderboard_entries AS e WHERE rank > 3") == []
    wrong = await rows(
        database,
        """
        SELECT l.period_start FROM leaderboards AS l JOIN leaderboard_entries AS e ON e.leaderboard_id = l.id
        WHERE l.board = 'taps' AND l.period = 'day' AND l.frozen_at IS NOT NULL GROUP BY l.id
        HAVING array_agg(e.score ORDER BY e.rank) <> '{3,2,1}' OR array_agg(e.player_id ORDER BY e.rank) <> $1
        """,
        players[::-1],
    )
    assert wrong == []
    # the pool of each day is paid in full, once, though not before it is over
    [(paid_mpt, paid_days)] = await rows(
        database,
        "SELECT sum(amount_mpt)::bigint, count(DISTINCT split_part(key, ':', 2)) FROM player_grants"
        " WHERE kind = 'pool_share'",
    )
    pools = await rows(
        database,
        "SELECT sum(pool_of($1::date + d, $2))::bigint FROM generate_series(0, $3 - 1) AS d",
        first,
        LAUNCH,
        days,
    )
    assert (paid_mpt, paid_days, grants) == (pools[0][0], days, 3 * days)
    # every month of the year had its partitions before it began
    for parent in ("token_transactions", "analytics_events", "security_logs"):
        months = await rows(
            database,
            "SELECT count(*) FROM pg_class WHERE relname ~ $1 AND relkind = 'r'",
            f"^{parent}_(2025_..|2026_0[123])$",
        )
        assert months == [(15,)], parent
    kept = await rows(
        database, r"SELECT count(*) FROM pg_class WHERE relname ~ '^rate_limit_logs_202[56]_..$' AND relkind = 'r'"
    )
    assert kept == [(5,)], "this month, two before, two ahead"
    await assert_reconciled(database)
