"""The one task that looks after all sessions' deadlines: hello, ping, slow readers, durable notices, last words.

There is no timer per connection. A session says when it next wants to be looked at; it may ask for an earlier look at
any time, and the entry that stood before is passed over when its slot comes.
"""

import trio

from gameserver.clock import Clock
from gameserver.edge.session import Session
from gameserver.timing_wheel import TimingWheel

TICK_MS = 100


class Heartbeat:
    """Ticks sessions when they are due.

    Args:
        clock: the present.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wheel: TimingWheel[tuple[Session, int]] = TimingWheel(clock.now_ms(), tick_ms=TICK_MS, slots=512)

    def watch(self, session: Session, due_ms: int) -> None:
        """Tick `session` at `due_ms` at the latest; an earlier look that is already arranged stands."""
        if session.due_ms and session.due_ms <= due_ms:
            return
        # One later entry is remembered and used again, so that a session which is often looked at soon (and it is the
        # busy ones that are) does not fill the wheel with entries for its next ping.
        if session.due_ms:
            session.far_due_ms = session.far_due_ms or session.due_ms
        elif 0 < session.far_due_ms <= due_ms:
            session.due_ms, session.far_due_ms = session.far_due_ms, 0
            return
        session.due_ms = due_ms
        self._wheel.schedule((session, due_ms), due_ms)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await trio.sleep(TICK_MS / 1_000)
            self.beat()

    def beat(self) -> None:
        """Tick every session that is due now."""
        now_ms = self._clock.now_ms()
        for session, due_ms in self._wheel.advance(now_ms):
            if due_ms != session.due_ms:
                if due_ms == session.far_due_ms:
                    session.far_due_ms = 0
                continue  # it was looked at earlier than this entry knew
            session.due_ms = 0
            try:
                next_ms = session.tick(now_ms) if due_ms <= now_ms else due_ms
            except Exception as error:  # noqa: BLE001 - a session's bug ends that session only
                session.crashed(error)
            else:
                if next_ms:
                    self.watch(session, next_ms)
