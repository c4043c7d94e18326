"""When logins were last used: gathered, then written many at once."""

from uuid import UUID

import pytest
import trio

from gameserver.clock import ManualClock
from gameserver.identity import last_seen
from gameserver.identity.last_seen import BATCH_LOGINS, WRITE_S, LastSeen
from gameserver.identity.visitor import Visitor
from persistence.errors import DatabaseUnavailable
from persistence.session_store import Sighting
from tests.fakes.memory_sessions import MemorySessions


async def test_the_last_sighting_of_each_login_is_written(autojump_clock: object) -> None:
    del autojump_clock
    store, clock = MemorySessions(), ManualClock()
    seen = LastSeen(store, clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(seen.run)
        seen.note(UUID(int=1), Visitor("client 1", "phone", "203.0.113.7"))
        clock.advance(5)
        seen.note(UUID(int=1), Visitor("client 2", "phone", "203.0.113.8"))
        seen.note(UUID(int=2), Visitor())
        await trio.sleep(WRITE_S + 0.1)
        assert store.noted == [
            [
                Sighting(UUID(int=1), "phone", "client 2", "203.0.113.8", clock.now_ms()),
                Sighting(UUID(int=2), "", "", "", clock.now_ms()),
            ]
        ]
        await trio.sleep(WRITE_S)
        assert len(store.noted) == 1
        nursery.cancel_scope.cancel()


async def test_many_are_written_in_pieces() -> None:
    store = MemorySessions()
    seen = LastSeen(store, ManualClock())
    for number in range(2 * BATCH_LOGINS + 1):
        seen.note(UUID(int=number), Visitor())
    await seen.write()
    assert [len(batch) for batch in store.noted] == [BATCH_LOGINS, BATCH_LOGINS, 1]


async def test_what_the_database_does_not_take_is_left_out_and_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_seen, "MAX_LOGINS", 2)
    store = MemorySessions(failure=DatabaseUnavailable("away"))
    seen = LastSeen(store, ManualClock())
    seen.note(UUID(int=1), Visitor())
    await seen.write()
    store.failure = None
    for number in (2, 3, 4, 2):
        seen.note(UUID(int=number), Visitor())
    await seen.write()
    assert [[sighting.session.int for sighting in batch] for batch in store.noted] == [[2, 3]]
