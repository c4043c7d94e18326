"""When and why the node stops: SIGINT or SIGTERM, or a lost lease; a second signal means at once."""

import signal

import trio


class StopRequest:
    """Asked for once; may become urgent.

    Attributes:
        asked: set when the node is to stop.
        urgent: set when it is not to wait for anything any more.
        reason: why, for the log.
    """

    def __init__(self) -> None:
        self.asked = trio.Event()
        self.urgent = trio.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Stop in good order, because of `reason`; the first reason counts."""
        if not self.asked.is_set():
            self.reason = reason
            self.asked.set()

    async def listen(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Turn signals into requests until cancelled."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if self.asked.is_set():
                    self.urgent.set()
                self.ask(signal.Signals(number).name)


async def cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    """Cancel `scope` once `event` is set."""
    await event.wait()
    scope.cancel()
