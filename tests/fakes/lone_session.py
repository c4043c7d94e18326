"""A session without a socket: its player is really there, its frames are read from its outbox."""

from typing import Any

from gameserver.actors.actor import Cell, Phase
from gameserver.actors.player import PlayerActor
from gameserver.actors.tally import Tally
from gameserver.clock import ManualClock
from gameserver.edge.heartbeat import Heartbeat
from gameserver.edge.session import Counters, Session, Surroundings
from gameserver.wire.messages import Hello
from hotpath.player_state import World
from tests.fakes.game_client import ERROR, GOODBYE, HELLO, WELCOME, hello_map
from tests.fakes.other_side import pack, unpack
from tests.fakes.player_database import PlayerDatabase


class HeldDoor:
    """Keeps each HELLO until the test decides."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Session, Hello]] = []

    def greet(self, session: Session, hello: Hello) -> None:
        """Start the check."""
        self.waiting.append((session, hello))


class LoneSession:
    """One session, its deadlines, its player."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.door = HeldDoor()
        self.heartbeat = Heartbeat(self.clock)
        self.counters = Counters()
        self.wakes = 0
        self.aborted = 0
        self.database = PlayerDatabase()
        self.row = self.database.add()
        self.drains: list[Cell[PlayerActor]] = []
        self.cell = self.new_cell()
        self.shared = Surroundings(self.clock, self.door, self.heartbeat, self.counters)
        self.session = Session(self.shared, wake=self._wake, abort=self._abort)

    def new_cell(self) -> Cell[PlayerActor]:
        """The player's place, still loading."""
        return Cell(
            clock=self.clock,
            start_drain=self.drains.append,
            on_failure=lambda cell, message, error: self._raise(error),  # noqa: ARG005 - no failure is expected
            observe_turn_s=self.database.turns_s.append,
            forward=lambda message: None,  # noqa: ARG005 - the player is gone for good
            accepts_writes=lambda: True,
        )

    def activate(self) -> PlayerActor:
        """The player is loaded."""
        actor = PlayerActor(
            self.database.load(self.row),
            world=World(),
            tally=Tally(),
            clock=self.clock,
            mark_dirty=self.database.mark_dirty,
            dropped=lambda public_id, reason: actor.expel(reason),  # noqa: ARG005 - only one player is here
        )
        self.cell.activate(actor)
        return actor

    def _wake(self) -> None:
        self.wakes += 1

    def _abort(self) -> None:
        self.aborted += 1

    def _raise(self, error: Exception) -> None:
        raise error

    def send(self, *frame: Any) -> None:
        """A frame of the client."""
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
        session.join(self.cell, hello, "login", None)
        [welcome] = self.take()
        assert welcome[0] == WELCOME
        return self

    def take(self) -> list[list[Any]]:
        """The frames that wait to be written."""
        frames = []
        while (frame := self.session.outbox.pop()) is not None:
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
