"""More players come back at once than a slow database can load in time. Time is Trio's mock clock.

Everything but sockets and PostgreSQL is real: sessions, door, registry, actors; clients do what wire.md tells them to.
"""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from gameserver.actors.load_queue import BATCH_KEYS, HALVINGS, MAX_PER_S, QUEUE_S
from gameserver.actors.player import PlayerActor
from gameserver.actors.registry import Registry
from gameserver.edge.counters import Counters
from gameserver.edge.heartbeat import Heartbeat
from gameserver.edge.login import LoginDoor
from gameserver.edge.returns import DEFAULT_PER_S, EARLIEST_MS, FURTHEST_MS, Returns
from gameserver.edge.session import JOIN_DEADLINE_MS, Session
from gameserver.edge.surroundings import Surroundings
from gameserver.identity.last_seen import LastSeen
from gameserver.identity.tokens import TokenIssuer
from gameserver.wire.ops import CloseCode
from hotpath.outbox import Outbox
from persistence.records import LoadedPlayer, OwnedElsewhere
from tests.fakes.front_desk import front_desk
from tests.fakes.game_client import GOODBYE, HELLO, WELCOME, hello_map
from tests.fakes.loopback_game import KEY, build_registry
from tests.fakes.memory_accounts import MemoryAccounts
from tests.fakes.memory_refusals import rate_limits
from tests.fakes.memory_sessions import MemorySessions
from tests.fakes.other_side import pack, unpack
from tests.fakes.player_database import PlayerDatabase
from tests.fakes.trio_time_clock import TrioTimeClock

LOAD_S = 4.0  #: one batch, whatever is in it: 250 players a second
JITTER_MS = 500  #: of a client whose first attempt it was …
JITTER_MAX_MS = 15_000  #: … and of one that has tried often


class SlowDatabase(PlayerDatabase):
    """Answers, but takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.load_s = LOAD_S

    async def claim(self, public_ids: Sequence[UUID]) -> list[LoadedPlayer | OwnedElsewhere]:
        await trio.sleep(self.load_s)
        return await super().claim(public_ids)


@dataclass
class Story:
    """What one client lived through; times in seconds of the storm."""

    told: list[tuple[float, int, int]] = field(default_factory=list)  #: (when, close code, reconnect_after_ms)
    attempts: int = 0
    longest_wait_s: float = 0.0  #: from a HELLO to its answer
    welcomed_s: float = 0.0


class Node:
    """A node, and clients without sockets."""

    def __init__(self, clock: MockClock, nursery: trio.Nursery) -> None:
        self.clock = TrioTimeClock(clock)
        self.database = SlowDatabase()
        self.issuer = TokenIssuer({"test": KEY})
        self.players: Registry[UUID, PlayerActor] = build_registry(self.database, self.clock)
        self.returns = Returns(self.clock, self.players.loads, DEFAULT_PER_S)
        self.heartbeat = Heartbeat(self.clock)
        limits = rate_limits(self.clock)
        accounts = front_desk(MemoryAccounts(), self.issuer, self.clock, limits=limits)
        door = LoginDoor(accounts, self.players, nursery, LastSeen(MemorySessions(), self.clock), limits)
        notices = self.heartbeat.notices
        self.shared = Surroundings(self.clock, door, self.heartbeat, notices, Counters(), self.returns, limits)
        self.waiting_max = 0
        self.began_s = trio.current_time()

    async def come(self, story: Story, random_: random.Random) -> None:
        """One client, until it is welcome."""
        token = self.issuer.issue(self.database.add().public_id, UUID(int=1), self.clock.now_ms() // 1_000)
        while True:
            story.attempts += 1
            asked_s = trio.current_time()
            frame = await self._ask(token)
            story.longest_wait_s = max(story.longest_wait_s, trio.current_time() - asked_s)
            if frame[0] == WELCOME:
                story.welcomed_s = trio.current_time() - self.began_s
                return
            assert frame[0] == GOODBYE
            story.told.append((trio.current_time() - self.began_s, frame[1], frame[3]))
            jitter_ms = random_.uniform(0, min(JITTER_MAX_MS, JITTER_MS * 2 ** (story.attempts - 1)))
            await trio.sleep((frame[3] + jitter_ms) / 1_000)

    async def _ask(self, token: str) -> list[Any]:
        """Say HELLO; returns what is answered."""
        answered = trio.Event()
        outbox = Outbox(answered.set)
        session = Session(self.shared, outbox, answered.set)
        session.receive(pack([HELLO, 0, hello_map(token=token)]))
        self.waiting_max = max(self.waiting_max, self.players.loads.waiting)
        await answered.wait()
        answer = outbox.pop()
        assert isinstance(answer, bytes)
        frame: list[Any] = unpack(answer)
        if frame[0] == GOODBYE:
            session.gone()
        return frame


@asynccontextmanager
async def node_of(clock: MockClock) -> AsyncIterator[Node]:
    async with trio.open_nursery() as nursery:
        node = Node(clock, nursery)
        await nursery.start(node.players.run)
        nursery.start_soon(node.heartbeat.run)
        yield node
        nursery.cancel_scope.cancel()


async def storm(node: Node, count: int) -> list[Story]:
    """Let so many come at once; returns when all are welcome."""
    stories = [Story() for _ in range(count)]
    node.began_s = trio.current_time()
    with trio.fail_after(600):
        async with trio.open_nursery() as clients:
            for number, story in enumerate(stories):
                clients.start_soon(node.come, story, random.Random(number))
    return stories


async def test_who_cannot_be_loaded_in_time_is_told_a_later_and_later_moment_and_everybody_gets_in(
    autojump_clock: MockClock,
) -> None:
    count = 4_000
    async with node_of(autojump_clock) as node:
        await storm(node, 1)  # what a load takes is known then
        stories = await storm(node, count)
        told = sorted(each for story in stories for each in story.told)
        assert {code for _, code, _ in told} == {CloseCode.OVERLOADED}

        at_once = [after_ms for at_s, _, after_ms in told if at_s == 0]
        room = max(BATCH_KEYS, round(BATCH_KEYS / LOAD_S * QUEUE_S))
        assert len(at_once) == pytest.approx(count - room, rel=0.01)
        assert all(EARLIEST_MS[CloseCode.OVERLOADED] < after_ms for after_ms in at_once)
        assert at_once == sorted(at_once)
        # whoever was told first finds those before him loaded, and the last all who were told before
        assert at_once[0] / 1_000 == pytest.approx(1 + room / 250, abs=1)
        assert at_once[-1] / 1_000 == pytest.approx(1 + count / 250, abs=1)
        assert all(after_ms <= EARLIEST_MS[CloseCode.OVERLOADED] + FURTHEST_MS for _, _, after_ms in told)

        assert node.waiting_max <= room + BATCH_KEYS
        assert max(story.longest_wait_s for story in stories) < JOIN_DEADLINE_MS / 1_000
        assert max(story.attempts for story in stories) <= 4
        assert max(story.welcomed_s for story in stories) < 1.7 * count / 250
        assert node.players.statistics().active == count + 1
        assert node.players.statistics().loads_refused_total == len(told)


async def test_while_the_database_is_away_the_crowd_is_spread_further_and_further_and_then_gets_in(
    autojump_clock: MockClock,
) -> None:
    count, back_s = 1_500, 60.0
    async with node_of(autojump_clock) as node:
        node.database.load_s = 0.1
        node.database.away = True

        async def return_later() -> None:
            await trio.sleep(back_s)
            node.database.away = False

        async with trio.open_nursery() as nursery:
            nursery.start_soon(return_later)
            stories = await storm(node, count)
        assert node.players.statistics().load_failures_total > 5
        told = sorted(each for story in stories for each in story.told)
        assert {code for _, code, _ in told} == {CloseCode.OVERLOADED}
        per_s = MAX_PER_S / 2**HALVINGS
        earliest_ms = EARLIEST_MS[CloseCode.OVERLOADED]
        longest_ms = [max(after for at_s, _, after in told if s <= at_s < s + 1) - earliest_ms for s in range(3)]
        assert longest_ms[:3] == sorted(longest_ms[:3])
        assert longest_ms[2] > 3 * longest_ms[0] > 1_000  # at first as if it were over at once
        assert max(after_ms for _, _, after_ms in told) < earliest_ms + 1_000 * count / per_s
        # from then on nobody comes before his moment, and there are no more of those in a second
        a_second = [sum(second <= at_s < second + 1 for at_s, _, _ in told) for second in range(5, round(back_s))]
        assert max(a_second) < 1.3 * per_s
        last_s = max(story.welcomed_s for story in stories)
        assert last_s < back_s + (earliest_ms + max(longest_ms) + JITTER_MAX_MS) / 1_000


async def test_a_database_that_hangs_keeps_nobody_waiting_beyond_the_deadline(autojump_clock: MockClock) -> None:
    async with node_of(autojump_clock) as node:
        node.database.load_s = 40.0  # the first batch; it is welcome when that is over, if it still waits
        stories = [Story() for _ in range(2_500)]
        async with trio.open_nursery() as clients:
            for number, story in enumerate(stories):
                clients.start_soon(node.come, story, random.Random(number))
            await trio.sleep(39)
            node.database.load_s = 0.1
            assert max(story.longest_wait_s for story in stories) <= JOIN_DEADLINE_MS / 1_000 + 1
            assert all(story.told for story in stories)
        assert node.players.statistics().active == len(stories)
