"""Operations that are answered once they are committed: stored answers, repeats, outages, and what they do."""

import uuid
from typing import Any

import pytest
import trio

from gameserver.actors.messages import Turn
from gameserver.actors.player import PlayerActor
from gameserver.errors import Unavailable
from gameserver.game.shop import DOUBLE_MS, Upgrade, upgrade_price_mpt
from hotpath.rules import DAY_MS, level_start_xp
from persistence.errors import Rejected
from persistence.records import Account, GrantKind, LedgerKind
from tests.fakes.lone_player import LonePlayer
from tests.fakes.player_database import PlayerDatabase, PlayerRow
from tests.fakes.recording_origin import RecordingOrigin

RICH_MPT = 100_000_000


@pytest.fixture
def player() -> LonePlayer:
    """A player of level 10 and old enough, with tokens that are in the ledger."""
    player = LonePlayer(xp=level_start_xp(10))
    player.database.grant(player.row, 1, GrantKind.COMPENSATION, RICH_MPT)
    player.load()
    player.database.flush()
    assert player.row.columns.balance_mpt == RICH_MPT
    return player


def friend_of(player: LonePlayer) -> PlayerRow:
    return player.database.add()


def results(origin: RecordingOrigin) -> list[Any]:
    return [told for told in origin.take() if told[0] in ("result", "error")]


def assert_sound(player: LonePlayer) -> None:
    for what, (left, right) in player.database.sums(player.row).items():
        assert left == right, what


# ---- answered after the commit


def test_it_is_applied_at_once_and_answered_with_its_commit(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    assert player.actor.state.tap_level == 2
    assert origin.take() == []
    assert player.database.hurried == [player.actor]
    player.database.flush()
    price_mpt = upgrade_price_mpt(Upgrade.TAP_LEVEL, 1)
    bought = {
        "kind": "tap_level",
        "level": 2,
        "price_mpt": price_mpt,
        "state": {"tokens": RICH_MPT - price_mpt, "tap_level": 2},
    }
    assert origin.take() == [("durable", 1), ("result", 1, bought, 1)]
    assert player.row.columns.tap_level == 2
    assert_sound(player)


def test_later_turns_go_on_meanwhile(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="energy_cap")
    player.tap(origin, 2, 3)
    player.act(origin, 3, "profile.get")
    assert [told[0] for told in origin.take()] == ["tapped", "result"]
    player.database.flush()
    assert [told[:2] for told in results(origin)] == [("result", 1)]


def test_a_final_error_is_stored_and_answered_like_a_result(player: LonePlayer) -> None:
    origin = player.attach()
    for _ in range(3):
        player.act(origin, origin_seq(player, origin), "boost.use", kind="double")
    player.database.flush()
    origin.take()
    player.act(origin, 4, "boost.use", kind="double")
    assert origin.take() == []
    player.database.flush()
    assert results(origin) == [("error", 4, "conflict", 0)]
    player.load()
    again = player.attach()
    player.act(again, 4, "boost.use", kind="double")
    assert results(again) == [("error", 4, "conflict", 0)]


def origin_seq(player: LonePlayer, origin: RecordingOrigin) -> int:
    return player.actor._lineages[origin.lineage].cursor.applied_seq + 1


def test_what_cannot_be_committed_is_never_answered(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    [writes] = [player.actor.take_writes()]
    assert writes is not None
    player.actor.rejected(writes, Rejected("no", sqlstate="23514"))
    assert results(origin) == []
    assert [dropped[2] for dropped in player.dropped] == [player.actor]


# ---- repeats


def test_a_repeat_gets_the_same_answer_and_nothing_happens_twice(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    player.database.flush()
    [first] = results(origin)
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    assert results(origin) == [first]
    assert player.actor.state.tap_level == 2
    assert player.database.lookups == 0


def test_a_repeat_while_the_commit_is_pending_waits_for_it(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    player.detach(origin)
    back = player.attach()
    player.act(back, 1, "upgrade.buy", kind="tap_level")
    assert results(back) == []
    player.database.flush()
    assert [told[:2] for told in results(back)] == [("result", 1)]
    assert results(origin) == []
    assert player.actor.state.tap_level == 2


def test_who_has_not_asked_again_is_not_answered(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    player.detach(origin)
    back = player.attach()
    player.database.flush()
    assert results(back) == []
    player.act(back, 1, "upgrade.buy", kind="tap_level")
    assert [told[:2] for told in results(back)] == [("result", 1)]


def test_after_a_restart_the_stored_answer_is_given(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    player.tap(origin, 2)
    player.database.flush()
    [(_, _, bought, _)] = results(origin)
    player.load()
    back = player.attach()
    player.act(back, 1, "upgrade.buy", kind="tap_level")
    assert results(back) == [("result", 1, bought, 2)]
    assert player.database.lookups == 1


def test_an_answer_that_cannot_be_looked_up_now_is_asked_for_again(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    player.database.flush()
    player.load()
    back = player.attach()
    player.database.away = True
    player.act(back, 1, "upgrade.buy", kind="tap_level")
    assert results(back) == [("error", 1, "unavailable", 1_000)]
    player.database.away = False
    player.act(back, 1, "upgrade.buy", kind="tap_level")
    assert [told[:2] for told in results(back)] == [("result", 1)]


def test_a_hard_operation_whose_seq_was_another_one_is_told_so(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1)
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    [(kind, seq, result, _)] = results(origin)
    assert (kind, seq, result["repeat"]) == ("result", 1, True)
    assert player.actor.state.tap_level == 1


# ---- outages and bugs


def test_while_the_database_is_away_a_new_one_is_refused_and_blocks_its_lineage(player: LonePlayer) -> None:
    origin = player.attach()
    player.database.away = True
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    player.tap(origin, 2)
    assert [told[:3] for told in origin.take()] == [("error", 1, "unavailable"), ("error", 2, "unavailable")]
    player.database.away = False
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    player.tap(origin, 2)
    player.database.flush()
    assert [told[0] for told in origin.take()] == ["tapped", "durable", "result"]


def test_a_lookup_that_fails_is_tried_again_by_the_client(player: LonePlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = player.attach()
    friend = friend_of(player)

    async def never(_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(player.database, "find_player", never)
        player.act(origin, 1, "transfer.send", to=str(friend.public_id), amount_mpt=1_000)
    player.database.flush()
    assert results(origin) == [("error", 1, "internal", 0)]
    assert player.row.columns.balance_mpt == RICH_MPT


def test_a_lookup_is_given_up_after_its_time(player: LonePlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = player.attach()

    async def forever(_: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(player.database, "find_player", forever)
    monkeypatch.setattr("gameserver.actors.errands.LOOK_UP_S", 0.001)
    player.act(origin, 1, "transfer.send", to=str(uuid.uuid4()), amount_mpt=1_000)
    assert results(origin) == [("error", 1, "unavailable", 1_000)]


def test_a_turn_that_raises_takes_back_what_it_entered(player: LonePlayer) -> None:
    origin = player.attach()

    def buy_and_raise(actor: PlayerActor, args: object, turn: Turn) -> object:
        del args
        actor.journal.spend(actor.state, LedgerKind.UPGRADE, "upgrade:x", 5, Account.BURN, turn.now_ms)
        actor.journal.use(actor.journal.limits_of(turn.now_ms), doubles=3)
        raise RuntimeError("a bug")

    player.tap(origin, 1, 2)
    before = player.numbers
    operation = player.operation(origin, 2, buy_and_raise)
    operation.hard = True
    player.tell(operation)
    assert player.numbers == before
    assert results(origin) == []
    player.act(origin, 3, "boost.use", kind="double")
    player.database.flush()
    assert results(origin)[0][:3] == ("error", 2, "internal")
    assert player.row.limits is not None
    assert player.row.limits.doubles == 1
    assert_sound(player)


def test_a_retryable_refusal_of_a_rule_takes_back_what_it_entered(player: LonePlayer) -> None:
    origin = player.attach()

    def buy_and_refuse(actor: PlayerActor, args: object, turn: Turn) -> object:
        del args
        actor.journal.spend(actor.state, LedgerKind.UPGRADE, "upgrade:x", 5, Account.BURN, turn.now_ms)
        raise Unavailable("later", retry_after_ms=5)

    player.act(origin, 1, buy_and_refuse)
    player.detach(origin)
    player.database.flush()
    assert player.row.columns.balance_mpt == RICH_MPT
    assert_sound(player)


# ---- upgrades and boosts


def test_income_that_is_not_posted_yet_can_be_spent() -> None:
    player = LonePlayer(xp=level_start_xp(2) - 10)
    origin = player.attach()
    player.tap(origin, 1, 20)  # reaches level 2: 200 PT beside the taps' own 30
    player.actor.state.credit(10**6, minted=False)  # stands for tokens of long ago
    before_mpt = player.actor.state.balance_mpt
    player.actor.state.debit(10**6)
    assert player.actor.state.unposted_mpt > 0
    player.actor.journal.spend(
        player.actor.state, LedgerKind.UPGRADE, "upgrade:x", before_mpt - 10**6, Account.BURN, player.clock.now_ms()
    )
    player.actor.touched()
    player.database.flush()
    assert player.row.columns.balance_mpt == 0
    assert [posting.kind for posting in player.row.postings] == ["level_reward", "tap_income", "upgrade"]
    assert_sound(player)


def test_who_cannot_pay_keeps_everything() -> None:
    player = LonePlayer()
    origin = player.attach()
    before = player.numbers
    player.act(origin, 1, "upgrade.buy", kind="offline")
    player.database.flush()
    assert results(origin) == [("error", 1, "insufficient", 0)]
    assert player.numbers == before


def test_the_highest_level_is_the_last() -> None:
    player = LonePlayer(offline_level=9)
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="offline")
    player.database.flush()
    assert results(origin) == [("error", 1, "conflict", 0)]


def test_more_regeneration_counts_from_now_on(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1, 40)
    player.clock.advance(10_000)
    player.act(origin, 2, "upgrade.buy", kind="energy_regen")
    now_ms = player.clock.now_ms()
    assert player.actor.state.energy(now_ms) == 970
    assert player.actor.state.energy(now_ms + 8_000) == 980


def test_a_full_refill_and_a_doubling(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1, 40)
    player.act(origin, 2, "boost.use", kind="full_energy")
    player.act(origin, 3, "boost.use", kind="double")
    player.act(origin, 4, "boost.use", kind="double")
    player.database.flush()
    refill, first, second = (told[2] for told in results(origin) if told[0] == "result")
    now_ms = player.clock.now_ms()
    assert refill == {"kind": "full_energy", "left_today": 2, "state": {"energy": 1_000}}
    assert first["left_today"] == 2
    assert first["state"]["multiplier_bp"] == 2 * player.actor.snapshot(now_ms + 10**9).multiplier_bp
    assert second["state"] == {"double_until_ms": now_ms + 2 * DOUBLE_MS}
    assert player.row.limits is not None
    assert (player.row.limits.doubles, player.row.limits.refills) == (2, 1)


def test_the_days_boosts_are_counted_over_reloads_and_come_back_the_next_day(player: LonePlayer) -> None:
    origin = player.attach()
    for seq in range(1, 5):
        player.act(origin, seq, "boost.use", kind="full_energy")
    player.database.flush()
    assert [told[0] for told in results(origin)] == ["result"] * 3 + ["error"]
    player.load()
    back = player.attach()
    player.act(back, 5, "boost.use", kind="full_energy")
    player.clock.advance(DAY_MS)
    player.act(back, 6, "boost.use", kind="full_energy")
    player.clock.advance(-2 * DAY_MS)
    player.act(back, 7, "boost.use", kind="full_energy")
    player.database.flush()
    refused, fresh, as_that_day = results(back)
    assert refused[:3] == ("error", 5, "conflict")
    assert (fresh[2]["left_today"], as_that_day[2]["left_today"]) == (2, 1)


# ---- transfers


def test_the_sender_pays_and_the_receiver_is_owed(player: LonePlayer) -> None:
    friend = friend_of(player)
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
    friend = LonePlayer(player.database, friend_of(player))
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
    player.act(origin, 1, "transfer.send", to=str(friend_of(player).public_id), amount_mpt=amount_mpt)
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
    friend = friend_of(player)
    origin = player.attach()
    for seq, amount_mpt in enumerate((9_999_000, 1_001, 1_000), start=1):
        player.act(origin, seq, "transfer.send", to=str(friend.public_id), amount_mpt=amount_mpt)
    player.database.flush()
    assert [told[0] for told in results(origin)] == ["result", "error", "result"]
    assert sum(grant.amount_mpt for grant in friend.grants.values()) == 10**7
    assert_sound(player)
