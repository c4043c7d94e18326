"""Waiting for what tells nobody: other processes, and rows that they write."""

from collections.abc import Callable

import trio


async def until(condition: Callable[[], bool], *, every_s: float = 0.02) -> None:
    """Look again and again; to be bounded by a deadline of the caller."""
    while not condition():  # noqa: ASYNC110 - there is no event that another process could set
        await trio.sleep(every_s)
