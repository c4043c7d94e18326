"""What was tried and refused: gathered, counted, written, bounded."""

from uuid import UUID

import pytest
import trio

from gameserver.clock import ManualClock
from gameserver.identity import security_log as module
from gameserver.identity.security_log import BATCH_ENTRIES, GATHER_MS, WRITE_S, AddressHash, SecurityLog
from gameserver.identity.visitor import Visitor
from persistence.errors import DatabaseUnavailable
from persistence.security_log_store import SecurityEntry, SecurityEvent, Severity
from tests.fakes.noted_events import NotedEvents, security_log

REFUSED = SecurityEvent.LOGIN_REFUSED
HERE, THERE = Visitor(address="203.0.113.7"), Visitor(address="203.0.113.8")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> NotedEvents:
    return NotedEvents()


@pytest.fixture
def log(clock: ManualClock, store: NotedEvents) -> SecurityLog:
    return security_log(clock, store)


async def test_the_same_from_the_same_address_is_one_entry_a_minute(
    log: SecurityLog, clock: ManualClock, store: NotedEvents
) -> None:
    began_ms = clock.now_ms()
    for visitor in (HERE, HERE, THERE, HERE):
        log.note(REFUSED, "token: bad", visitor=visitor)
        clock.advance(1)
    log.note(REFUSED, "token: banned", visitor=HERE, player=UUID(int=1), session=UUID(int=2), severity=Severity.WARNING)
    await log.write(gathered_before_ms=clock.now_ms() - 1)
    here, there = store.written
    assert (here.reason, here.times, here.at_ms, here.severity) == ("token: bad", 3, began_ms, Severity.INFO)
    assert (there.times, there.at_ms) == (1, began_ms + 2)
    assert here.address_hash != there.address_hash
    await log.write(gathered_before_ms=clock.now_ms())
    assert store.written[2:] == [
        SecurityEntry(
            clock.now_ms(), REFUSED, Severity.WARNING, UUID(int=1), "token: banned", UUID(int=2), here.address_hash, 1
        )
    ]
    assert log.statistics() == module.SecurityLogStatistics(5, 3, 0, 0)


async def test_an_entry_is_written_when_its_minute_is_over_and_the_rest_at_the_end(autojump_clock: object) -> None:
    del autojump_clock  # it makes Trio's time jump
    clock, store = ManualClock(), NotedEvents()
    log = security_log(clock, store)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        log.note(REFUSED, "a")
        clock.advance(GATHER_MS - 1)
        log.note(REFUSED, "b")
        await trio.sleep(2 * WRITE_S)
        assert store.written == []
        clock.advance(1)
        await trio.sleep(2 * WRITE_S)
        assert [entry.reason for entry in store.written] == ["a"]
        nursery.cancel_scope.cancel()
    assert [entry.reason for entry in store.written] == ["a", "b"]


async def test_a_flood_of_different_things_is_bounded_and_counted(
    log: SecurityLog, clock: ManualClock, store: NotedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    for number in range(10):
        log.note(REFUSED, "x", visitor=Visitor(address=f"203.0.113.{number}"))
    log.note(REFUSED, "x", visitor=Visitor(address="203.0.113.0"))
    await log.write(gathered_before_ms=clock.now_ms())
    assert [entry.times for entry in store.written] == [2, 1, 1]
    assert log.statistics() == module.SecurityLogStatistics(11, 3, 7, 0)


async def test_what_the_database_does_not_take_is_counted(
    log: SecurityLog, clock: ManualClock, store: NotedEvents
) -> None:
    for number in range(BATCH_ENTRIES + 1):
        log.note(REFUSED, f"reason {number}")
    log.note(REFUSED, "reason 0")
    store.failure = DatabaseUnavailable("away")
    await log.write(gathered_before_ms=clock.now_ms())
    assert log.statistics() == module.SecurityLogStatistics(BATCH_ENTRIES + 2, 0, BATCH_ENTRIES + 2, 0)
    store.failure = None
    log.note(REFUSED, "later")
    await log.write(gathered_before_ms=clock.now_ms())
    assert [entry.reason for entry in store.written] == ["later"]


def test_an_address_is_named_by_a_key_and_not_told() -> None:
    names = AddressHash(b"one")
    assert names.of("203.0.113.7") == names.of("203.0.113.7")
    assert len({names.of("203.0.113.7"), names.of("203.0.113.8"), AddressHash(b"two").of("203.0.113.7")}) == 3
    assert len(names.of("203.0.113.7")) == 16
    assert names.of("") == ""
