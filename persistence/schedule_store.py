"""What happens at its time for everybody at once: which jobs there are, which of their periods are due, and doing them.

A job is a function of the database (revision 0005 and later) that is called once for each of its periods, in the
transaction that also writes the row of `schedules` that says so. Nodes that come at once therefore do it once; what was
missed while no node ran is made up for, period by period, oldest first. What concerns a period that is over waits until
every live node has written past its end (architecture §4.10).
"""

import enum
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial

from persistence.errors import Rejected
from persistence.postgres import Connection, Database, DedicatedConnection

CATCH_UP = 400  #: periods of a job that are made up for at most: more than a year of days

log = logging.getLogger(__name__)


class Cadence(enum.Enum):
    """How long a job's periods are; all begin at UTC midnight, or a whole number of them after it."""

    MINUTE = "minute"
    TEN_MINUTES = "10 minutes"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  #: from Monday
    MONTH = "month"

    def begin(self, moment: datetime) -> datetime:
        """The begin of the period that `moment` (UTC) lies in."""
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        match self:
            case Cadence.MONTH:
                return midnight.replace(day=1)
            case Cadence.WEEK:
                return midnight - timedelta(days=midnight.weekday())
            case _:
                return midnight + (moment - midnight) // _LENGTHS[self] * _LENGTHS[self]

    def end(self, begin: datetime) -> datetime:
        """The end of the period that begins at `begin`, which is the begin of the next."""
        if self is Cadence.MONTH:
            return (begin + timedelta(days=31)).replace(day=1)
        return begin + _LENGTHS[self]


_LENGTHS = {
    Cadence.MINUTE: timedelta(minutes=1),
    Cadence.TEN_MINUTES: timedelta(minutes=10),
    Cadence.HOUR: timedelta(hours=1),
    Cadence.DAY: timedelta(days=1),
    Cadence.WEEK: timedelta(days=7),
}


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to be done once a period.

    Args:
        name: in `schedules`.
        cadence: how long its periods are.
        call: the function with what it is told: {day} the period's first day, {end} its end, {now} the present,
            {launch} the day from which weeks of the pool are counted. It returns a count.
        over: done once the period is over and wholly written; else when it begins.
        made_up: missed periods are made up for; else only the latest counts.
    """

    name: str
    cadence: Cadence
    call: str
    over: bool = True
    made_up: bool = False


#: What has to be done before anything is written: rows of a month without a partition stay in the default one.
PARTITIONS = Job("maintain_partitions", Cadence.DAY, "maintain_partitions({day})", over=False)

#: In this order where several are due: what later ones read comes first.
JOBS: tuple[Job, ...] = (
    PARTITIONS,
    Job("activate_referrals", Cadence.HOUR, "activate_referrals({end})"),
    Job("recompute_influence", Cadence.DAY, "recompute_influence({end})"),
    Job("roll_up_day", Cadence.DAY, "roll_up_day({day})", made_up=True),
    Job("pay_pool", Cadence.DAY, "pay_pool({day}, {launch})", made_up=True),
    Job("close_day", Cadence.DAY, "close_leaderboard_period('day', {day}, {now})", made_up=True),
    Job("close_week", Cadence.WEEK, "close_leaderboard_period('week', {day}, {now})", made_up=True),
    Job("close_month", Cadence.MONTH, "close_leaderboard_period('month', {day}, {now})", made_up=True),
    Job("advance_competitions", Cadence.MINUTE, "advance_competitions({now})", over=False),
    Job("snapshot_leaderboards", Cadence.TEN_MINUTES, "snapshot_leaderboards({now})", over=False),
    Job("suspect_company", Cadence.DAY, "suspect_company({now})", over=False),
    Job("expire_missions", Cadence.DAY, "expire_missions({day})", over=False),
    Job("complete_moves", Cadence.TEN_MINUTES, "complete_moves({now})", over=False),
    Job("prune_accounts", Cadence.DAY, "prune_accounts({day})", over=False),
    Job("prune", Cadence.DAY, "prune({day})", over=False),
)

_LATEST = "SELECT job, max(period_start) FROM schedules GROUP BY job"
_FLUSHED = "SELECT flushed_past($1, $2)"
_LAUNCH = "SELECT coalesce($1, (SELECT (min(created_at) AT TIME ZONE 'UTC')::date FROM players), current_date)"
_CLAIM = "INSERT INTO schedules (job, period_start, fired_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
_DONE = """
    UPDATE schedules SET outcome = $3, took_ms = extract(epoch FROM clock_timestamp() - now()) * 1000
    WHERE job = $1 AND period_start = $2
"""
_ARGUMENTS = {
    "day": "($1::timestamptz AT TIME ZONE 'UTC')::date",
    "end": "$2::timestamptz",
    "now": "$3::timestamptz",
    "launch": "$4::date",
}


@dataclass(frozen=True, slots=True)
class Fired:
    """A job that was done now, by us."""

    job: str
    period_start: datetime
    outcome: int  #: what it counted


def due_periods(job: Job, latest: datetime | None, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Begin and end of each period that is to be done, oldest first.

    Args:
        job: what is to be done.
        latest: the begin of the latest period it was done for; None: it never was, and only the latest one counts.
        now: the present, UTC.
    """
    running = job.cadence.begin(now)
    last = job.cadence.begin(running - timedelta(microseconds=1)) if job.over else running
    if latest is None or not job.made_up:
        begins = [last] if latest is None or latest < last else []
    else:
        begins = []
        begin = job.cadence.end(latest)
        while begin <= last:
            begins.append(begin)
            begin = job.cadence.end(begin)
    for begin in begins[-CATCH_UP:]:
        yield begin, job.cadence.end(begin)


async def run_due(
    database: Database, now_ms: int, *, launch: date | None = None, jobs: Sequence[Job] = JOBS
) -> list[Fired]:
    """Do everything that is due and that no other node does; what cannot be done is logged, and left for the next call.

    Args:
        database: where.
        now_ms: the present.
        launch: the day the game was launched; None: the day its first player came.
        jobs: of these.

    Returns:
        What was done, in that order.

    Raises:
        DatabaseUnavailable: what was done until then is done.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    fired: list[Fired] = []
    async with database.dedicated("schedule", patient=True) as connection:
        latest = await connection.run(_read_latest)
        for job in jobs:
            fired += await _run_job(connection, job, latest.get(job.name), now, launch)
    return fired


async def _run_job(
    connection: DedicatedConnection, job: Job, latest: datetime | None, now: datetime, launch: date | None
) -> list[Fired]:
    fired = []
    for begin, end in due_periods(job, latest, now):
        try:
            outcome = await connection.transaction(partial(_do, job, begin, end, now, launch))
        except Rejected:
            log.exception("%s of %s cannot be done; it is tried again", job.name, begin.isoformat())
            break  # the periods after it build upon it
        if outcome is None:
            break
        if outcome >= 0:
            fired.append(Fired(job.name, begin, outcome))
    return fired


async def _read_latest(connection: Connection) -> dict[str, datetime]:
    return {job: period_start for job, period_start in await connection.fetch(_LATEST)}  # noqa: C416 - a Record is no pair


async def _do(
    job: Job, begin: datetime, end: datetime, now: datetime, launch: date | None, connection: Connection
) -> int | None:
    """Do one period: what it counted, −1 where another node has done it, None where its end is not yet written."""
    if job.over and not await connection.fetchval(_FLUSHED, end, now):
        return None
    if await connection.execute(_CLAIM, job.name, begin, now) == "INSERT 0 0":
        return -1
    # Every argument is named, so that PostgreSQL knows the type of those that this job does not need.
    call = f"SELECT {job.call.format(**_ARGUMENTS)} FROM (SELECT {', '.join(_ARGUMENTS.values())}) AS given"  # noqa: S608 - constants
    outcome: int = await connection.fetchval(call, begin, end, now, await connection.fetchval(_LAUNCH, launch))
    await connection.execute(_DONE, job.name, begin, outcome)
    return outcome
