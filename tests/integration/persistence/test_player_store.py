"""Claiming, loading, granting, against a real PostgreSQL."""

from persistence import player_store
from persistence.postgres import Database


async def test_load_test_players_are_made_once_and_granted_each_time(database: Database) -> None:
    first = await player_store.create_load_test_players(database, 3, now_ms=1_767_225_600_000)
    again = await player_store.create_load_test_players(database, 5, now_ms=1_767_225_600_000)
    assert again[:3] == first
    assert len(set(again)) == 5
