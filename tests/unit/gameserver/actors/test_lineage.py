"""How many lineages a player may have, and what of them stays in memory."""

from gameserver.actors.lineage import ANSWERS_AT_REST, ROOM_MS
from gameserver.actors.player import MAX_SOCKETS
from gameserver.actors.registry import IDLE_MS
from gameserver.errors import RateLimited
from gameserver.wire.ops import MAX_LINEAGES
from persistence.player_store import CROWDED_CURSORS
from tests.fakes.lone_player import LonePlayer
from tests.fakes.recording_origin import RecordingOrigin


def use(player: LonePlayer, lineage: int) -> RecordingOrigin:
    """A client that comes, does one thing, and goes."""
    origin = player.attach(lineage)
    player.act(origin, 1, "profile.get")
    player.detach(origin)
    return origin


def crowded() -> LonePlayer:
    """A player with as many lineages as one may have, most of them of before."""
    player = LonePlayer()
    player.row.cursors.update({lineage.to_bytes(16, "big"): 1 for lineage in range(1, MAX_LINEAGES)})
    player.load()
    use(player, MAX_LINEAGES)
    player.database.flush()
    return player


def test_a_new_lineage_beyond_the_bound_is_turned_away() -> None:
    player = crowded()
    refused = player.attach(MAX_LINEAGES + 1)
    assert refused.welcomed is None
    assert isinstance(refused.turned_away_by, RateLimited)
    assert not player.actor.in_use
    player.tap(refused, 1)
    player.detach(refused)
    assert refused.take() == []
    assert player.actor.state.taps == 0
    player.database.flush()
    assert len(player.row.cursors) == len(player.actor._lineages) == MAX_LINEAGES


def test_who_is_known_goes_on_and_is_taken_over_as_ever() -> None:
    player = crowded()
    older = player.attach(MAX_LINEAGES)
    newer = player.attach(MAX_LINEAGES)
    assert older.goodbyes
    assert newer.welcomed is not None
    assert newer.welcomed.applied_seq == 1
    player.tap(newer, 2)
    assert newer.take()[0][:3] == ("tapped", 2, 1)


def test_lineages_that_were_never_used_take_no_place_once_they_are_gone() -> None:
    player = LonePlayer()
    player.row.cursors.update({lineage.to_bytes(16, "big"): 1 for lineage in range(1, MAX_LINEAGES - MAX_SOCKETS)})
    player.load()
    for lineage in range(MAX_LINEAGES, MAX_LINEAGES + 100):
        assert player.attach(lineage).welcomed is not None
    assert len(player.actor._lineages) <= MAX_LINEAGES


def test_whoever_had_to_go_away_finds_room_when_old_cursors_were_left_out() -> None:
    player = crowded()
    assert ROOM_MS > IDLE_MS
    assert CROWDED_CURSORS <= MAX_LINEAGES
    player.row.cursors.pop((1).to_bytes(16, "big"))  # as claiming a crowded player does
    player.load()
    assert player.attach(MAX_LINEAGES + 1).welcomed is not None


def test_answers_of_the_last_lineages_to_rest_stay_in_memory() -> None:
    player = LonePlayer()
    stays = player.attach(1)
    player.act(stays, 1, "profile.get")
    for lineage in range(2, ANSWERS_AT_REST + 3):
        use(player, lineage)

    def is_kept(lineage: int) -> bool:
        return player.actor._lineages[lineage.to_bytes(16, "big")].answer(1) is not None

    assert [lineage for lineage in range(1, ANSWERS_AT_REST + 3) if not is_kept(lineage)] == [2]
    use(player, 2)
    assert is_kept(1)
    assert not is_kept(3)
    back = player.attach(2)
    player.act(back, 1, "profile.get")
    assert back.take()[0][2]["repeat"] is True
