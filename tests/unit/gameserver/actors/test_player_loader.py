"""From claims to actors."""

import uuid

import pytest

from gameserver.actors import player_loader
from gameserver.actors.player import PlayerActor
from gameserver.actors.player_loader import Moved, PlayerLoader
from gameserver.clock import ManualClock
from gameserver.errors import ErrorCode, Unavailable
from persistence.records import LoadedPlayer, OwnedElsewhere
from tests.fakes.player_database import PlayerDatabase, new_columns


def build(loaded: LoadedPlayer) -> PlayerActor:
    return PlayerActor(loaded, PlayerDatabase().habitat(ManualClock()))


async def test_players_are_built_those_of_other_nodes_moved_and_unknown_ones_absent() -> None:
    database = PlayerDatabase()
    here, there, nowhere = database.add().public_id, uuid.uuid4(), uuid.uuid4()
    database.elsewhere[there] = OwnedElsewhere(there, "node b", "wss://b.example/ws")
    loaded = await PlayerLoader(database.claim, build).load([here, there, nowhere])
    assert set(loaded) == {here, there}
    actor, moved = loaded[here], loaded[there]
    assert isinstance(actor, PlayerActor)
    assert actor.public_id == here
    assert isinstance(moved, Moved)
    assert (moved.url, moved.code) == ("wss://b.example/ws", ErrorCode.UNAVAILABLE)
    assert moved.retry_after_ms > 0


async def test_a_player_who_cannot_be_built_costs_nobody_else_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[dict[str, object]] = []
    monkeypatch.setattr(player_loader.log, "exception", lambda _event, **fields: told.append(fields))
    database = PlayerDatabase()
    before, broken, after = database.add(), database.add(), database.add()
    broken.columns = new_columns(combo=2_000_000_000)
    loaded = await PlayerLoader(database.claim, build).load([before.public_id, broken.public_id, after.public_id])
    assert isinstance(loaded[before.public_id], PlayerActor)
    assert isinstance(loaded[after.public_id], PlayerActor)
    refused = loaded[broken.public_id]
    assert isinstance(refused, Unavailable)
    assert refused.retry_after_ms > 0
    assert told == [{"player": broken.id}]


async def test_while_the_database_is_away_everyone_is_told_to_come_back() -> None:
    database = PlayerDatabase()
    database.away = True
    with pytest.raises(Unavailable) as raised:
        await PlayerLoader(database.claim, build).load([uuid.uuid4()])
    assert raised.value.retry_after_ms > 0
