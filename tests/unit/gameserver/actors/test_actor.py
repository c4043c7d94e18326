"""The cell: one turn at a time, in order, bounded, contained."""

from collections.abc import Callable

import pytest
import trio

from gameserver.actors.actor import (
    MAILBOX_MESSAGES,
    STASH_MESSAGES,
    TURNS_PER_ROUND,
    TURNS_PER_SAMPLE,
    Cell,
    Errand,
    Message,
    Phase,
)
from gameserver.clock import ManualClock
from gameserver.errors import Busy, Unavailable
from hotpath.tap_path import Gate
from tests.fakes.counting_actor import CountingActor, Note


class Bench:
    """A cell with its drain started by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.to_drain: list[Cell[CountingActor]] = []
        self.raised: list[tuple[Message, Exception]] = []
        self.forwarded: list[Message] = []
        self.errands: list[Errand] = []
        self.turns_s: list[float] = []
        self.observe_turn_s = self.turns_s.append
        self.accepting = Gate()
        self.accepting.open = True
        self.actor = CountingActor()
        self.cell: Cell[CountingActor] = Cell(self, "key")

    def start_drain(self, cell: Cell[CountingActor]) -> None:
        self.to_drain.append(cell)

    def start_errand(self, cell: Cell[CountingActor], errand: Errand) -> None:
        assert cell is self.cell
        self.errands.append(errand)

    def forward(self, cell: Cell[CountingActor], message: Message) -> None:
        assert cell is self.cell
        self.forwarded.append(message)

    def turn_raised(self, cell: Cell[CountingActor], message: Message, error: Exception) -> None:
        self.raised.append((message, error))
        rest = self.actor.failed(message)
        if rest is not None:
            cell.deliver_first(rest)

    def activate(self) -> None:
        self.cell.activate(self.actor)

    async def drain(self) -> None:
        while self.to_drain:
            await self.to_drain.pop().drain()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_an_idle_actor_handles_a_message_within_the_call(bench: Bench) -> None:
    bench.activate()
    bench.cell.deliver(Note("one"))
    assert bench.actor.handled == ["one"]
    assert bench.to_drain == []


async def test_a_turn_is_not_entered_again(bench: Bench) -> None:
    bench.activate()
    seen: list[list[str]] = []

    def within() -> None:
        bench.cell.deliver(Note("inner"))
        seen.append(list(bench.actor.handled))

    bench.cell.deliver(Note("outer", then=within))
    assert seen == [["outer"]]
    assert bench.actor.handled == ["outer"]
    await bench.drain()
    assert bench.actor.handled == ["outer", "inner"]


async def test_what_comes_while_something_waits_queues_behind_it(bench: Bench) -> None:
    bench.activate()
    bench.cell.deliver(Note("1", then=lambda: bench.cell.deliver(Note("2"))))
    bench.cell.deliver(Note("3"))
    assert bench.actor.handled == ["1"]
    await bench.drain()
    assert bench.actor.handled == ["1", "2", "3"]


async def test_an_arrival_while_the_drain_lets_others_run_keeps_its_place(bench: Bench) -> None:
    for number in range(STASH_MESSAGES):
        bench.cell.deliver(Note(str(number)))
    bench.activate()
    for number in range(STASH_MESSAGES, TURNS_PER_ROUND + 10):
        bench.cell.deliver(Note(str(number)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.drain)
        while bench.cell.depth > 10 or not bench.actor.handled:
            await trio.lowlevel.checkpoint()
        bench.cell.deliver(Note("last"))
    assert bench.actor.handled == [*map(str, range(TURNS_PER_ROUND + 10)), "last"]


async def test_a_loading_actor_stashes_sixty_four_and_refuses_more_as_busy(bench: Bench) -> None:
    notes = [Note(str(number)) for number in range(STASH_MESSAGES + 1)]
    for note in notes:
        bench.cell.deliver(note)
    assert bench.cell.depth == STASH_MESSAGES == 64
    [error] = notes[-1].refused
    assert isinstance(error, Busy)
    assert error.retry_after_ms > 0
    assert not any(note.refused for note in notes[:-1])
    bench.activate()
    await bench.drain()
    assert bench.actor.handled == [note.name for note in notes[:-1]]


async def test_an_active_actors_mailbox_holds_128(bench: Bench) -> None:
    bench.activate()
    notes = [Note(str(number)) for number in range(MAILBOX_MESSAGES + 1)]

    def flood() -> None:
        for note in notes:
            bench.cell.deliver(note)

    bench.cell.deliver(Note("first", then=flood))
    assert bench.cell.depth == MAILBOX_MESSAGES == 128
    assert [type(error) for note in notes for error in note.refused] == [Busy]
    await bench.drain()
    assert bench.actor.handled == ["first", *(note.name for note in notes[:-1])]


async def test_control_messages_overtake_and_are_never_refused(bench: Bench) -> None:
    for number in range(STASH_MESSAGES):
        bench.cell.deliver(Note(str(number)))
    control = [Note(f"control {number}", control=True) for number in range(3)]
    for note in control:
        bench.cell.deliver(note)
    bench.activate()
    await bench.drain()
    assert bench.actor.handled[:4] == ["control 0", "control 1", "control 2", "0"]
    assert not any(note.refused for note in control)


async def test_what_merges_takes_no_room(bench: Bench) -> None:
    bench.cell.deliver(Note("taps", mergeable=True))
    late = Note("late", mergeable=True)
    for _ in range(STASH_MESSAGES):
        bench.cell.deliver(Note("more", mergeable=True))
    bench.cell.deliver(late)
    assert bench.cell.depth == 1
    bench.cell.deliver(Note("between"))
    bench.cell.deliver(Note("after", mergeable=True))
    assert bench.cell.depth == 3
    bench.activate()
    await bench.drain()
    assert bench.actor.handled == ["taps", *["more"] * STASH_MESSAGES, "late", "between", "after"]


async def test_a_turn_that_raises_is_reported_once_and_what_is_left_of_it_goes_on(bench: Bench) -> None:
    bench.activate()
    run = Note("good", mergeable=True)
    run.merge(Note("bad", mergeable=True))
    run.merge(Note("also good", mergeable=True))
    bench.cell.deliver(run)
    bench.cell.deliver(Note("behind"))
    await bench.drain()
    assert [str(error) for _, error in bench.raised] == ["bad"]
    assert bench.actor.failures == ["bad"]
    assert bench.actor.handled == ["good", "also good", "behind"]


async def test_nothing_is_handled_while_something_is_fetched_and_then_that_comes_first(bench: Bench) -> None:
    bench.activate()
    bench.cell.deliver(far := Note("far 1"))
    bench.cell.deliver(Note("2"))
    assert (bench.actor.handled, bench.to_drain, bench.cell.gate.open) == ([], [], False)
    [errand] = bench.errands
    bench.cell.back_with(await errand())
    assert far.names == ["1"]
    await bench.drain()
    assert bench.actor.handled == ["1", "2"]
    assert bench.cell.gate.open


async def test_what_is_fetched_for_an_actor_that_has_gone_is_forwarded(bench: Bench) -> None:
    bench.activate()
    bench.cell.deliver(far := Note("far 1"))
    bench.cell.phase = Phase.GONE
    bench.cell.back_with(await bench.errands[0]())
    assert bench.forwarded == [far]


async def test_what_is_fetched_for_an_actor_that_stops_is_first_in_its_stash(bench: Bench) -> None:
    bench.activate()
    bench.cell.deliver(far := Note("far 1"))
    bench.cell.phase = Phase.STOPPING
    bench.cell.deliver(later := Note("2"))
    bench.cell.back_with(await bench.errands[0]())
    assert bench.cell.take_stash() == [far, later]
    assert bench.actor.handled == []


def test_cancellation_is_not_a_failed_turn(bench: Bench) -> None:
    bench.activate()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.cell.deliver(Note("one", then=interrupt))
    assert bench.raised == []
    bench.cell.deliver(Note("two"))
    assert bench.actor.handled == ["one", "two"]


def test_a_quarantined_actor_reads_but_does_not_write(bench: Bench) -> None:
    bench.activate()
    bench.cell.quarantined_until_ms = bench.clock.now_ms() + 5_000
    write, read = Note("write"), Note("read", writes=False)
    bench.cell.deliver(write)
    bench.cell.deliver(read)
    assert bench.actor.handled == ["read"]
    [error] = write.refused
    assert isinstance(error, Unavailable)
    assert error.retry_after_ms == 5_000


def test_while_no_writes_are_accepted_reads_go_on(bench: Bench) -> None:
    bench.activate()
    bench.accepting.open = False
    write, read = Note("write"), Note("read", writes=False)
    bench.cell.deliver(write)
    bench.cell.deliver(read)
    assert bench.actor.handled == ["read"]
    assert [type(error) for error in write.refused] == [Unavailable]
    bench.accepting.open = True
    bench.cell.deliver(Note("write again"))
    assert bench.actor.handled == ["read", "write again"]


def test_one_turn_in_sixteen_is_timed(bench: Bench) -> None:
    bench.activate()
    for number in range(2 * TURNS_PER_SAMPLE):
        bench.cell.deliver(Note(str(number)))
    assert len(bench.turns_s) == 2
    assert all(turn_s >= 0 for turn_s in bench.turns_s)


def test_a_cell_that_is_gone_forwards(bench: Bench) -> None:
    bench.activate()
    bench.cell.phase = Phase.GONE
    note = Note("late")
    bench.cell.deliver(note)
    assert bench.forwarded == [note]
    assert bench.actor.handled == []


@pytest.mark.parametrize("stop", [Phase.STOPPING, Phase.GONE])
async def test_a_drain_ends_when_the_actor_stops(bench: Bench, stop: Phase) -> None:
    def stopping(then: Phase) -> Callable[[], None]:
        return lambda: setattr(bench.cell, "phase", then)

    bench.cell.deliver(Note("1", then=stopping(stop)))
    bench.cell.deliver(Note("2"))
    bench.activate()
    await bench.drain()
    assert bench.actor.handled == ["1"]
    assert [message.names for message in bench.cell.take_stash() if isinstance(message, Note)] == [["2"]]
