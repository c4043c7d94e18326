"""What happens at fixed times, whoever is playing: the hour's emission, and the jobs of the calendar.

Emission is fixed once per UTC hour by the first node to ask; until a node has heard the new hour's, the previous one
applies (game rules, "Emission").
"""

from collections.abc import Awaitable, Callable, Sequence

import trio

from gameserver.clock import Clock
from gameserver.logs import get_logger
from hotpath import rules
from hotpath.player_state import World
from persistence.errors import DatabaseUnavailable
from persistence.schedule_store import Fired

HOUR_MS = 3_600_000
LOOK_S = 5.0  #: between two looks at the clock
CALENDAR_S = 20.0  #: between two looks whether a job is due

log = get_logger(__name__)

#: Fixes the hour (its number since 1970) if nobody has, by a rule from gross minted mPT to emission in BP; returns the
#: emission that applies.
FixHour = Callable[[int, Callable[[int], int]], Awaitable[int]]

#: Does what is due at a time in ms, and tells what that was.
RunDue = Callable[[int], Awaitable[Sequence[Fired]]]


async def keep_emission(
    world: World,
    fix_hour: FixHour,
    *,
    scale_pt: int,
    clock: Clock,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Set the world's emission now, and then each hour, until cancelled.

    Args:
        world: shared by all players of this node.
        fix_hour: the database's side.
        scale_pt: S of the formula.
        clock: the present.
        task_status: started once the present hour applies.
    """

    def rule(minted_mpt: int) -> int:
        return rules.emission_bp(minted_mpt // rules.MPT_PER_PT, scale_pt)

    applied_hour = -1
    while True:
        hour = clock.now_ms() // HOUR_MS
        if hour != applied_hour:
            try:
                world.emission_bp = await fix_hour(hour, rule)
            except DatabaseUnavailable:
                log.warning("the hour's emission could not be read; the previous one applies")
            else:
                if applied_hour < 0:
                    task_status.started()
                applied_hour = hour
        await trio.sleep(LOOK_S)


async def keep_calendar(run_due: RunDue, *, clock: Clock) -> None:
    """Do what is due, now and from then on, until cancelled; what the database cannot do now is due again.

    Args:
        run_due: the database's side (`persistence.schedule_store`).
        clock: the present.
    """
    while True:
        try:
            for fired in await run_due(clock.now_ms()):
                say = log.info if fired.outcome else log.debug  # some come every minute, mostly for nothing
                say("calendar", job=fired.job, period=fired.period_start.isoformat(), outcome=fired.outcome)
        except DatabaseUnavailable as error:
            log.warning("the calendar waits for the database", reason=str(error))
        await trio.sleep(CALENDAR_S)
