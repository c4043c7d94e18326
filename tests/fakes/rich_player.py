"""A player who may buy and send what he likes, and how tests read what became of it."""

from typing import Any

from hotpath.rules import level_start_xp
from persistence.records import GrantKind
from tests.fakes.lone_player import LonePlayer
from tests.fakes.recording_origin import RecordingOrigin

RICH_MPT = 100_000_000


def rich_player() -> LonePlayer:
    """A player of level 10 and old enough, with tokens that are in the ledger."""
    player = LonePlayer(xp=level_start_xp(10))
    player.database.grant(player.row, 1, GrantKind.COMPENSATION, RICH_MPT)
    player.load()
    player.database.flush()
    assert player.row.columns.balance_mpt == RICH_MPT
    return player


def results(origin: RecordingOrigin) -> list[Any]:
    """The answers to actions that have come since the last look."""
    return [told for told in origin.take() if told[0] in ("result", "error")]


def assert_sound(player: LonePlayer) -> None:
    """Balance, ledger and totals of the player agree."""
    for what, (left, right) in player.database.sums(player.row).items():
        assert left == right, what
