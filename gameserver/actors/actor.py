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
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

import trio

from gameserver.clock import Clock
from gameserver.errors import Busy, Unavailable, WireError
from hotpath.tap_path import Gate

MAILBOX_MESSAGES = 128  #: bound of an active actor's mailbox
STASH_MESSAGES = 64  #: bound of what waits for an activation
TURNS_PER_ROUND = 64  #: queued messages handled before other tasks get their turn
TURNS_PER_SAMPLE = 16  #: one turn in so many is timed
BUSY_RETRY_MS = 250  #: what a peer is told to wait while the mailbox is full
_NO_MESSAGES: Final["deque[Any]"] = deque(maxlen=0)  #: stands for an empty lane, so that an idle cell has none


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


#: Work that waits, run outside of turns; never raises, and what it returns comes back as the next message.
Errand = Callable[[], Awaitable[Message]]


class Actor(Protocol):
    """What a cell holds."""

    def handle(self, message: Message, now_ms: int) -> Errand | None:
        """One turn. May raise only before anything has changed, or after having undone it.

        Returns:
            What has to be waited for before `message` can be handled, and everything behind it; None = it is handled.
        """
        ...

    def failed(self, message: Message) -> Message | None:
        """The turn raised: consume the operation, answer `internal`, give back what of `message` is still to do."""
        ...

    @property
    def in_use(self) -> bool:
        """Whether someone is attached, so that it must not be passivated for idleness."""
        ...

    def expel(self, reason: str) -> None:
        """The state will be loaded anew: tell everyone attached to resynchronise, and write nothing more."""
        ...


A = TypeVar("A", bound=Actor)


class Phase(enum.Enum):
    """Where a cell is in its life: loading → active → stopping → gone, or loading → gone."""

    LOADING = enum.auto()
    ACTIVE = enum.auto()
    STOPPING = enum.auto()
    GONE = enum.auto()


class Keeper(Protocol[A]):
    """Who keeps cells, as a cell sees it."""

    @property
    def clock(self) -> Clock:
        """Given to turns as `now_ms`."""
        ...

    @property
    def accepting(self) -> Gate:
        """Open while state may be changed."""
        ...

    @property
    def observe_turn_s(self) -> Callable[[float], None]:
        """Told what every `TURNS_PER_SAMPLE`-th turn took, in seconds."""
        ...

    def start_drain(self, cell: "Cell[A]") -> None:
        """Start a task that calls `drain`; asked only when a mailbox stops being empty."""
        ...

    def start_errand(self, cell: "Cell[A]", errand: Errand) -> None:
        """Start a task that runs `errand` and gives what it returns to `back_with`."""
        ...

    def turn_raised(self, cell: "Cell[A]", message: Message, error: Exception) -> None:
        """A turn raised; called once for each."""
        ...

    def forward(self, cell: "Cell[A]", message: Message) -> None:
        """Take what is delivered after the actor has gone."""
        ...


class Cell(Generic[A]):
    """An actor's place: its phase, mailbox and turns.

    Its gate is open while a message would be handled within the call that delivers it; whoever holds the gate may
    then do what that message would, without one (`hotpath.tap_path`).

    Args:
        keeper: who keeps it.
        key: by which the keeper knows it.
    """

    __slots__ = (
        "_away",
        "_control",
        "_draining",
        "_in_turn",
        "_keeper",
        "_mailbox",
        "_phase",
        "_quarantined_until_ms",
        "_turns",
        "actor",
        "gate",
        "key",
        "last_turn_ms",
    )

    def __init__(self, keeper: Keeper[A], key: Any) -> None:
        self._keeper = keeper
        self.key = key
        self._mailbox: deque[Message] = _NO_MESSAGES
        self._control: deque[Message] = _NO_MESSAGES
        self._in_turn = False
        self._draining = False
        self._away = False  # on an errand
        self.actor: A | None = None
        self._phase = Phase.LOADING
        self.gate = Gate(keeper.accepting)
        self.last_turn_ms = keeper.clock.now_ms()
        self._quarantined_until_ms = 0
        self._turns = 0

    @property
    def phase(self) -> Phase:
        """Where it is in its life."""
        return self._phase

    @phase.setter
    def phase(self, phase: Phase) -> None:
        self._phase = phase
        self._set_gate()

    @property
    def quarantined_until_ms(self) -> int:
        """Until when writes are refused; 0 = never quarantined."""
        return self._quarantined_until_ms

    @quarantined_until_ms.setter
    def quarantined_until_ms(self, until_ms: int) -> None:
        self._quarantined_until_ms = until_ms
        self._set_gate()

    @property
    def depth(self) -> int:
        """Messages waiting."""
        return len(self._mailbox) + len(self._control)

    def deliver(self, message: Message) -> None:
        """Handle `message` now if nothing is before it, else queue it; refuses it when the mailbox is full."""
        if self._phase is Phase.ACTIVE and not (self._in_turn or self._away or self._mailbox or self._control):
            self._turn(message)
            return
        if self._phase is Phase.GONE:
            self._keeper.forward(self, message)
            return
        if message.control:
            self._control = self._control or deque()
            self._control.append(message)
        elif not (self._mailbox and self._mailbox[-1].merge(message)):
            bound = MAILBOX_MESSAGES if self._phase is Phase.ACTIVE else STASH_MESSAGES
            if len(self._mailbox) >= bound:
                message.refuse(Busy("too many messages wait for this player", retry_after_ms=BUSY_RETRY_MS))
                return
            self._mailbox = self._mailbox or deque()
            self._mailbox.append(message)
        self._wake()

    def activate(self, actor: A) -> None:
        """The state is loaded: from now on `actor` handles what waits and what comes."""
        self.actor = actor
        self.phase = Phase.ACTIVE
        self._wake()

    def deliver_first(self, message: Message) -> None:
        """Put `message` before everything that waits: the rest of one whose turn raised."""
        self._mailbox = self._mailbox or deque()
        self._mailbox.appendleft(message)
        self._wake()

    def back_with(self, message: Message) -> None:
        """The errand has ended: go on with `message`."""
        self._away = False
        if self._phase is Phase.GONE:
            self._keeper.forward(self, message)
        else:
            self.deliver_first(message)

    def take_stash(self) -> list[Message]:
        """Everything that waits, control messages first; the mailbox is empty then."""
        stash = [*self._control, *self._mailbox]
        self._control = self._mailbox = _NO_MESSAGES
        return stash

    async def drain(self) -> None:
        """Handle what waits, letting other tasks run every `TURNS_PER_ROUND` turns."""
        try:
            while self._can_turn():
                for _ in range(TURNS_PER_ROUND):
                    if not self._can_turn():
                        break
                    self._turn(self._next())
                await trio.lowlevel.checkpoint()
        finally:
            self._draining = False

    def _next(self) -> Message:
        if self._control:
            message = self._control.popleft()
            self._control = self._control or _NO_MESSAGES
        else:
            message = self._mailbox.popleft()
            self._mailbox = self._mailbox or _NO_MESSAGES
        return message

    def _can_turn(self) -> bool:
        return self._phase is Phase.ACTIVE and not self._away and bool(self._control or self._mailbox)

    def _wake(self) -> None:
        self._set_gate()
        if self._can_turn() and not self._draining:
            self._draining = True
            self._keeper.start_drain(self)

    def _set_gate(self) -> None:
        waiting = self._in_turn or self._away or self._mailbox or self._control or self._quarantined_until_ms
        self.gate.open = self._phase is Phase.ACTIVE and not waiting

    def _turn(self, message: Message) -> None:
        now_ms = self._keeper.clock.now_ms()
        if message.writes and self._is_read_only(message, now_ms):
            self._wake()
            return
        actor = self.actor
        assert actor is not None
        self.last_turn_ms = now_ms
        self._in_turn = True
        started_s = time.perf_counter() if self._turns % TURNS_PER_SAMPLE == 0 else 0.0
        self._turns += 1
        try:
            errand = actor.handle(message, now_ms)
            if errand is not None:
                self._away = True
                self._keeper.start_errand(self, errand)
        except Exception as error:  # noqa: BLE001 - the one place where a turn's bug is contained
            self._keeper.turn_raised(self, message, error)
        finally:
            self._in_turn = False
            if started_s:
                self._keeper.observe_turn_s(time.perf_counter() - started_s)
            self._wake()

    def _is_read_only(self, message: Message, now_ms: int) -> bool:
        """Whether state must not change now; `message` has been refused then."""
        if now_ms < self._quarantined_until_ms:
            wait_ms = self._quarantined_until_ms - now_ms
            message.refuse(Unavailable("this player is paused after repeated errors", retry_after_ms=wait_ms))
        elif not self._keeper.accepting.open:
            message.refuse(Unavailable("too much waits to be written"))
        else:
            return False
        return True
