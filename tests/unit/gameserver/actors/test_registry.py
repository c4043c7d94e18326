"""Activation, passivation, reload. Time is Trio's mock clock: nothing here waits for real."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gameserver.actors.actor import STASH_MESSAGES, Phase
from gameserver.actors.load_queue import BATCH_KEYS, LARGE_BATCH_KEYS
from gameserver.actors.registry import IDLE_MS, Registry
from gameserver.actors.supervisor import FAILURES, QUARANTINE_MS
from gameserver.errors import Busy, NotFound, Unavailable, WireError
from tests.fakes.counting_actor import CountingActor, Note
from tests.fakes.trio_time_clock import TrioTimeClock

MISSING = "nobody"


class Store:
    """Where actors come from and go to; every step can be held up or made to fail."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.asked_at_s: list[float] = []
        self.turns_s: list[float] = []
        self.loaded: dict[str, list[CountingActor]] = {}
        self.flushed: list[CountingActor] = []
        self.fail_load: Exception | None = None
        self.fail_flush: Exception | None = None
        self.errors: dict[str, WireError] = {}
        self.load_gate = trio.Event()
        self.flush_gate = trio.Event()
        self.load_gate.set()
        self.flush_gate.set()
        self.may_passivate = True
        self.accepts_writes = True
        self.loads_in_flight = 0

    async def load(self, keys: Sequence[str]) -> Mapping[str, CountingActor | WireError]:
        self.batches.append(list(keys))
        self.asked_at_s.append(trio.current_time())
        assert self.loads_in_flight == 0, "one load at a time"
        self.loads_in_flight += 1
        try:
            await self.load_gate.wait()
            if self.fail_load is not None:
                raise self.fail_load
        finally:
            self.loads_in_flight -= 1
        found: dict[str, CountingActor | WireError] = {}
        for key in keys:
            if key in self.errors:
                found[key] = self.errors[key]
            elif key != MISSING:
                self.loaded.setdefault(key, []).append(actor := CountingActor(key))
                found[key] = actor
        return found

    async def flush(self, actor: CountingActor) -> None:
        await self.flush_gate.wait()
        if self.fail_flush is not None:
            raise self.fail_flush
        self.flushed.append(actor)

    def last(self, key: str) -> CountingActor:
        return self.loaded[key][-1]


@asynccontextmanager
async def running(clock: MockClock, store: Store) -> AsyncIterator[Registry[str, CountingActor]]:
    registry: Registry[str, CountingActor] = Registry(
        load=store.load,
        flush=store.flush,
        clock=TrioTimeClock(clock),
        may_passivate=lambda: store.may_passivate,
        observe_turn_s=store.turns_s.append,
        accepts_writes=lambda: store.accepts_writes,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(registry.run)
        yield registry
        nursery.cancel_scope.cancel()


async def settle() -> None:
    """Let time pass until loads, drains and replays are done."""
    await trio.sleep(0.9)


async def test_many_messages_for_one_actor_share_one_load(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        for number in range(5):
            registry.deliver("a", Note(str(number)))
        await settle()
        assert store.batches == [["a"]]
        assert store.last("a").handled == ["0", "1", "2", "3", "4"]
        registry.deliver("a", Note("direct"))
        assert store.last("a").handled[-1] == "direct"
        assert registry.statistics().activations_total == 1


async def test_who_arrives_during_a_load_is_the_next_batch(autojump_clock: MockClock) -> None:
    store = Store()
    store.load_gate = trio.Event()
    async with running(autojump_clock, store) as registry:
        for key in ("a", "b"):
            registry.deliver(key, Note("first"))
        await settle()
        for key in ("c", "a", "d"):
            registry.deliver(key, Note("second"))
        await settle()
        assert store.batches == [["a", "b"]]
        assert registry.statistics().loading == 4
        store.load_gate.set()
        await settle()
        assert store.batches == [["a", "b"], ["c", "d"]]
        assert store.last("a").handled == ["first", "second"]
        assert registry.statistics().active == 4


async def test_a_storm_is_loaded_in_large_batches_of_at_most_a_thousand(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        keys = [f"p{number}" for number in range(2 * BATCH_KEYS + 1)]
        for key in keys:
            registry.deliver(key, Note("hello"))
        await settle()
        assert [len(batch) for batch in store.batches] == [BATCH_KEYS, BATCH_KEYS, 1]
        assert all(store.last(key).handled == ["hello"] for key in keys)


async def test_the_wait_for_company_grows_in_a_storm_and_shrinks_after_it(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        waits_ms: list[int] = []
        for wave, size in enumerate([LARGE_BATCH_KEYS] * 5 + [1, 1]):
            asked_s = trio.current_time()
            for number in range(size):
                registry.deliver(f"{wave}-{number}", Note("hello"))
            await settle()
            waits_ms.append(round((store.asked_at_s[wave] - asked_s) * 1_000))
        assert waits_ms == [5, 10, 20, 40, 50, 50, 5]


async def test_who_would_wait_too_long_is_refused_and_whoever_asks_for_one_who_waits_waits_with_him(
    autojump_clock: MockClock,
) -> None:
    store = Store()
    store.load_gate = trio.Event()
    async with running(autojump_clock, store) as registry:
        registry.deliver("first", Note("hello"))
        await trio.sleep(20)  # its load does not come back
        for number in range(BATCH_KEYS):
            registry.deliver(f"p{number}", Note("hello"))
        late, company = Note("late"), Note("company")
        registry.deliver("one too many", late)
        registry.deliver("p0", company)
        assert [type(error) for error in late.refused] == [Busy]
        with pytest.raises(Busy):
            registry.cell("another")
        statistics = registry.statistics()
        assert (statistics.loading, statistics.loads_refused_total) == (1 + BATCH_KEYS, 2)
        assert statistics.loads_per_s == pytest.approx(50, rel=0.01)
        store.load_gate.set()
        await settle()
        assert store.last("p0").handled == ["hello", "company"]
        registry.deliver("one too many", Note("again"))
        await settle()
        assert store.last("one too many").handled == ["again"]
        assert "another" not in store.loaded


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), Unavailable("away", retry_after_ms=7)])
async def test_when_a_load_fails_everyone_is_refused_and_the_next_try_loads_again(
    failure: Exception, autojump_clock: MockClock
) -> None:
    store = Store()
    store.fail_load = failure
    async with running(autojump_clock, store) as registry:
        notes = {key: Note("first") for key in ("a", "b")}
        for key, note in notes.items():
            registry.deliver(key, note)
        await settle()
        for note in notes.values():
            [error] = note.refused
            assert isinstance(error, Unavailable)
            assert error.retry_after_ms > 0
        assert registry.statistics().load_failures_total == 1
        store.fail_load = None
        registry.deliver("a", Note("again"))
        await settle()
        assert store.last("a").handled == ["again"]
        assert store.batches == [["a", "b"], ["a"]]


async def test_an_actor_that_does_not_exist_is_not_found_and_others_of_its_batch_are_served(
    autojump_clock: MockClock,
) -> None:
    store = Store()
    store.errors["elsewhere"] = Unavailable("moved", retry_after_ms=1)
    async with running(autojump_clock, store) as registry:
        notes = {key: Note("hello") for key in ("a", MISSING, "elsewhere")}
        for key, note in notes.items():
            registry.deliver(key, note)
        await settle()
        assert [type(error) for error in notes[MISSING].refused] == [NotFound]
        assert notes["elsewhere"].refused == [store.errors["elsewhere"]]
        assert store.last("a").handled == ["hello"]
        assert registry.active("a") is store.last("a")
        assert registry.active(MISSING) is None
        assert registry.statistics().active == 1


async def test_an_idle_actor_is_written_and_dropped_and_comes_back_when_asked(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        first = store.last("a")
        await trio.sleep(IDLE_MS / 1_000 - 10)
        assert store.flushed == []
        await trio.sleep(20)
        assert store.flushed == [first]
        assert registry.active("a") is None
        assert registry.statistics().active == 0
        assert registry.statistics().passivations_total == 1
        registry.deliver("a", Note("again"))
        await settle()
        assert store.last("a") is not first
        assert store.last("a").handled == ["again"]


async def test_messages_put_idleness_off(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        for _ in range(10):
            await trio.sleep(IDLE_MS / 2_000)
            registry.deliver("a", Note("still here"))
        assert store.flushed == []


async def test_an_actor_in_use_is_not_passivated(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        store.last("a").in_use = True
        await trio.sleep(5 * IDLE_MS / 1_000)
        assert store.flushed == []
        store.last("a").in_use = False
        await trio.sleep(2 * IDLE_MS / 1_000)
        assert store.flushed == [store.last("a")]


async def test_nobody_is_passivated_while_the_database_is_away(autojump_clock: MockClock) -> None:
    store = Store()
    store.may_passivate = False
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await trio.sleep(5 * IDLE_MS / 1_000)
        assert store.flushed == []
        store.may_passivate = True
        await trio.sleep(2 * IDLE_MS / 1_000)
        assert store.flushed == [store.last("a")]


async def test_who_arrives_during_the_last_flush_waits_for_a_new_activation(autojump_clock: MockClock) -> None:
    store = Store()
    store.flush_gate = trio.Event()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        old, cell = store.last("a"), registry.cell("a")
        await trio.sleep(IDLE_MS / 1_000 + 5)
        assert registry.statistics().stopping == 1
        for number in range(3):
            registry.deliver("a", Note(str(number)))
        await settle()
        assert old.handled == ["hello"]
        assert store.batches == [["a"]], "nothing is loaded before the last flush has ended"
        store.flush_gate.set()
        await settle()
        assert store.flushed == [old]
        assert store.last("a") is not old
        assert store.last("a").handled == ["0", "1", "2"]
        cell.deliver(Note("by the old cell"))
        assert store.last("a").handled[-1] == "by the old cell"


async def test_a_cell_that_is_gone_keeps_no_actor_in_memory(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        for key in ("idle", "fenced"):
            registry.deliver(key, Note("hello"))
        await settle()
        idle, fenced = registry.cell("idle"), registry.cell("fenced")
        registry.discard("fenced", "fenced", store.last("fenced"))
        await trio.sleep(IDLE_MS / 1_000 + 5)
        assert (idle.phase, fenced.phase) == (Phase.GONE, Phase.GONE)
        assert idle.actor is None
        assert fenced.actor is None


async def test_a_flush_that_raises_costs_that_actor_and_nobody_else(autojump_clock: MockClock) -> None:
    store = Store()
    store.fail_flush = RuntimeError("a bug")
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        await trio.sleep(IDLE_MS / 1_000 + 5)
        assert registry.active("a") is None
        assert len(store.last("a").expelled) == 1
        registry.deliver("b", Note("hello"))
        await settle()
        assert store.last("b").handled == ["hello"]


async def test_a_discarded_actor_expels_is_not_written_and_loads_anew_for_who_waits(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        old, cell = store.last("a"), registry.cell("a")
        old.in_use = True

        def fence_with_company() -> None:
            registry.deliver("a", Note("waiting"))

        registry.deliver("a", Note("busy", then=fence_with_company))
        registry.discard("a", "fenced", store.last("a"))
        assert old.expelled == ["fenced"]
        assert cell.phase is Phase.GONE
        await settle()
        assert store.flushed == []
        assert old.handled == ["hello", "busy"]
        assert store.last("a") is not old
        assert store.last("a").handled == ["waiting"]


async def test_control_messages_alone_bring_no_actor_back(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        cell = registry.cell("a")
        registry.deliver("a", Note("busy", then=lambda: registry.deliver("a", Note("bye", control=True))))
        registry.discard("a", "fenced", store.last("a"))
        cell.deliver(Note("bye again", control=True))
        await settle()
        assert store.batches == [["a"]]
        assert registry.statistics().active == 0


async def test_a_control_message_by_the_old_cell_reaches_the_new_activation(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        cell = registry.cell("a")
        registry.discard("a", "fenced", store.last("a"))
        registry.deliver("a", Note("hello again"))
        await settle()
        cell.deliver(Note("bye", control=True))
        assert store.last("a").handled == ["hello again", "bye"]


async def test_what_is_not_there_cannot_be_discarded(autojump_clock: MockClock) -> None:
    store = Store()
    store.load_gate = trio.Event()
    async with running(autojump_clock, store) as registry:
        registry.discard("a", "never seen", CountingActor("a"))
        registry.deliver("b", Note("hello"))
        await settle()
        registry.discard("b", "still loading", CountingActor("b"))
        store.load_gate.set()
        await settle()
        assert store.last("b").handled == ["hello"]
        assert store.last("b").expelled == []


async def test_who_drops_an_earlier_activation_does_not_harm_the_present_one(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        old = store.last("a")
        registry.discard("a", "refused", old)
        registry.deliver("a", Note("hello again"))
        await settle()
        registry.discard("a", "an old write was fenced", old)
        assert registry.active("a") is store.last("a") is not old
        assert (old.expelled, store.last("a").expelled) == (["refused"], [])


async def test_discarding_during_the_last_flush_ends_the_actor_once(autojump_clock: MockClock) -> None:
    store = Store()
    store.flush_gate = trio.Event()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        await trio.sleep(IDLE_MS / 1_000 + 5)
        registry.discard("a", "fenced", store.last("a"))
        registry.deliver("a", Note("again"))
        await settle()
        new = store.last("a")
        store.flush_gate.set()
        await settle()
        assert registry.active("a") is new
        assert new.handled == ["again"]
        statistics = registry.statistics()
        assert (statistics.active, statistics.stopping, statistics.passivations_total) == (1, 0, 0)


async def test_an_actor_that_raises_too_often_is_quarantined_and_then_loaded_anew(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        bad = store.last("a")
        for number in range(FAILURES + 1):
            registry.deliver("a", Note(f"bad {number}"))
        assert bad.failures == [f"bad {number}" for number in range(FAILURES + 1)]
        write, read = Note("write"), Note("read", writes=False)
        registry.deliver("a", write)
        registry.deliver("a", read)
        assert [type(error) for error in write.refused] == [Unavailable]
        assert bad.handled == ["hello", "read"]
        assert registry.statistics().quarantines_total == 1
        await trio.sleep(QUARANTINE_MS / 1_000 - 2)
        assert bad.expelled == []
        await trio.sleep(5)
        assert len(bad.expelled) == 1
        assert store.flushed == [bad]
        registry.deliver("a", Note("write"))
        await settle()
        assert store.last("a") is not bad
        assert store.last("a").handled == ["write"]


async def test_an_errand_that_crashes_ends_its_actor_and_no_other(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("far away"))
        await settle()
        assert store.last("a").handled == ["away"]
        lost = store.last("a")
        lost.fetch_fails = True
        registry.deliver("a", Note("far off"))
        await settle()
        assert len(lost.expelled) == 1
        registry.deliver("a", Note("again"))
        registry.deliver("b", Note("hello"))
        await settle()
        assert (store.last("a").handled, store.last("b").handled) == (["again"], ["hello"])


async def test_one_whose_writes_were_refused_comes_back_in_quarantine(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        refused = store.last("a")
        registry.discard("a", "it could not be kept", refused, quarantine=True)
        again, read = Note("write"), Note("read", writes=False)
        registry.deliver("a", again)
        registry.deliver("a", read)
        await settle()
        assert [type(error) for error in again.refused] == [Unavailable]
        assert store.last("a").handled == ["read"]
        assert registry.statistics().quarantines_total == 1
        await trio.sleep(QUARANTINE_MS / 1_000 + 3)
        assert len(store.last("a").expelled) == 1  # loaded anew, so that taps take the short way again
        registry.deliver("a", Note("write"))
        await settle()
        assert store.last("a").handled == ["write"]


async def test_failures_spread_over_more_than_a_minute_do_not_quarantine(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        for number in range(3 * FAILURES):
            registry.deliver("a", Note(f"bad {number}"))
            await trio.sleep(25)
        registry.deliver("a", fine := Note("fine"))
        assert store.last("a").handled == ["fine"]
        assert fine.refused == []
        assert registry.statistics().quarantines_total == 0
        assert registry.statistics().turn_failures_total == 3 * FAILURES


async def test_an_actor_in_use_leaves_quarantine_too(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        store.last("a").in_use = True
        for number in range(FAILURES + 1):
            registry.deliver("a", Note(f"bad {number}"))
        await trio.sleep(QUARANTINE_MS / 1_000 + 5)
        assert registry.active("a") is None
        assert len(store.last("a").expelled) == 1


async def test_writes_stop_while_none_are_accepted(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        await settle()
        store.accepts_writes = False
        await trio.sleep(2)
        registry.deliver("a", write := Note("write"))
        assert [type(error) for error in write.refused] == [Unavailable]
        store.accepts_writes = True
        await trio.sleep(2)
        registry.deliver("a", Note("write again"))
        assert store.last("a").handled == ["hello", "write again"]


class FailsToSayFailed(CountingActor):
    """Its way to tell a peer of a failure is broken too."""

    def failed(self, message: object) -> None:
        raise RuntimeError("worse", message)


async def test_an_actor_that_cannot_even_say_that_it_failed_is_dropped(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        registry.deliver("a", Note("hello"))
        registry.deliver("a", Note("bad"))
        broken = FailsToSayFailed("a")

        async def load(keys: Sequence[str]) -> Mapping[str, CountingActor | WireError]:
            return dict.fromkeys(keys, broken)

        registry._load = load
        await settle()
        assert broken.handled == ["hello"]
        assert broken.expelled == ["the server failed"]
        assert registry.active("a") is None
        registry._load = store.load
        registry.deliver("a", Note("again"))
        await settle()
        assert store.last("a").handled == ["again"]


async def test_passivate_all_waits_for_every_actor_whatever_it_is_doing(autojump_clock: MockClock) -> None:
    store = Store()
    async with running(autojump_clock, store) as registry:
        for key in ("active", "stopping"):
            registry.deliver(key, Note("hello"))
        await settle()
        store.flush_gate = trio.Event()
        store.last("active").in_use = True
        await trio.sleep(IDLE_MS / 1_000 + 5)
        store.load_gate = trio.Event()
        registry.deliver("loading", Note("hello"))
        await settle()
        statistics = registry.statistics()
        assert (statistics.active, statistics.stopping, statistics.loading) == (1, 1, 1)
        done = trio.Event()

        async def stop() -> None:
            await registry.passivate_all()
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop)
            await wait_all_tasks_blocked()
            store.flush_gate.set()
            await settle()
            assert not done.is_set(), "the claim of one that is loading has to be given back"
            store.load_gate.set()
            await done.wait()
        assert {actor.name for actor in store.flushed} == {"active", "stopping", "loading"}
        assert registry.statistics().active == 0


async def test_passivate_all_of_nobody_returns(autojump_clock: MockClock) -> None:
    async with running(autojump_clock, Store()) as registry:
        await registry.passivate_all()
        assert registry.statistics().passivations_total == 0


async def test_statistics_show_what_waits(autojump_clock: MockClock) -> None:
    store = Store()
    store.load_gate = trio.Event()
    async with running(autojump_clock, store) as registry:
        for number in range(STASH_MESSAGES + 3):
            registry.deliver("a", Note(str(number)))
        registry.deliver("b", Note("hello"))
        statistics = registry.statistics()
        assert statistics.mailbox_messages == STASH_MESSAGES + 1
        assert statistics.mailbox_max_messages == STASH_MESSAGES
        assert statistics.load_batches_total == 0
