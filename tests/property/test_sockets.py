"""Several devices, tabs and reconnects of one player at once, in any order: each socket hears what is its own.

The sessions, the player's place and its actor are real; the model says, frame by frame, what every socket has to hear
(wire protocol, "Client → server", "Channels and recovery"). Sockets close late, twice, or before they were let in.
"""

from dataclasses import dataclass, field
from typing import Any

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gameserver.actors.actor import Cell, Message, Phase
from gameserver.actors.feed import RING_EVENTS, RING_MS
from gameserver.actors.messages import Grant
from gameserver.actors.player import MAX_SOCKETS, PlayerActor
from gameserver.edge.session import Session
from gameserver.wire.messages import Hello
from hotpath.outbox import Outbox
from tests.fakes.game_client import ACTION, DURABLE, EVENT, GOODBYE, HELLO, RESULT, TAP, TAPPED, WELCOME, hello_map
from tests.fakes.lone_session import LOGIN, LoneSession
from tests.fakes.other_side import pack, unpack

LINEAGES = 10  #: more than a player may have sockets
CHANNEL = "player"
BURST_EVENTS = 100  #: published at once: below what a socket's outbox holds
XP = 10_000  #: level 11, and far from the next


@dataclass(eq=False)
class Socket:
    """One socket, as its client sees it."""

    session: Session
    lineage: bytes
    asked: tuple[int, int] | None  #: the position in HELLO
    greeting: Hello | None = None  #: while its credential is being checked
    expected: list[tuple[Any, ...]] = field(default_factory=list)
    position: tuple[int, int] | None = None  #: what its client would ask for next time


class Place(LoneSession):
    """A player that many sockets share, and that can be loaded anew."""

    def forward(self, cell: Cell[PlayerActor], message: Message) -> None:
        """As the registry does while the player is in memory."""
        del cell
        self.cell.deliver(message)

    def settle(self) -> None:
        """Run what was left to other tasks."""
        while self.drains:
            trio.run(self.drains.pop().drain)


class Sockets(RuleBasedStateMachine):
    """Sockets of one player."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Place()
        self.place.row.columns = type(self.place.row.columns)(
            **{name: getattr(self.place.row.columns, name) for name in self.place.row.columns.__slots__} | {"xp": XP}
        )
        self.all: list[Socket] = []
        self.waiting: list[Socket] = []  #: let in while the player is loading
        self.attached: list[Socket] = []  #: oldest first
        self.applied: dict[bytes, int] = {}
        self.events: list[tuple[int, int]] = []  #: (published at, offset) of this activation
        self.offset = 0
        self.grants = 0
        self.place.activate()

    # What the model says

    @property
    def epoch(self) -> int:
        return self.place.row.epoch

    def still_there(self, asked: tuple[int, int]) -> bool:
        epoch, offset = asked
        oldest_ms = self.place.clock.now_ms() - RING_MS
        missed = [event for event in self.events if event[1] > offset]
        kept = self.events[-RING_EVENTS:]
        gone = [event for event in missed if event not in kept or event[0] < oldest_ms]
        return epoch == self.epoch and offset <= self.offset and not gone

    def attach(self, socket: Socket) -> None:
        same = [other for other in self.attached if other.lineage == socket.lineage]
        if same:
            self.attached.remove(same[0])
            same[0].expected.append(("goodbye", 4510))
        elif len(self.attached) == MAX_SOCKETS:
            self.attached.pop(0).expected.append(("goodbye", 4509))
        self.attached.append(socket)
        recovered = socket.asked is not None and self.still_there(socket.asked)
        socket.expected.append(("welcome", self.applied.get(socket.lineage, 0), self.epoch, self.offset, recovered))
        if recovered:
            assert socket.asked is not None
            socket.expected += [("event", offset) for _, offset in self.events if offset > socket.asked[1]]

    # What happens

    @rule(lineage=st.integers(1, 3) | st.integers(1, LINEAGES), data=st.data(), held=st.booleans())
    def hello(self, lineage: int, data: st.DataObject, held: bool) -> None:
        positions = [socket.position for socket in self.all if socket.position is not None]
        near = [
            (max(0, self.epoch + epoch), max(0, self.offset + offset)) for epoch in (-1, 0, 1) for offset in (-3, 0, 1)
        ]
        asked = data.draw(st.none() | st.sampled_from([*near, (self.epoch, 0), *positions]), label="asked")
        self.greet(lineage, asked, held=held)

    @precondition(lambda self: self.place.cell.phase is Phase.ACTIVE)
    @rule()
    def many_devices(self) -> None:
        for lineage in range(1, LINEAGES + 1):
            self.greet(lineage, None, held=False)

    def greet(self, lineage: int, asked: tuple[int, int] | None, *, held: bool) -> None:
        name = lineage.to_bytes(16, "big")
        socket = Socket(Session(self.place.shared, Outbox(), lambda: None), name, asked)
        channels = {"nonsense": [1, 1]} | ({CHANNEL: list(asked)} if asked else {})
        socket.session.heard()
        socket.session.receive(pack([HELLO, 0, hello_map(token="x", lineage=name, channels=channels)]))
        [(_, socket.greeting)] = self.place.door.waiting
        self.place.door.waiting.clear()
        self.all.append(socket)
        if not held:
            self.join(socket)

    def join(self, socket: Socket) -> None:
        hello, socket.greeting = socket.greeting, None
        assert hello is not None
        was_open = not socket.session.closed
        socket.session.join(self.place.cell, hello, LOGIN, None)
        if was_open and self.place.cell.phase is Phase.ACTIVE:
            self.attach(socket)
        elif was_open:
            self.waiting.append(socket)

    @precondition(lambda self: any(socket.greeting for socket in self.all))
    @rule(data=st.data())
    def let_in(self, data: st.DataObject) -> None:
        """In another order than they came: a credential may need the database."""
        self.join(data.draw(st.sampled_from([socket for socket in self.all if socket.greeting]), label="socket"))

    @precondition(lambda self: self.place.cell.phase is Phase.LOADING)
    @rule()
    def loaded(self) -> None:
        self.applied = dict(self.place.row.cursors)
        self.events, self.offset = [], 0
        self.place.activate()
        self.place.settle()
        for socket in self.waiting:
            self.attach(socket)
        self.waiting.clear()

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """Any socket, also one that has ended long ago."""
        socket = data.draw(st.sampled_from(self.all), label="socket")
        socket.session.gone()
        for sockets in (self.waiting, self.attached):
            if socket in sockets:
                sockets.remove(socket)

    @precondition(lambda self: self.all)
    @rule(data=st.data(), forward=st.integers(-3, 3), act=st.booleans())
    def operate(self, data: st.DataObject, forward: int, act: bool) -> None:
        """By any socket: only one that is attached may move anything."""
        sockets = [socket for socket in self.all if socket in self.attached or socket.session.closed]
        if not sockets:
            return
        socket = data.draw(st.sampled_from(sockets), label="socket")
        applied = self.applied.get(socket.lineage, 0)
        seq = max(1, applied + forward)
        socket.session.heard()
        socket.session.receive(pack([ACTION, seq, "profile.get", {}] if act else [TAP, seq, 1, 0]))
        if socket in self.attached:
            socket.expected.append(("result" if act else "tapped", seq))
            self.applied[socket.lineage] = max(applied, seq)
            if seq <= applied and not act:
                socket.expected.append(("repeat", seq))

    @precondition(lambda self: self.place.cell.phase is Phase.ACTIVE)
    @rule(count=st.just(1) | st.integers(1, BURST_EVENTS))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.grants += 1
            self.place.cell.deliver(Grant(self.place.database.grant(self.place.row, self.grants)))
            if self.attached:
                self.offset += 1
                self.events.append((self.place.clock.now_ms(), self.offset))
        for socket in self.attached:
            socket.expected += [("event", offset) for offset in range(self.offset - count + 1, self.offset + 1)]

    @rule(ms=st.integers(0, 5_000) | st.sampled_from([RING_MS - 1, RING_MS, RING_MS + 1]))
    def wait(self, ms: int) -> None:
        self.place.clock.advance(ms)

    @precondition(lambda self: self.place.cell.phase is Phase.ACTIVE)
    @rule()
    def flush(self) -> None:
        self.place.database.flush()

    @precondition(lambda self: self.place.cell.phase is Phase.ACTIVE)
    @rule()
    def resync(self) -> None:
        """Another node had the player meanwhile, or the database refused something: it is loaded anew."""
        actor, gone = self.place.cell.actor, self.place.cell
        assert actor is not None
        self.place.cell = self.place.new_cell()
        gone.phase, gone.actor = Phase.GONE, None
        actor.expel("why")
        for socket in self.attached:
            socket.expected.append(("goodbye", 4010))
        self.attached.clear()

    # What must hold

    def heard(self, socket: Socket) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        while (payload := socket.session.outbox.pop()) is not None:
            assert isinstance(payload, bytes)
            frame = unpack(payload)
            match frame[0]:
                case int(op) if op == WELCOME:
                    [channel] = frame[2]["channels"].items()
                    assert channel[0] == CHANNEL, "a channel nobody knows is passed over"
                    epoch, offset = channel[1]["epoch"], channel[1]["offset"]
                    found.append(("welcome", frame[2]["applied_seq"], epoch, offset, channel[1]["recovered"]))
                    socket.position = socket.asked if channel[1]["recovered"] else (epoch, offset)
                case int(op) if op == EVENT:
                    assert socket.position is not None
                    assert frame[2] == socket.position[1] + 1, "an event is missing, or comes twice"
                    socket.position = socket.position[0], frame[2]
                    found.append(("event", frame[2]))
                case int(op) if op == TAPPED:
                    found.append(("tapped", frame[1]))
                    if ("repeat", frame[1]) in socket.expected:
                        assert frame[2] == 0, "a repeat counted"
                        found.append(("repeat", frame[1]))
                case int(op) if op == RESULT:
                    found.append(("result", frame[1]))
                case int(op) if op == GOODBYE:
                    found.append(("goodbye", frame[1]))
                case op:
                    assert op == DURABLE, frame
        return found

    @invariant()
    def everybody_hears_what_is_his(self) -> None:
        self.place.settle()
        for socket in self.all:
            expected, heard = socket.expected, self.heard(socket)
            socket.expected = []
            assert heard == expected

    @invariant()
    def the_player_knows_who_is_there(self) -> None:
        actor = self.place.cell.actor
        if actor is not None:
            assert actor._origins == [socket.session for socket in self.attached]
            cursors = {key: lineage.cursor.applied_seq for key, lineage in actor._lineages.items()}
            live = {socket.lineage: socket.session for socket in self.attached}
            assert {key: lineage.origin for key, lineage in actor._lineages.items() if lineage.origin} == live
            assert {key: seq for key, seq in cursors.items() if seq or key not in live} == self.applied


TestSockets = Sockets.TestCase
TestSockets.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
