"""Two servers that both believe to own a player: claims, flushes and reconnects in any order, and nothing counts twice.

There is no lease here, only the fence: a claim raises the epoch, and a flush with an older one is refused, also where
it was taken before the claim and arrives after it. Clients keep to docs/client.md, and move between the servers.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from gameserver.actors.player import PlayerActor
from gameserver.wire.ops import CloseCode
from persistence.records import LedgerKind, PlayerWrites
from tests.fakes.lone_player import LonePlayer
from tests.fakes.recording_origin import RecordingOrigin
from tests.fakes.rich_player import assert_sound, rich_player
from tests.fault.client_queue import ClientQueue
from tests.fault.history import TAP, LineageHistory

NODES, CLIENTS = 2, 3
BUY = "upgrade.buy"
nodes, clients = st.integers(0, NODES - 1), st.integers(0, CLIENTS - 1)


@dataclass
class Node:
    """A server's hold on the player."""

    place: LonePlayer
    holds: bool = False
    flush: tuple[PlayerActor, PlayerWrites] | None = None  #: on its way to the database

    def take(self) -> None:
        writes = self.place.actor.take_writes() if self.holds else None
        self.flush = (self.place.actor, writes) if writes is not None else None

    def land(self) -> None:
        flush, self.flush = self.flush, None
        if flush is not None:
            self.place.database.settle(*flush)
        for _, reason, actor in self.place.dropped:
            if actor is self.place.actor and self.holds:
                self.holds = False
                actor.expel(reason)
        self.place.dropped.clear()


@dataclass
class Client:
    """One queue of operations."""

    queue: ClientQueue
    origin: RecordingOrigin | None = None
    node: Node | None = None
    results: dict[int, list[Any]] = field(default_factory=dict)  #: seq → what its answers were


class Fight(RuleBasedStateMachine):
    """One player, two servers, three clients."""

    def __init__(self) -> None:
        super().__init__()
        self.rich = rich_player()
        database, row = self.rich.database, self.rich.row
        row.columns = type(row.columns)(
            **{name: getattr(row.columns, name) for name in row.columns.__slots__} | {"bucket_mt": 900_000}
        )
        self.taps_before = row.columns.taps
        self.row = row
        self.nodes = [Node(LonePlayer(database, row)) for _ in range(NODES)]
        self.clients = [
            Client(ClientQueue(LineageHistory(f"c{number}", "player", number.to_bytes(16, "big"))))
            for number in range(1, CLIENTS + 1)
        ]

    @rule(client=clients, node=nodes)
    def connect(self, client: int, node: int) -> None:
        """It goes on on another socket; the older one stays open, and its server may not know better."""
        who, where = self.clients[client], self.nodes[node]
        if not where.holds:
            where.place.load()
            where.holds = True
        who.origin, who.node = where.place.attach(who.queue.history.lineage), where
        welcomed = who.origin.welcomed
        assert welcomed is not None
        who.queue.resume(welcomed.applied_seq, welcomed.durable_seq)
        self.hear()

    @precondition(lambda self: any(client.origin for client in self.clients))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from([client for client in self.clients if client.origin]))
        if who.origin is not None and who.node is not None and who.node.holds:
            who.node.place.detach(who.origin)
        who.origin = None

    @rule(client=clients, count=st.integers(1, 3))
    def tap(self, client: int, count: int) -> None:
        self.clients[client].queue.add(TAP, count=count)
        self.send(self.clients[client])

    @rule(client=clients)
    def buy(self, client: int) -> None:
        self.clients[client].queue.add(BUY)
        self.send(self.clients[client])

    @rule(client=clients)
    def send_again(self, client: int) -> None:
        """What was answered already."""
        who = self.clients[client]
        for operation in who.queue.answered_already():
            self.deliver(who, operation.seq)
        self.hear()

    @rule(node=nodes)
    def begin_flush(self, node: int) -> None:
        if self.nodes[node].flush is None:
            self.nodes[node].take()

    @rule(node=nodes)
    def end_flush(self, node: int) -> None:
        self.nodes[node].land()
        self.hear()

    # Clients

    def send(self, who: Client) -> None:
        if who.origin is not None:
            for operation in who.queue.due():
                self.deliver(who, operation.seq)
        self.hear()

    def deliver(self, who: Client, seq: int) -> None:
        if who.origin is None or who.node is None or not who.node.holds:
            return
        operation = who.queue.history.operations[seq]
        if operation.name == TAP:
            who.node.place.tap(who.origin, seq, operation.count)
        else:
            who.node.place.act(who.origin, seq, BUY, kind="energy_cap")

    def hear(self) -> None:
        for who in self.clients:
            if who.origin is None:
                continue
            for told in who.origin.take():
                match told:
                    case ("tapped", seq, *_, durable_seq) | ("result", seq, _, durable_seq):
                        who.queue.answered(seq)
                        who.queue.told_durable(durable_seq)
                    case ("error", seq, _, retry_after_ms):
                        assert not retry_after_ms
                        who.queue.answered(seq)
                        who.queue.told_durable(0)  # what was before may be forgotten now
                    case ("durable", durable_seq):
                        who.queue.told_durable(durable_seq)
                    case _:
                        assert told[0] == "event", told
                if told[0] in ("result", "error"):
                    who.results.setdefault(told[1], []).append(told[2])
            if who.origin.goodbyes:
                assert [code for code, _ in who.origin.goodbyes] == [CloseCode.RESYNC]
                who.origin = None

    # The end

    def teardown(self) -> None:
        """The fight is over: one server has the player, everybody comes back and finishes."""
        for node in self.nodes:
            node.land()
        self.nodes[0].holds = False
        for number, who in enumerate(self.clients):
            self.connect(number, 0)
            self.send(who)
        self.nodes[0].take()
        self.nodes[0].land()
        self.hear()
        bought = 0
        for who in self.clients:
            operations = who.queue.history.operations.values()
            assert len(who.queue) == 0
            assert self.row.cursors.get(who.queue.history.lineage, 0) == max((it.seq for it in operations), default=0)
            for operation in operations:
                if operation.name == BUY:
                    answers = who.results[operation.seq]
                    assert answers == answers[:1] * len(answers), "one operation, two answers"
                    bought += answers[0] != "insufficient"
        taps = sum(it.count for who in self.clients for it in who.queue.history.operations.values())
        assert self.row.columns.taps - self.taps_before == taps
        assert sum(posting.kind is LedgerKind.UPGRADE for posting in self.row.postings) == bought
        assert self.row.columns.energy_cap_level - 1 == bought
        assert not any(node.place.quarantines or node.place.raised for node in self.nodes)
        assert_sound(self.rich)


TestFight = Fight.TestCase
TestFight.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
