"""The one task for all deadlines."""

import trio
import trio.testing
from structlog.testing import capture_logs
from trio.testing import MockClock

from gameserver.edge.heartbeat import Heartbeat
from gameserver.edge.session import Session
from hotpath.outbox import Outbox
from tests.fakes.lone_session import LoneSession
from tests.fakes.trio_time_clock import TrioTimeClock


def test_a_busy_session_does_not_fill_the_wheel() -> None:
    lone = LoneSession().live()
    for seq in range(1, 200):
        lone.send(2, seq, 1, 0)
        lone.database.flush()
        lone.wait(700)
        lone.take()
    assert len(lone.heartbeat._wheel) <= 3


class Watched(Session):
    """Notes when it is looked at, and asks for nothing more."""

    looks: list[int]

    def tick(self, now_ms: int) -> int:
        self.looks.append(now_ms)
        return 0


def test_the_earliest_look_stands_and_later_ones_fall_away() -> None:
    lone = LoneSession()
    start_ms = lone.clock.uptime_ms()
    session = Watched(lone.shared, Outbox(), lambda: None)
    session.looks = []
    for after_ms in (9_000, 3_000, 1_000, 7_000):
        lone.heartbeat.watch(session, start_ms + after_ms)
    lone.wait(20_000)
    assert len(session.looks) == 1
    assert 1_000 <= session.looks[0] - start_ms <= 1_200
    lone.heartbeat.watch(session, lone.clock.uptime_ms() + 500)
    lone.wait(1_000)
    assert len(session.looks) == 2


def test_deadlines_hold_over_many_near_looks() -> None:
    lone = LoneSession().live()
    for _ in range(24):  # near looks all the time, but no sign of life
        lone.session.durable(10_000)
        lone.wait(1_000)
        assert not lone.session.outbox.ping_due
    lone.wait(1_200)
    assert lone.session.outbox.ping_due
    lone.wait(10_000)
    assert lone.aborted >= 1


def test_a_tick_that_raises_ends_that_session_only() -> None:
    lone = LoneSession().live()
    other = Session(lone.shared, Outbox(), lambda: None)

    def crash() -> None:
        raise RuntimeError("a bug")

    lone.session._abort = crash
    with capture_logs() as logs:
        lone.wait(40_000)
    assert lone.session.outbox.closing is not None
    assert lone.session.outbox.closing[0] == 1011
    assert lone.counters.crashes_total == len(logs) >= 1
    assert other.outbox.closing is not None
    assert other.outbox.closing[0] == 4500, "its own deadline was kept"


async def test_it_beats_by_itself(autojump_clock: MockClock) -> None:
    lone = LoneSession()
    clock = TrioTimeClock(autojump_clock, lone.clock.now_ms())
    heartbeat = Heartbeat(clock)
    lone.session.due_ms = 0
    heartbeat.watch(lone.session, clock.uptime_ms() + 5_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(heartbeat.run)
        await trio.sleep(4.9)
        assert lone.end() == (None, None)
        await trio.sleep(0.4)
        nursery.cancel_scope.cancel()
    assert lone.end() == (4500, 4500)


async def test_what_came_while_the_server_stood_still_is_read_before_deadlines_are_judged(
    autojump_clock: MockClock,
) -> None:
    lone = LoneSession()
    clock = TrioTimeClock(autojump_clock, lone.clock.now_ms())
    heartbeat = Heartbeat(clock)
    lone.session.due_ms = 0
    heartbeat.watch(lone.session, clock.uptime_ms() + 5_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(heartbeat.run)
        await trio.testing.wait_all_tasks_blocked()
        autojump_clock.jump(5.2)
        await trio.testing.wait_all_tasks_blocked()
        assert lone.end() == (None, None)
        lone.greet()  # it had been waiting in the socket
        await trio.sleep(1)
        assert lone.end() == (None, None)
        nursery.cancel_scope.cancel()
