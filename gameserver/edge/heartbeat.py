"""The one task that looks after all sessions' deadlines: hello, ping, slow readers, last words.

There is no timer per connection. A session says when it next wants to be looked at; it may ask for an earlier look at
any time, and the entry that stood before is passed over when its slot comes.
"""

import trio

from gameserver.clock import Clock
from gameserver.edge.surroundings import Watched
from gameserver.timing_wheel import TimingWheel
from hotpath.tap_path import Notices

TICK_MS = 100
PAUSE_MS = 400  #: a beat that is so late comes after the server itself stood still


class Heartbeat:
    """Ticks sessions and closing sockets when they are due.

    Args:
        clock: the present.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.notices = Notices(clock.uptime_ms())  #: of what is durable; they have a wheel of their own
        self._wheel: TimingWheel[tuple[Watched, int]] = TimingWheel(clock.uptime_ms(), tick_ms=TICK_MS, slots=512)

    def watch(self, watched: Watched, due_ms: int) -> None:
        """Tick `watched` at `due_ms` at the latest; an earlier look that is already arranged stands."""
        if watched.due_ms and watched.due_ms <= due_ms:
            return
        # One later entry is remembered and used again, so that a session which is often looked at soon (and it is the
        # busy ones that are) does not fill the wheel with entries for its next ping.
        if watched.due_ms:
            watched.far_due_ms = watched.far_due_ms or watched.due_ms
        elif 0 < watched.far_due_ms <= due_ms:
            watched.due_ms, watched.far_due_ms = watched.far_due_ms, 0
            return
        watched.due_ms = due_ms
        self._wheel.schedule((watched, due_ms), due_ms)

    async def run(self) -> None:
        """Tick until cancelled.

        After a pause of ours (the process stopped, the machine suspended) what has come meanwhile is read before any
        deadline is judged: it may be the HELLO or the pong that somebody would be sent away for.
        """
        while True:
            before_ms = self._clock.uptime_ms()
            await trio.sleep(TICK_MS / 1_000)
            if self._clock.uptime_ms() - before_ms > TICK_MS + PAUSE_MS:
                await trio.sleep(TICK_MS / 1_000)
            self.beat()

    def beat(self) -> None:
        """Tick every session that is due now."""
        uptime_ms = self._clock.uptime_ms()
        self.notices.beat(uptime_ms)
        for watched, due_ms in self._wheel.advance(uptime_ms):
            if due_ms != watched.due_ms:
                if due_ms == watched.far_due_ms:
                    watched.far_due_ms = 0
                continue  # it was looked at earlier than this entry knew
            watched.due_ms = 0
            try:
                next_ms = watched.tick(uptime_ms) if due_ms <= uptime_ms else due_ms
            except Exception as error:  # noqa: BLE001 - a session's bug ends that session only
                watched.crashed(error)
            else:
                if next_ms:
                    self.watch(watched, next_ms)
