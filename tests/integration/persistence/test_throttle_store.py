"""Attempts are counted on all of their subjects or on none, each, whoever makes them."""

import pytest
import trio

from persistence.postgres import Database
from persistence.throttle_store import FORGET_S, ThrottleStore
from tests.fakes.database_probe import rows
from tests.fakes.flushable_player import AT_MS

ONE, TWO = b"1" * 32, b"2" * 32


def after_three(attempts: int) -> int:
    return 0 if attempts < 3 else 1_000 * attempts


def at_once(attempts: int) -> int:
    return 50 * attempts


@pytest.fixture
def store(database: Database) -> ThrottleStore:
    return ThrottleStore(database)


async def test_an_attempt_waits_for_what_came_before(store: ThrottleStore) -> None:
    assert [await store.attempt({ONE: after_three}, AT_MS) for _ in range(3)] == [0, 0, 0]
    assert await store.attempt({ONE: after_three}, AT_MS) == 3_000
    assert await store.attempt({ONE: after_three}, AT_MS + 2_999) == 1, "and does not count what was refused"
    assert await store.attempt({ONE: after_three}, AT_MS + 3_000) == 0
    assert await store.attempt({ONE: after_three}, AT_MS + 3_000) == 4_000


async def test_what_one_subject_refuses_is_counted_on_no_other(store: ThrottleStore, database: Database) -> None:
    assert await store.attempt({ONE: at_once}, AT_MS) == 0
    assert await store.attempt({TWO: after_three, ONE: at_once}, AT_MS) == 50
    assert await rows(database, "SELECT attempts FROM account_throttles ORDER BY subject") == [(1,), (0,)]
    assert await store.attempt({TWO: after_three}, AT_MS) == 0


async def test_a_day_of_peace_and_a_good_attempt_begin_anew(store: ThrottleStore, database: Database) -> None:
    for _ in range(3):
        await store.attempt({ONE: after_three, TWO: after_three}, AT_MS)
    await store.forget([ONE])
    assert await rows(database, "SELECT subject FROM account_throttles") == [(TWO,)]
    assert await store.attempt({TWO: after_three}, AT_MS + 1_000 * FORGET_S) == 0
    assert await rows(database, "SELECT attempts FROM account_throttles") == [(1,)]


async def test_of_many_at_once_no_more_than_allowed_are_counted(store: ThrottleStore) -> None:
    outcomes: list[int] = []

    async def attempt(subjects: tuple[bytes, ...]) -> None:
        outcomes.append(await store.attempt(dict.fromkeys(subjects, after_three), AT_MS))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(attempt, (ONE, TWO) if number % 2 else (TWO, ONE))
    assert sorted(outcomes) == [0] * 3 + [3_000] * 17
