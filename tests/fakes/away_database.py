"""A database that is away."""

from typing import TypeVar

from persistence.errors import DatabaseUnavailable
from persistence.postgres import Database, Work

T = TypeVar("T")


class AwayDatabase(Database):
    """Answers nobody."""

    def __init__(self) -> None:
        self.asked = 0

    async def transaction(self, work: Work[T], *args: object) -> T:
        del work, args
        self.asked += 1
        raise DatabaseUnavailable("away")

    async def run(self, work: Work[T], *args: object) -> T:
        return await self.transaction(work, *args)
