"""Operations that are answered once they are committed: stored answers, repeats, outages."""

import uuid

import pytest
import trio

from gameserver.actors.messages import Turn
from gameserver.actors.player import PlayerActor
from gameserver.errors import Unavailable
from gameserver.game.shop import Upgrade, upgrade_price_mpt
from persistence.errors import Rejected
from persistence.records import Account, LedgerKind
from tests.fakes.lone_player import LonePlayer
from tests.fakes.recording_origin import RecordingOrigin
from tests.fakes.rich_player import RICH_MPT, assert_sound, results, rich_player


@pytest.fixture
def player() -> LonePlayer:
    return rich_player()


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


def test_who_gives_up_what_had_been_applied_gets_its_stored_answer(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    player.act(origin, 2, "noop")
    player.act(origin, 1, "noop")
    assert results(origin) == [("result", 2, {}, 0)], "its commit is pending"
    player.database.flush()
    [(_, _, bought, _)] = results(origin)
    player.load()
    back = player.attach()
    player.act(back, 1, "noop")
    assert results(back) == [("result", 1, bought, 2)]


def test_who_gives_up_a_soft_operation_whose_result_is_gone_is_told_that_it_is_a_repeat(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "profile.get")
    player.database.flush()
    player.load()
    back = player.attach()
    player.act(back, 1, "noop")
    [(kind, seq, result, _)] = results(back)
    assert (kind, seq, result["repeat"]) == ("result", 1, True)


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


def test_a_lookups_bug_is_answered_as_the_operations_own(player: LonePlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = player.attach()
    friend = player.database.add()

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
