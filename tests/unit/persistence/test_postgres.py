"""Listening while the database is away; everything else of it is tested over PostgreSQL."""

from itertools import pairwise
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from persistence.errors import DatabaseUnavailable
from persistence.postgres import RELISTEN_MAX_S, Database


async def test_listening_is_tried_again_after_pauses_that_grow_and_are_no_two_alike(
    autojump_clock: MockClock,  # noqa: ARG001 - no real time
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = Database("postgresql:///nowhere", cast("Any", None), 1, "test")
    asked_s: list[float] = []

    async def away(_listen: object, channel: str, *_: object) -> None:
        await trio.lowlevel.checkpoint()
        asked_s.append(trio.current_time())
        raise DatabaseUnavailable(channel)

    monkeypatch.setattr(database, "cross", away)
    with trio.move_on_after(120):
        await database.listen("bell", lambda _payload: None)
    pauses_s = [later - earlier for earlier, later in pairwise(asked_s)]
    assert max(pauses_s) <= RELISTEN_MAX_S
    assert max(pauses_s[:3]) < 0.3 < 0.6 < sum(pauses_s) / len(pauses_s) < 1.4
    assert len(set(pauses_s)) == len(pauses_s) > 50
