"""Key -> cell: who is active, how one becomes active, and how one goes to rest.

Activation is single-flight: whoever asks for an actor that is not there shares one load (architecture §3.4); who
waits for one, and for whom there is no room, is `load_queue`'s. Passivation: stop → stash arrivals → flush and wait
for the commit → drop → replay the stash into a new activation (§3.7).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

from gameserver.actors.actor import A, Cell, Errand, Message, Phase
from gameserver.actors.load_queue import LoadQueue
from gameserver.actors.supervisor import Supervisor
from gameserver.clock import Clock
from gameserver.errors import Busy, NotFound, Unavailable, WireError
from gameserver.logs import get_logger
from gameserver.timing_wheel import TimingWheel
from hotpath.tap_path import Gate

IDLE_MS = 300_000  #: passivated after this long without a message
SWEEP_S = 1.0

K = TypeVar("K", bound=Hashable)
log = get_logger(__name__)

#: Loads a batch: for each key the actor, or the error its messages are refused with; absent = no such actor.
Loader = Callable[[Sequence[K]], Awaitable[Mapping[K, A | WireError]]]
#: Writes everything of an actor that is leaving; returns when it is committed or when that can never be.
Flush = Callable[[A], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RegistryStatistics:
    """A registry at one moment."""

    active: int  #: actors in memory
    loading: int  #: waiting for their state
    stopping: int  #: waiting for their last flush
    mailbox_messages: int  #: waiting in all mailboxes
    mailbox_max_messages: int  #: the longest mailbox
    activations_total: int
    load_batches_total: int
    load_failures_total: int
    loads_refused_total: int  #: actors that would have waited for too long
    loads_per_s: float  #: how many could be loaded, as far as is known
    passivations_total: int
    turn_failures_total: int  #: turns that raised
    quarantines_total: int


class Registry(Generic[K, A]):
    """All actors of one kind on this node.

    Args:
        load: loads a batch of actors.
        flush: writes a leaving actor.
        clock: the present, for turns and idleness.
        may_passivate: asked before an idle actor is written and dropped; dirty actors stay while the database is away.
        observe_turn_s: told what sampled turns took.
        accepts_writes: whether actors may change their state; asked once a sweep.
        idle_ms: passivate after this long without a message and with nobody attached.

    Resources: `run` must be running for anything to be activated, drained or passivated.
    """

    def __init__(
        self,
        *,
        load: Loader[K, A],
        flush: Flush[A],
        clock: Clock,
        may_passivate: Callable[[], bool],
        observe_turn_s: Callable[[float], None],
        accepts_writes: Callable[[], bool] = lambda: True,
        idle_ms: int = IDLE_MS,
    ) -> None:
        self.clock = clock
        self.observe_turn_s = observe_turn_s
        self.accepting = Gate()  #: open while actors may change their state
        self.accepting.open = True
        self.loads: LoadQueue[K] = LoadQueue(clock)  #: who waits to become active
        self._load = load
        self._flush = flush
        self._may_passivate = may_passivate
        self._accepts_writes = accepts_writes
        self._idle_ms = idle_ms
        self._cells: dict[K, Cell[A]] = {}
        self._nursery: trio.Nursery | None = None
        self._settled = trio.Event()  #: replaced each time a cell has become active or gone
        self._activations = self._batches = self._load_failures = self._passivations = 0
        self._sweeps: TimingWheel[Cell[A]] = TimingWheel(clock.now_ms(), tick_ms=1_000, slots=512)
        self.supervisor: Supervisor[K, A] = Supervisor(
            clock, lambda cell: self._sweeps.schedule(cell, cell.quarantined_until_ms)
        )

    def deliver(self, key: K, message: Message) -> None:
        """Give `message` to the actor `key`, activating it first if it is not there; refuse it if there is no room."""
        try:
            cell = self.cell(key)
        except Busy as error:
            message.refuse(error)
        else:
            cell.deliver(message)

    def cell(self, key: K) -> Cell[A]:
        """The actor's cell; a new one is queued for loading. Once GONE it passes on what it is given.

        Raises:
            Busy: it is not in memory, and too many are waiting to be loaded.
        """
        cell = self._cells.get(key)
        if cell is None:
            self.loads.put(key)
            cell = Cell(self, key)
            cell.quarantined_until_ms = self.supervisor.quarantine_of(key)
            self._cells[key] = cell
        return cell

    def active(self, key: K) -> A | None:
        """The actor if it is in memory and active."""
        cell = self._cells.get(key)
        return cell.actor if cell is not None and cell.phase is Phase.ACTIVE else None

    def actors(self) -> list[A]:
        """All that are in memory."""
        return [cell.actor for cell in self._cells.values() if cell.actor is not None]

    def discard(self, key: K, reason: str, actor: A, *, quarantine: bool = False) -> None:
        """The actor's state is no longer ours or no longer right: expel who is attached, drop it unwritten.

        What is stashed goes to a new activation, which loads the truth from the database. An actor that is not there
        any more is no reason to harm the one that is.

        Args:
            key: of the actor.
            reason: for who is attached.
            actor: which one.
            quarantine: what it did must not be tried again at once: the next activation is quarantined.
        """
        cell = self._cells.get(key)
        if cell is None or cell.actor is not actor:
            return
        stash = self._drop(cell)
        actor.expel(reason)
        if quarantine:
            self.supervisor.quarantine_next(key)
        self._replay(cell, stash)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Load, drain and passivate until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._load_forever)
            nursery.start_soon(self._sweep_forever)
            task_status.started()

    async def passivate_all(self) -> None:
        """Write and drop every actor; returns when all are gone. Bound it with a cancel scope.

        Actors that are loading, and what was stashed for those that leave, become active first: a claim that was made
        is given back.
        """
        while self._cells:
            self._settled = trio.Event()
            async with trio.open_nursery() as nursery:
                for cell in list(self._cells.values()):
                    if cell.phase is Phase.ACTIVE:
                        nursery.start_soon(self._passivate, cell)
            if self._cells:
                await self._settled.wait()

    def statistics(self) -> RegistryStatistics:
        """The registry now."""
        cells = self._cells.values()
        depths = [cell.depth for cell in cells]
        phases = Counter(cell.phase for cell in cells)
        return RegistryStatistics(
            active=phases[Phase.ACTIVE],
            loading=phases[Phase.LOADING],
            stopping=phases[Phase.STOPPING],
            mailbox_messages=sum(depths),
            mailbox_max_messages=max(depths, default=0),
            activations_total=self._activations,
            load_batches_total=self._batches,
            load_failures_total=self._load_failures,
            loads_refused_total=self.loads.refused_total,
            loads_per_s=self.loads.per_s,
            passivations_total=self._passivations,
            turn_failures_total=self.supervisor.failures_total,
            quarantines_total=self.supervisor.quarantines_total,
        )

    # What its cells ask of it

    def start_drain(self, cell: Cell[A]) -> None:
        """Have a task handle what waits in `cell`."""
        assert self._nursery is not None, "the registry is not running"
        self._nursery.start_soon(self._drain, cell)

    def start_errand(self, cell: Cell[A], errand: Errand) -> None:
        """Have a task run what `cell` waits for."""
        assert self._nursery is not None, "the registry is not running"
        self._nursery.start_soon(self._run_errand, cell, errand)

    def turn_raised(self, cell: Cell[A], message: Message, error: Exception) -> None:
        """A turn raised."""
        self.supervisor.turn_raised(cell, message, error)

    def forward(self, cell: Cell[A], message: Message) -> None:
        """Deliver what was meant for an actor that has gone; control messages alone bring none back."""
        if not message.control or cell.key in self._cells:
            self.deliver(cell.key, message)

    # Inside

    async def _run_errand(self, cell: Cell[A], errand: Errand) -> None:
        try:
            message = await errand()
        except Exception:  # an errand answers for its own bugs; one that does not must not end all the others
            log.exception("an errand crashed", actor=str(cell.key))
            if cell.actor is not None:
                self.discard(cell.key, "the server failed", cell.actor)
        else:
            cell.back_with(message)

    async def _drain(self, cell: Cell[A]) -> None:
        try:
            await cell.drain()
        except Exception:  # a turn's bug is contained in its turn; this is a bug in how its sender is told
            log.exception("an actor's mailbox crashed", actor=str(cell.key))
            if cell.actor is not None:
                self.discard(cell.key, "the server failed", cell.actor)

    async def _load_forever(self) -> None:
        while True:
            await self._load_batch(await self.loads.next_batch())

    async def _load_batch(self, keys: Sequence[K]) -> None:
        self._batches += 1
        failed: WireError | None = None
        loaded: Mapping[K, A | WireError] = {}
        try:
            loaded = await self._load(keys)
        except WireError as error:
            failed = error
        except Exception:  # a loader's bug must not end every other activation
            log.exception("loading actors failed", count=len(keys))
            failed = Unavailable("this player cannot be loaded just now")
        self._load_failures += failed is not None
        self.loads.landed(failed=failed is not None)
        now_ms = self.clock.now_ms()
        for key in keys:
            cell = self._cells[key]
            found = failed or loaded.get(key)
            if found is None or isinstance(found, WireError):
                for message in self._drop(cell):
                    message.refuse(found or NotFound("there is no such player"))
            else:
                self._activations += 1
                self._settled.set()
                cell.activate(found)
                self._sweeps.schedule(cell, cell.quarantined_until_ms or now_ms + self._idle_ms)

    async def _sweep_forever(self) -> None:
        assert self._nursery is not None
        while True:
            await trio.sleep(SWEEP_S)
            self.accepting.open = self._accepts_writes()
            now_ms = self.clock.now_ms()
            for cell in self._sweeps.advance(now_ms):
                if cell.phase is not Phase.ACTIVE or cell.actor is None:
                    continue
                if cell.quarantined_until_ms:
                    due_ms = cell.quarantined_until_ms
                elif cell.actor.in_use or not self._may_passivate():
                    due_ms = now_ms + self._idle_ms
                else:
                    due_ms = cell.last_turn_ms + self._idle_ms
                if due_ms > now_ms:
                    self._sweeps.schedule(cell, due_ms)
                else:
                    self._nursery.start_soon(self._passivate, cell)

    async def _passivate(self, cell: Cell[A]) -> None:
        actor = cell.actor
        if cell.phase is not Phase.ACTIVE or actor is None:
            return
        cell.phase = Phase.STOPPING
        try:
            await self._flush(actor)
        except Exception:  # the flush's own bug: what the database holds is the truth then
            log.exception("an actor could not be written", actor=str(cell.key))
        if self._cells.get(cell.key) is cell:
            self._passivations += 1
            stash = self._drop(cell)
            actor.expel("the player has been put away")  # nobody is attached but at a stop or after quarantine
            self._replay(cell, stash)

    def _drop(self, cell: Cell[A]) -> list[Message]:
        """The actor is gone; returns what was waiting for it."""
        cell.phase = Phase.GONE
        cell.actor = None  # sessions and the wheel may hold the cell for minutes yet
        del self._cells[cell.key]
        self.supervisor.forget(cell)
        self._settled.set()
        return cell.take_stash()

    def _replay(self, cell: Cell[A], stash: Sequence[Message]) -> None:
        for message in stash:
            self.forward(cell, message)
