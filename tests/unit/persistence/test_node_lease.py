"""The lease while the database is away; everything else of it is tested over PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, cast

import trio
from trio.testing import MockClock

from persistence.errors import DatabaseUnavailable
from persistence.node_lease import AWAY_MAX_S, RENEW_S, NodeLease
from persistence.postgres import Database


class GoneDatabase:
    """Gives the name, and is never heard of again."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    @asynccontextmanager
    async def dedicated(self, purpose: str) -> AsyncIterator["GoneDatabase"]:
        assert purpose == "lease"
        yield self

    async def transaction(self, work: Any) -> bool:
        await trio.lowlevel.checkpoint()
        self.asked_s.append(trio.current_time())
        if len(self.asked_s) > 1:
            raise DatabaseUnavailable(f"away: {work}")
        return True


async def test_a_database_that_is_away_is_asked_again_after_pauses_that_grow_and_are_no_two_alike(
    autojump_clock: MockClock,  # noqa: ARG001 - no real time
) -> None:
    database = GoneDatabase()
    lease = NodeLease(cast("Database", database), name="n", url="")
    async with trio.open_nursery() as nursery:
        await nursery.start(lease.run)
        await trio.sleep(120)
        nursery.cancel_scope.cancel()
    renewed_s, *asked_s = database.asked_s[:-1]  # the last one gives the lease back
    assert asked_s[0] - renewed_s == RENEW_S
    pauses_s = [later - earlier for earlier, later in pairwise(asked_s)]
    assert max(pauses_s) <= AWAY_MAX_S
    assert max(pauses_s[:3]) < 0.2 < 0.3 < sum(pauses_s) / len(pauses_s) < 0.7
    assert len(set(pauses_s)) == len(pauses_s) > 100
    assert lease.serving  # nobody else can have claimed anybody either
    assert not lease.live
