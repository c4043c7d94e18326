"""Tokens to another player."""

import uuid

import pytest

from hotpath.rules import DAY_MS, level_start_xp
from persistence.records import Account, GrantKind
from tests.fakes.lone_player import LonePlayer
from tests.fakes.player_database import PlayerDatabase
from tests.fakes.rich_player import RICH_MPT, assert_sound, results, rich_player


@pytest.fixture
def player() -> LonePlayer:
    return rich_player()


def test_the_sender_pays_and_the_receiver_is_owed(player: LonePlayer) -> None:
    friend = player.database.add()
    origin = player.attach()
    player.act(origin, 1, "transfer.send", to=str(friend.public_id), amount_mpt=12_345)
    assert friend.grants == {}
    player.database.flush()
    [(_, _, sent, _)] = results(origin)
    assert sent == {
        "to": str(friend.public_id),
        "amount_mpt": 12_345,
        "fee_mpt": 618,
        "state": {"tokens": RICH_MPT - 12_345 - 618},
    }
    [grant] = friend.grants.values()
    key = f"{player.row.id}:{origin.lineage.hex()}:1"
    assert (grant.key, grant.kind, grant.amount_mpt) == (f"transfer:{key}", GrantKind.TRANSFER_RECEIVED, 12_345)
    assert [(p.key, p.counter, p.amount_mpt) for p in player.row.postings[1:]] == [
        (f"transfer_out:{key}", Account.ESCROW, -12_345),
        (f"transfer_fee:{key}", Account.BURN, -618),
    ]
    assert_sound(player)
    receiver = LonePlayer(player.database, friend)
    assert receiver.actor.state.balance_mpt == 12_345
    assert receiver.actor.state.lifetime_mpt == 0
    player.database.flush()
    assert friend.grants == {}
    assert_sound(receiver)


def test_a_receiver_who_is_there_is_told(player: LonePlayer) -> None:
    friend = LonePlayer(player.database, player.database.add())
    there = friend.attach()
    origin = player.attach()
    player.act(origin, 1, "transfer.send", to=str(friend.row.public_id), amount_mpt=5_000)
    player.database.flush()
    [grant] = friend.row.grants.values()
    friend.grant(grant)
    [event] = there.events
    assert event.name == "grant.received"
    assert (event.data.kind, event.data.amount_mpt, event.data.state) == ("transfer_received", 5_000, {"tokens": 5_000})


@pytest.mark.parametrize(
    ("amount_mpt", "columns", "age_ms", "error"),
    [
        (10**7 + 1, {}, 7 * DAY_MS, "conflict"),
        (10**7, {"xp": level_start_xp(10) - 1}, 7 * DAY_MS, "forbidden"),
        (10**7, {}, 7 * DAY_MS - 1, "forbidden"),
        (10**7, {}, 7 * DAY_MS, "insufficient"),
    ],
)
def test_who_may_not_send_keeps_everything(amount_mpt: int, columns: dict[str, int], age_ms: int, error: str) -> None:
    database = PlayerDatabase()
    row = database.add(**({"xp": level_start_xp(10)} | columns))
    player = LonePlayer(database, row)
    row.created_ms = player.clock.now_ms() - age_ms
    player.load()
    origin = player.attach()
    player.act(origin, 1, "transfer.send", to=str(player.database.add().public_id), amount_mpt=amount_mpt)
    database.flush()
    assert results(origin) == [("error", 1, error, 0)]
    assert row.columns.balance_mpt == 0


@pytest.mark.parametrize(
    ("to", "error"), [("nobody", "not_found"), (str(uuid.UUID(int=7)), "not_found"), ("", "not_found")]
)
def test_a_receiver_has_to_be_there(player: LonePlayer, to: str, error: str) -> None:
    origin = player.attach()
    player.act(origin, 1, "transfer.send", to=to, amount_mpt=1_000)
    player.database.flush()
    assert results(origin) == [("error", 1, error, 0)]


def test_nobody_sends_to_himself(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "transfer.send", to=str(player.row.public_id), amount_mpt=1_000)
    player.database.flush()
    assert results(origin) == [("error", 1, "invalid_argument", 0)]


def test_the_days_limit_counts_what_was_sent_before(player: LonePlayer) -> None:
    friend = player.database.add()
    origin = player.attach()
    for seq, amount_mpt in enumerate((9_999_000, 1_001, 1_000), start=1):
        player.act(origin, seq, "transfer.send", to=str(friend.public_id), amount_mpt=amount_mpt)
    player.database.flush()
    assert [told[0] for told in results(origin)] == ["result", "error", "result"]
    assert sum(grant.amount_mpt for grant in friend.grants.values()) == 10**7
    assert_sound(player)


def test_the_terms_are_what_sending_is_held_to(player: LonePlayer) -> None:
    origin = player.attach()
    friend = player.database.add()
    player.act(origin, 1, "transfer.send", to=str(friend.public_id), amount_mpt=12_345)
    player.act(origin, 2, "transfer.terms")
    player.database.flush()
    (terms,) = (told[2] for told in results(origin) if told[1] == 2)
    assert terms == {
        "fee_bp": 500,
        "min_mpt": 1_000,
        "left_today_mpt": 10**7 - 12_345,
        "resets_ms": (player.clock.now_ms() // DAY_MS + 1) * DAY_MS,
        "min_level": 10,
        "from_ms": player.row.created_ms + 7 * DAY_MS,
    }
    for seq, more in ((3, 1), (4, 0)):
        player.act(origin, seq, "transfer.send", to=str(friend.public_id), amount_mpt=terms["left_today_mpt"] + more)
    player.act(origin, 5, "transfer.terms")
    player.database.flush()
    answers = {told[1]: told for told in results(origin)}
    assert [answers[seq][0] for seq in (3, 4)] == ["error", "result"]
    assert answers[5][2]["left_today_mpt"] == 0
