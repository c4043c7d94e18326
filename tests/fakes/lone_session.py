"""A session without a socket: its player is really there, its frames are read from its outbox."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from gameserver.actors.actor import Cell, Errand, Message, Phase
from gameserver.actors.load_queue import LoadQueue
from gameserver.actors.player import PlayerActor
from gameserver.clock import ManualClock
from gameserver.edge.counters import Counters
from gameserver.edge.heartbeat import Heartbeat
from gameserver.edge.returns import DEFAULT_PER_S, Returns
from gameserver.edge.session import Session
from gameserver.edge.surroundings import Greeted, Surroundings
from gameserver.rate_limits.table import TABLE, Limit
from gameserver.wire.messages import Hello
from hotpath.outbox import Outbox
from hotpath.tap_path import Gate
from tests.fakes.game_client import ERROR, GOODBYE, HELLO, WELCOME, hello_map
from tests.fakes.memory_refusals import rate_limits
from tests.fakes.other_side import pack, unpack
from tests.fakes.player_database import PlayerDatabase

LOGIN = UUID(int=7)  #: the login session of who is let in


class HeldDoor:
    """Keeps each HELLO until the test decides."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Session, Hello]] = []

    def greet(self, session: Greeted, hello: Hello) -> None:
        """Start the check."""
        assert isinstance(session, Session)
        self.waiting.append((session, hello))


class LoneSession:
    """One session, its deadlines, its player.

    Args:
        table: how often it may do what.
    """

    def __init__(self, table: Iterable[Limit] = TABLE) -> None:
        self.clock = ManualClock()
        self.door = HeldDoor()
        self.heartbeat = Heartbeat(self.clock)
        self.counters = Counters()
        self.wakes = 0
        self.aborted = 0
        self.database = PlayerDatabase()
        self.row = self.database.add()
        self.observe_turn_s = self.database.turns_s.append
        self.accepting = Gate()
        self.accepting.open = True
        self.drains: list[Cell[PlayerActor]] = []
        self.errands: list[tuple[Cell[PlayerActor], Errand]] = []
        self.cell = self.new_cell()
        loads: LoadQueue[str] = LoadQueue(self.clock)
        self.shared = Surroundings(
            self.clock,
            self.door,
            self.heartbeat,
            self.heartbeat.notices,
            self.counters,
            Returns(self.clock, loads, DEFAULT_PER_S),
            rate_limits(self.clock, table=table),
        )
        self.session = Session(self.shared, Outbox(self._wake), self._abort)

    # What the player's cell asks of its keeper

    def start_drain(self, cell: Cell[PlayerActor]) -> None:
        """Leave the drain to the test."""
        self.drains.append(cell)

    def start_errand(self, cell: Cell[PlayerActor], errand: Errand) -> None:
        """Leave the errand to the test."""
        self.errands.append((cell, errand))

    def turn_raised(self, cell: Cell[PlayerActor], message: Message, error: Exception) -> None:
        """No failure is expected."""
        del cell, message
        raise error

    def forward(self, cell: Cell[PlayerActor], message: Message) -> None:
        """The player is gone for good."""

    def new_cell(self) -> Cell[PlayerActor]:
        """The player's place, still loading."""
        return Cell(self, "player")

    def activate(self) -> PlayerActor:
        """The player is loaded."""
        habitat = self.database.habitat(self.clock, lambda _id, reason, dropped, **_: dropped.expel(reason))
        actor = PlayerActor(self.database.load(self.row), habitat)
        self.cell.activate(actor)
        return actor

    def _wake(self) -> None:
        self.wakes += 1

    def _abort(self) -> None:
        self.aborted += 1

    def send(self, *frame: Any) -> None:
        """A frame of the client."""
        self.session.heard()
        self.session.receive(pack(list(frame)))

    def greet(self, **changes: Any) -> None:
        """HELLO, good as it is."""
        self.send(HELLO, 0, hello_map(token="x") | changes)

    def live(self) -> "LoneSession":
        """Up to WELCOME, which is taken from the outbox."""
        if self.cell.phase is Phase.LOADING:
            self.activate()
        self.greet()
        session, hello = self.door.waiting.pop()
        session.join(self.cell, hello, LOGIN, None)
        [welcome] = self.take()
        assert welcome[0] == WELCOME
        return self

    def take(self) -> list[list[Any]]:
        """The frames that wait to be written."""
        frames = []
        while (frame := self.session.outbox.pop()) is not None:
            assert isinstance(frame, bytes)
            frames.append(unpack(frame))
        return frames

    def errors(self) -> list[tuple[int, int, int]]:
        """(seq, code, retry_after_ms) of the frames that wait, which are all errors."""
        frames = self.take()
        assert all(frame[0] == ERROR for frame in frames), frames
        return [(seq, code, retry_after_ms) for _, seq, code, _, _, retry_after_ms in frames]

    def end(self) -> tuple[int | None, int | None]:
        """(code in GOODBYE or None, code of the close frame or None)."""
        frames = self.take()
        said = frames[-1][1] if frames and frames[-1][0] == GOODBYE else None
        closing = self.session.outbox.closing
        return said, None if closing is None else int(closing[0])

    def wait(self, ms: int, step_ms: int = 100) -> None:
        """Let time pass, beat by beat."""
        for _ in range(0, ms, step_ms):
            self.clock.advance(step_ms)
            self.heartbeat.beat()
