"""The lanes' own logic, against a scripted sink."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
import trio
from trio.testing import MockClock

from persistence.backlog import PLAYER_BYTES
from persistence.errors import DatabaseUnavailable, OutcomeUnknown, Rejected
from persistence.records import PlayerWrites
from persistence.write_behind import BATCH_PLAYERS, GATHER_S, WriteBehind
from tests.fakes.flushable_player import FlushablePlayer
from tests.fakes.scripted_sink import ScriptedSink

AWAY = DatabaseUnavailable("away")


@asynccontextmanager
async def writing(
    sink: ScriptedSink, *, lanes: int = 1, flush_ms: int = 250, lags_s: list[float] | None = None, **caps: Any
) -> AsyncIterator[WriteBehind]:
    write_behind = WriteBehind(
        sink,
        node_run=uuid4(),
        lanes=lanes,
        flush_ms=flush_ms,
        observe_flush_lag_s=(lags_s if lags_s is not None else []).append,
        **caps,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(write_behind.run)
        yield write_behind
        nursery.cancel_scope.cancel()


def dirty(write_behind: WriteBehind, *players: FlushablePlayer) -> None:
    for player in players:
        player.tap()
        write_behind.mark_dirty(player)


async def test_a_change_waits_for_others_but_no_longer_than_flush_ms(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink, lags_s = ScriptedSink(), list[float]()
    async with writing(sink, lags_s=lags_s) as write_behind:
        for number in range(3):
            dirty(write_behind, FlushablePlayer(number))
            await trio.sleep(0.1)
        await trio.sleep(0.1)
        assert sink.batches == [(1, [0, 1, 2])]
    assert lags_s == [pytest.approx(0.25)]


async def test_players_are_dealt_to_lanes_by_id(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink()
    async with writing(sink, lanes=3) as write_behind:
        dirty(write_behind, *[FlushablePlayer(number) for number in range(7)])
        assert await write_behind.drain(trio.current_time() + 1)
    assert sorted(ids for _, ids in sink.batches) == [[0, 3, 6], [1, 4], [2, 5]]
    assert {number for number, _ in sink.batches} == {1, 2, 3}
    assert sorted(sink.purposes) == ["flush 0", "flush 1", "flush 2"]


async def test_nobody_is_written_before_the_longest_waiting_is_due_and_the_rest_follows_at_once(
    autojump_clock: MockClock,  # noqa: ARG001 - no real time
) -> None:
    sink = ScriptedSink()
    async with writing(sink, flush_ms=250) as write_behind:
        dirty(write_behind, *[FlushablePlayer(number) for number in range(2 * BATCH_PLAYERS + 3)])
        await trio.sleep(0.24)
        assert sink.batches == []
        await trio.sleep(0.02)
        assert [len(ids) for _, ids in sink.batches] == [BATCH_PLAYERS, BATCH_PLAYERS, 3]


async def test_one_transaction_a_lane_and_what_changes_meanwhile_is_one_later_write(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink()
    player = FlushablePlayer(1)
    async with writing(sink, flush_ms=0) as write_behind:
        sink.gate = trio.Event()
        dirty(write_behind, player)
        await trio.sleep(1)
        for _ in range(10):
            dirty(write_behind, player)
            await trio.sleep(1)
        assert write_behind.statistics().dirty_players == 2  # in flight, and waiting
        assert write_behind.statistics().oldest_dirty_age_s == 11
        sink.gate.set()
        await trio.sleep(1)
    assert [columns.taps for columns in player.committed_columns] == [1, 11]
    assert sink.running_max == 1


async def test_flush_now_waits_for_what_was_marked_and_not_for_later(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink()
    player, other = FlushablePlayer(1), FlushablePlayer(2)
    async with writing(sink, flush_ms=60_000) as write_behind:
        dirty(write_behind, other, player)
        await write_behind.flush_now(player)
        assert (player.told, other.told) == (["committed"], [])  # the longer the other waits, the more is one row
        sink.gate = trio.Event()
        dirty(write_behind, player)
        returned: list[int] = []

        async def flush() -> None:
            await write_behind.flush_now(player)
            returned.append(len(player.committed_writes))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flush)
            await trio.sleep(2 * GATHER_S)
            nursery.start_soon(flush)  # it is in flight now
            await trio.testing.wait_all_tasks_blocked()
            dirty(write_behind, player)
            nursery.start_soon(flush)  # both in flight and waiting
            await trio.testing.wait_all_tasks_blocked()
            assert returned == []
            sink.gate.set()
        assert sorted(returned) == [2, 2, 3]


async def test_who_is_waited_for_gathers_for_ten_ms_and_takes_along_whoever_is_due(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink()
    first, second, other = (FlushablePlayer(number) for number in (1, 2, 3))
    second_told, other_told = trio.Event(), trio.Event()
    second.on_told, other.on_told = second_told.set, other_told.set
    async with writing(sink, flush_ms=250) as write_behind:
        began_s = trio.current_time()
        dirty(write_behind, other)
        await trio.sleep(0.100)
        first.tap()
        write_behind.hurry(first)
        await trio.sleep(0.009)
        second.tap()
        write_behind.hurry(second)
        await second_told.wait()
        assert trio.current_time() - began_s == pytest.approx(0.110, abs=0.002)
        assert (first.told, other.told) == (["committed"], [])
        await trio.sleep(0.135)
        first.tap()
        write_behind.hurry(first)
        await other_told.wait()
        assert trio.current_time() - began_s == pytest.approx(0.250, abs=0.002)
        assert first.told == ["committed"] * 2


async def test_who_is_waited_for_goes_ahead_of_a_crowd_but_not_twice_in_a_row(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink()
    crowd = [FlushablePlayer(number) for number in range(10, 10 + 2 * BATCH_PLAYERS)]
    first, second = FlushablePlayer(1), FlushablePlayer(2)
    async with writing(sink, flush_ms=250) as write_behind:
        dirty(write_behind, *crowd)
        sink.gate = trio.Event()
        await trio.sleep(0.300)  # the first half of the crowd is on its way, the others are overdue
        dirty(write_behind, first)
        write_behind.hurry(first)
        gate, sink.gate, sink.arrived = sink.gate, trio.Event(), trio.Event()
        gate.set()
        await sink.arrived.wait()
        assert sink.batches[-1][1] == [1]
        dirty(write_behind, second)
        write_behind.hurry(second)
        sink.gate.set()
        assert await write_behind.drain(trio.current_time() + 60)
    assert [(ids[0], len(ids)) for _, ids in sink.batches] == [
        (10, BATCH_PLAYERS),
        (1, 1),
        (2, BATCH_PLAYERS),
        (9 + 2 * BATCH_PLAYERS, 1),
    ]


async def test_an_unavailable_database_gets_the_same_batch_again(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink(AWAY, AWAY, AWAY)
    player = FlushablePlayer(1)
    async with writing(sink) as write_behind:
        dirty(write_behind, player)
        assert await write_behind.drain(trio.current_time() + 60)
        statistics = write_behind.statistics()
        assert (statistics.retries, statistics.batches, statistics.database_up) == (3, 1, True)
    assert sink.batches == [(1, [1])] * 4
    assert player.told == ["committed"]


async def test_pauses_grow_are_jittered_and_stay_below_two_seconds(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink(*[AWAY] * 200)
    async with writing(sink) as write_behind:
        dirty(write_behind, FlushablePlayer(1))
        started = trio.current_time()
        assert await write_behind.drain(started + 1_000)
        taken_s = trio.current_time() - started
    assert 100 < taken_s < 350  # 200 pauses of about a second on average
    assert len(sink.batches) == 201


async def test_an_unknown_outcome_that_had_committed(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    # the answer to COMMIT was lost twice: to the write, and to the question whether it had happened
    lost = [OutcomeUnknown("lost", result=frozenset({0})), OutcomeUnknown("lost again", result=None)]
    sink = ScriptedSink(*lost, AWAY, None)
    written, fenced = FlushablePlayer(1), FlushablePlayer(2)
    async with writing(sink) as write_behind:
        dirty(write_behind, written, fenced)
        assert await write_behind.drain(trio.current_time() + 60)
    assert (written.told, fenced.told) == (["committed"], ["fenced"])
    assert [number for number, _ in sink.batches] == [1, 1, 1, 1]


async def test_an_unknown_outcome_that_had_not_is_written_again(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink(OutcomeUnknown("lost", result=frozenset({0})), frozenset({1}))
    fenced, written = FlushablePlayer(1), FlushablePlayer(2)
    async with writing(sink) as write_behind:
        dirty(write_behind, fenced, written)
        assert await write_behind.drain(trio.current_time() + 60)
    assert (fenced.told, written.told) == (["fenced"], ["committed"])  # as the second attempt found


async def test_what_is_refused_is_halved_under_new_numbers(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    refused = Rejected("no")
    sink = ScriptedSink(refused, frozenset({0, 1}), refused, AWAY, refused, frozenset({0}))
    players = [FlushablePlayer(number) for number in range(4)]
    async with writing(sink) as write_behind:
        dirty(write_behind, *players)
        assert await write_behind.drain(trio.current_time() + 60)
        assert write_behind.watermark().settled_batch == 5
        assert write_behind.statistics().rejected == 1
    assert sink.batches == [(1, [0, 1, 2, 3]), (2, [0, 1]), (3, [2, 3]), (4, [2]), (4, [2]), (5, [3])]
    assert [player.told for player in players] == [["committed"], ["committed"], ["rejected"], ["committed"]]
    assert players[2].errors == [refused]
    assert sink.buried == [(4, 2, refused)]


async def test_what_is_refused_is_kept_before_anybody_is_told_and_a_grave_that_fails_is_only_logged(
    autojump_clock: MockClock,  # noqa: ARG001 - no real time
) -> None:
    refused = Rejected("no")
    sink = ScriptedSink(refused, refused)
    sink.graves_fail.extend([AWAY, AWAY])
    player = FlushablePlayer(1)
    told_after: list[int] = []
    player.on_told = lambda: told_after.append(len(sink.buried))
    async with writing(sink) as write_behind:
        dirty(write_behind, player)
        assert await write_behind.drain(trio.current_time() + 60)
        assert told_after == [1]
        sink.graves_fail.append(RuntimeError("a bug"))
        dirty(write_behind, player)
        assert await write_behind.drain(trio.current_time() + 60)
        assert (write_behind.statistics().rejected, write_behind.statistics().buried) == (2, 1)
    assert player.told == ["rejected", "rejected"]


async def test_a_refused_batch_is_unsettled_until_all_its_parts_are_written(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    settled: list[tuple[int, int]] = []  # the watermark as each of the four is told of the batch

    def look() -> None:
        settled.append((write_behind.watermark().settled_batch, write_behind.statistics().rejected))

    sink = ScriptedSink(Rejected("no"), frozenset({0, 1}), Rejected("no"), Rejected("no"))
    players = [FlushablePlayer(number) for number in range(4)]
    async with writing(sink) as write_behind:
        for player in players:
            player.on_told = look
        dirty(write_behind, *players)
        assert await write_behind.drain(trio.current_time() + 60)
        assert settled == [(0, 0), (0, 0), (0, 1), (0, 1)]
        assert write_behind.watermark().settled_batch == 5


async def test_a_bug_of_ours_in_the_flush_is_contained_like_a_refusal(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink(KeyError("bug"), KeyError("bug"))
    players = [FlushablePlayer(number) for number in range(2)]
    async with writing(sink) as write_behind:
        dirty(write_behind, *players)
        assert await write_behind.drain(trio.current_time() + 60)
        dirty(write_behind, *players)
        assert await write_behind.drain(trio.current_time() + 60)
    assert [player.told for player in players] == [["rejected", "committed"], ["committed", "committed"]]


async def test_nothing_more_is_accepted_when_too_many_wait_or_too_long(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink()
    sink.gate = trio.Event()
    async with writing(sink, dirty_players_max=3, dirty_age_max_s=60) as write_behind:
        dirty(write_behind, FlushablePlayer(1), FlushablePlayer(2))
        assert write_behind.accepting
        dirty(write_behind, FlushablePlayer(3))
        assert not accepting(write_behind)
        sink.gate.set()
        await trio.sleep(1)
        assert accepting(write_behind)
        sink.gate = trio.Event()
        dirty(write_behind, FlushablePlayer(4))
        await trio.sleep(59)
        assert accepting(write_behind)
        await trio.sleep(2)
        assert not accepting(write_behind)
        assert write_behind.watermark().lag_s == 61
        assert not await write_behind.drain(trio.current_time() + 1)


class Laden(FlushablePlayer):
    """Enters bytes beside its row, as a journal does."""

    def __init__(self, player_id: int, write_behind: WriteBehind) -> None:
        super().__init__(player_id)
        self._backlog = write_behind.backlog
        self._held_bytes = 0

    def load(self, size_bytes: int) -> None:
        self.tap()
        self._held_bytes += size_bytes
        self._backlog.beside_bytes += size_bytes

    def take_writes(self) -> PlayerWrites | None:
        self._backlog.taken_bytes += self._held_bytes
        self._held_bytes = 0
        return super().take_writes()


async def test_nothing_more_is_accepted_when_too_much_is_held_and_all_of_it_is_let_go_with_its_batch(
    autojump_clock: MockClock,  # noqa: ARG001 - no real time
) -> None:
    sink = ScriptedSink(AWAY, None, Rejected("no"), frozenset({0}), Rejected("no"))
    sink.gate = trio.Event()
    async with writing(sink, flush_ms=1, dirty_max_bytes=2 * PLAYER_BYTES + 1_000) as write_behind:
        first, second = Laden(1, write_behind), Laden(2, write_behind)
        first.load(900)
        write_behind.mark_dirty(first)
        assert write_behind.statistics().dirty_bytes == PLAYER_BYTES + 900
        await sink.arrived.wait()  # in flight is not written yet
        second.load(99)
        write_behind.mark_dirty(second)
        assert write_behind.statistics().dirty_bytes == 2 * PLAYER_BYTES + 999
        assert write_behind.statistics().accepting
        second.load(1)
        assert not accepting(write_behind)
        assert not write_behind.statistics().accepting
        sink.gate.set()
        assert await write_behind.drain(trio.current_time() + 60)  # after an outage, by an unknown outcome
        assert (write_behind.statistics().dirty_bytes, accepting(write_behind)) == (0, True)
        for player in (first, second):
            player.load(500)
            write_behind.mark_dirty(player)
        sink.graves_fail.append(AWAY)
        assert await write_behind.drain(trio.current_time() + 60)  # halved: one is a dead letter
        assert len(sink.buried) == 1
        assert write_behind.statistics().dirty_bytes == 0


async def test_what_is_not_taken_because_its_player_broke_still_counts(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    async with writing(ScriptedSink()) as write_behind:
        broken, fine = Laden(1, write_behind), Laden(2, write_behind)
        broken.take_writes = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]  # a bug
        for player in (broken, fine):
            player.load(70)
            write_behind.mark_dirty(player)
        assert await write_behind.drain(trio.current_time() + 60)
        assert write_behind.statistics().dirty_bytes == 70


def accepting(write_behind: WriteBehind) -> bool:
    return write_behind.accepting


async def test_an_actor_that_cannot_say_what_it_writes_harms_nobody(
    autojump_clock: MockClock,  # noqa: ARG001 - no real time
    caplog: pytest.LogCaptureFixture,
) -> None:
    sink = ScriptedSink()
    broken, fine, clean = FlushablePlayer(1), FlushablePlayer(2), FlushablePlayer(3)
    broken.take_writes = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]  # a bug
    async with writing(sink) as write_behind:
        dirty(write_behind, broken, fine)
        write_behind.mark_dirty(clean)  # nothing changed after all
        assert await write_behind.drain(trio.current_time() + 60)
    assert sink.batches == [(1, [2])]
    assert (fine.told, clean.told) == (["committed"], [])
    assert [record.message for record in caplog.records] == ["player 1 broke when asked for its writes"]


async def test_the_watermark_stops_at_the_oldest_open_batch(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    sink = ScriptedSink()
    async with writing(sink, lanes=2, flush_ms=0) as write_behind:
        assert write_behind.watermark().settled_batch == 0
        sink.gate = trio.Event()
        dirty(write_behind, FlushablePlayer(0))
        await trio.testing.wait_all_tasks_blocked()
        dirty(write_behind, FlushablePlayer(1))
        await trio.testing.wait_all_tasks_blocked()
        assert write_behind.watermark().settled_batch == 0
        sink.gate.set()
        assert await write_behind.drain(trio.current_time() + 1)
        assert write_behind.watermark().settled_batch == 2
