"""An actor and the cell it lives in.

Rules (architecture §3): the actor is the only writer of its state; each message is one synchronous turn that is
neither interleaved nor re-entered; a turn that raises changes nothing; the mailbox is bounded, with a control lane
that overtakes; a task exists only while a mailbox has messages.

A message for an active actor whose mailbox is empty is handled within the call that delivers it: no queue, no task
switch. Only what arrives while the actor is loading, stopping or in the middle of a turn waits in the mailbox.
"""

import enum
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import trio

from gameserver.clock import Clock
from gameserver.errors import Busy, Unavailable, WireError

MAILBOX_MESSAGES = 128  #: bound of an active actor's mailbox
STASH_MESSAGES = 64  #: bound of what waits for an activation
TURNS_PER_ROUND = 64  #: queued messages handled before other tasks get their turn
TURNS_PER_SAMPLE = 16  #: one turn in so many is timed
BUSY_RETRY_MS = 250  #: what a peer is told to wait while the mailbox is full
UNAVAILABLE_RETRY_MS = 1_000  #: what a peer is told to wait while nothing may change


class Message(Protocol):
    """Something an actor is told."""

    @property
    def control(self) -> bool:
        """Whether it goes by the control lane: overtakes, and is never refused for want of room.

        It speaks of what is attached to this very activation, so it never causes another one.
        """
        ...

    @property
    def writes(self) -> bool:
        """Whether it may change state; a quarantined actor refuses those."""
        ...

    def refuse(self, error: WireError) -> None:
        """Tell whoever sent it that it was not handled."""
        ...

    def merge(self, later: "Message") -> bool:
        """Take `later`, which would queue directly behind this one, into this one; False where that cannot be."""
        ...


class Actor(Protocol):
    """What a cell holds."""

    def handle(self, message: Message, now_ms: int) -> None:
        """One turn. May raise only before anything has changed, or after having undone it."""
        ...

    def failed(self, message: Message) -> Message | None:
        """The turn raised: consume the operation, answer `internal`, give back what of `message` is still to do."""
        ...

    @property
    def in_use(self) -> bool:
        """Whether someone is attached, so that it must not be passivated for idleness."""
        ...

    def expel(self, reason: str) -> None:
        """The state will be loaded anew: tell everyone attached to resynchronise."""
        ...


A = TypeVar("A", bound=Actor)


class Phase(enum.Enum):
    """Where a cell is in its life: loading → active → stopping → gone, or loading → gone."""

    LOADING = enum.auto()
    ACTIVE = enum.auto()
    STOPPING = enum.auto()
    GONE = enum.auto()


class Cell(Generic[A]):
    """An actor's place: its phase, mailbox and turns.

    Args:
        clock: given to turns as `now_ms`.
        start_drain: starts a task that calls `drain`; called only when a mailbox stops being empty.
        on_failure: the supervisor; called once for each turn that raised.
        observe_turn_s: told what every `TURNS_PER_SAMPLE`-th turn took, in seconds.
        forward: takes what is delivered after the actor has gone.
        accepts_writes: whether state may be changed; asked before every turn that may, so it has to be cheap.
    """

    __slots__ = (
        "_accepts_writes",
        "_clock",
        "_control",
        "_draining",
        "_forward",
        "_in_turn",
        "_mailbox",
        "_observe_turn_s",
        "_on_failure",
        "_start_drain",
        "_turns",
        "actor",
        "last_turn_ms",
        "phase",
        "quarantined_until_ms",
    )

    def __init__(
        self,
        *,
        clock: Clock,
        start_drain: "Callable[[Cell[A]], None]",
        on_failure: "Callable[[Cell[A], Message, Exception], None]",
        observe_turn_s: Callable[[float], None],
        forward: Callable[[Message], None],
        accepts_writes: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._forward = forward
        self._accepts_writes = accepts_writes
        self._start_drain = start_drain
        self._on_failure = on_failure
        self._observe_turn_s = observe_turn_s
        self._mailbox: deque[Message] = deque()
        self._control: deque[Message] = deque()
        self._in_turn = False
        self._draining = False
        self.actor: A | None = None
        self.phase = Phase.LOADING
        self.last_turn_ms = clock.now_ms()
        self.quarantined_until_ms = 0
        self._turns = 0

    @property
    def depth(self) -> int:
        """Messages waiting."""
        return len(self._mailbox) + len(self._control)

    def deliver(self, message: Message) -> None:
        """Handle `message` now if nothing is before it, else queue it; refuses it when the mailbox is full."""
        if self.phase is Phase.ACTIVE and not self._in_turn and not self._mailbox and not self._control:
            self._turn(message)
            return
        if self.phase is Phase.GONE:
            self._forward(message)
            return
        if message.control:
            self._control.append(message)
        elif not (self._mailbox and self._mailbox[-1].merge(message)):
            bound = MAILBOX_MESSAGES if self.phase is Phase.ACTIVE else STASH_MESSAGES
            if len(self._mailbox) >= bound:
                message.refuse(Busy("too many messages wait for this player", retry_after_ms=BUSY_RETRY_MS))
                return
            self._mailbox.append(message)
        self._wake()

    def activate(self, actor: A) -> None:
        """The state is loaded: from now on `actor` handles what waits and what comes."""
        self.actor = actor
        self.phase = Phase.ACTIVE
        self._wake()

    def deliver_first(self, message: Message) -> None:
        """Put `message` before everything that waits: the rest of one whose turn raised."""
        self._mailbox.appendleft(message)
        self._wake()

    def take_stash(self) -> list[Message]:
        """Everything that waits, control messages first; the mailbox is empty then."""
        stash = [*self._control, *self._mailbox]
        self._control.clear()
        self._mailbox.clear()
        return stash

    async def drain(self) -> None:
        """Handle what waits, letting other tasks run every `TURNS_PER_ROUND` turns."""
        try:
            while self._can_turn():
                for _ in range(TURNS_PER_ROUND):
                    if not self._can_turn():
                        break
                    self._turn(self._control.popleft() if self._control else self._mailbox.popleft())
                await trio.lowlevel.checkpoint()
        finally:
            self._draining = False

    def _can_turn(self) -> bool:
        return self.phase is Phase.ACTIVE and bool(self._control or self._mailbox)

    def _wake(self) -> None:
        if self._can_turn() and not self._draining:
            self._draining = True
            self._start_drain(self)

    def _turn(self, message: Message) -> None:
        now_ms = self._clock.now_ms()
        if message.writes and self._is_read_only(message, now_ms):
            return
        actor = self.actor
        assert actor is not None
        self.last_turn_ms = now_ms
        self._in_turn = True
        started_s = time.perf_counter() if self._turns % TURNS_PER_SAMPLE == 0 else 0.0
        self._turns += 1
        try:
            actor.handle(message, now_ms)
        except Exception as error:  # noqa: BLE001 - the one place where a turn's bug is contained
            self._on_failure(self, message, error)
        finally:
            self._in_turn = False
            if started_s:
                self._observe_turn_s(time.perf_counter() - started_s)
            self._wake()

    def _is_read_only(self, message: Message, now_ms: int) -> bool:
        """Whether state must not change now; `message` has been refused then."""
        if now_ms < self.quarantined_until_ms:
            wait_ms = self.quarantined_until_ms - now_ms
            message.refuse(Unavailable("this player is paused after repeated errors", retry_after_ms=wait_ms))
        elif not self._accepts_writes():
            message.refuse(Unavailable("too much waits to be written", retry_after_ms=UNAVAILABLE_RETRY_MS))
        else:
            return False
        return True
