"""The player's actor, turn by turn; `PlayerDatabase` judges what it writes."""

from itertools import pairwise
from typing import Any

import pytest

from gameserver.actors.feed import CHANNEL, RING_EVENTS, RING_MS
from gameserver.actors.journal import POST_EVERY_MS
from gameserver.actors.messages import MERGED_TAPS, Attach, Grant, Operate, Spoil, Taps, Turn
from gameserver.actors.player import MAX_SOCKETS, PlayerActor
from gameserver.edge.dispatch import noop
from gameserver.errors import Busy, Conflict, InvalidArgument, RateLimited, Unavailable, WireError
from gameserver.wire.catalogue import NoArgs, Nothing
from gameserver.wire.messages import Position
from gameserver.wire.ops import RESULTS_KEPT, RESULTS_KEPT_BYTES, CloseCode
from hotpath import rules
from persistence.records import Account, GrantKind, LedgerKind
from tests.fakes.lone_player import LonePlayer
from tests.fakes.player_database import PlayerDatabase
from tests.fakes.recording_origin import RecordingOrigin

MULTIPLIER_BP = 15_000  # generation 1 (+50 %), no boost, emission 1
TAP_MPT = 1_500


@pytest.fixture
def player() -> LonePlayer:
    return LonePlayer()


def refuse_with(error: Exception) -> Any:
    """A rule that changes the state and then raises."""

    def rule(actor: PlayerActor, args: object, turn: Turn) -> Nothing:
        del args
        actor.state.apply_taps(7, turn.now_ms, actor._habitat.world)
        raise error

    return rule


# ---- attaching


def test_welcome_tells_the_cursor_the_state_and_the_channel(player: LonePlayer) -> None:
    player.row.cursors[(1).to_bytes(16, "big")] = 9
    player.load()
    welcomed = player.attach().welcomed
    assert welcomed is not None
    assert welcomed.public_id == player.row.public_id
    assert (welcomed.applied_seq, welcomed.durable_seq) == (9, 9)
    assert welcomed.channels[CHANNEL].epoch == player.row.epoch
    assert (welcomed.channels[CHANNEL].offset, welcomed.channels[CHANNEL].recovered) == (0, False)
    state = welcomed.state
    assert (state.tokens_mpt, state.xp, state.level, state.rank) == (0, 0, 1, "Novice")
    assert (state.energy, state.energy_cap, state.energy_regen_mps) == (1_000, 1_000, 1_000)
    assert (state.combo, state.generation, state.tap_level, state.streak_days) == (0, 1, 1, 0)
    assert state.multiplier_bp == MULTIPLIER_BP


def test_a_lineage_never_seen_has_cursor_zero(player: LonePlayer) -> None:
    welcomed = player.attach(77).welcomed
    assert welcomed is not None
    assert (welcomed.applied_seq, welcomed.durable_seq) == (0, 0)


def test_a_socket_that_has_gone_meanwhile_is_not_attached(player: LonePlayer) -> None:
    origin = RecordingOrigin(closed=True)
    player.tell(Attach(origin, {}))
    assert origin.welcomed is None
    assert not player.actor.in_use


@pytest.mark.parametrize("used", [False, True], ids=["never used", "used"])
def test_a_lineage_is_taken_over_and_goes_on_at_the_new_socket(player: LonePlayer, used: bool) -> None:
    older = player.attach()
    if used:
        player.tap(older, 1)
    newer = player.attach()
    assert [code for code, _ in older.goodbyes] == [CloseCode.LINEAGE_TAKEN]
    assert newer.goodbyes == []
    older.take()
    player.tap(older, 5)
    assert older.take() == [], "what the older socket still brings is not answered"
    player.detach(older)
    player.tap(newer, 2, 3)
    [(_, seq, accepted, *_)] = newer.take()
    assert (seq, accepted) == (2, 3)
    assert player.actor.in_use


def test_several_lineages_count_by_themselves(player: LonePlayer) -> None:
    first, second = player.attach(1), player.attach(2)
    player.tap(first, 10)
    player.tap(second, 3)
    player.tap(second, 3)
    player.tap(first, 4)
    assert [told[:3] for told in first.take()] == [("tapped", 10, 1), ("tapped", 4, 0)]
    assert [told[:3] for told in second.take()] == [("tapped", 3, 1), ("tapped", 3, 0)]
    assert player.actor.state.taps == 2


def test_of_more_than_eight_sockets_the_oldest_goes(player: LonePlayer) -> None:
    origins = [player.attach(number) for number in range(1, MAX_SOCKETS + 3)]
    assert [[code for code, _ in origin.goodbyes] for origin in origins[:2]] == [[CloseCode.TOO_MANY_SOCKETS]] * 2
    assert not any(origin.goodbyes for origin in origins[2:])
    player.tap(origins[-1], 1)
    assert origins[-1].take()[0][:3] == ("tapped", 1, 1)


def test_taking_a_lineage_over_does_not_cost_another_socket(player: LonePlayer) -> None:
    origins = [player.attach(number) for number in range(1, MAX_SOCKETS + 1)]
    player.attach(MAX_SOCKETS)
    assert [code for code, _ in origins[-1].goodbyes] == [CloseCode.LINEAGE_TAKEN]
    assert not any(origin.goodbyes for origin in origins[:-1])


def test_an_older_sockets_cleaning_up_never_harms_a_newer_one(player: LonePlayer) -> None:
    older = player.attach()
    player.tap(older, 1)
    newer = player.attach()
    player.detach(older)
    player.detach(older)
    assert player.actor.in_use
    player.tap(newer, 2)
    assert newer.take()[0][:3] == ("tapped", 2, 1)


def test_the_last_socket_leaves_the_actor_idle_and_its_time_is_written(player: LonePlayer) -> None:
    origin = player.attach()
    player.clock.advance(5_000)
    player.detach(origin)
    assert not player.actor.in_use
    player.database.flush()
    assert player.row.columns.last_seen_ms == player.clock.now_ms()


def test_a_lineage_that_was_never_used_leaves_nothing_behind(player: LonePlayer) -> None:
    for lineage in range(1, 100):
        player.detach(player.attach(lineage))
    assert player.actor._lineages == {}


def test_after_a_reconnect_the_bucket_has_room_for_the_taps_of_the_gap() -> None:
    player = LonePlayer(bucket_mt=0)
    origin = player.attach()
    player.tap(origin, 1, 40)
    player.clock.advance(60_000)
    player.detach(origin)
    origin = player.attach()
    for seq in range(2, 12):
        player.tap(origin, seq, 100)
    assert sum(told[2] for told in origin.take() if told[0] == "tapped") == 900


def test_an_expelled_player_tells_every_socket_to_resynchronise(player: LonePlayer) -> None:
    origins = [player.attach(number) for number in (1, 2)]
    player.actor.expel("why")
    assert [origin.goodbyes for origin in origins] == [[(CloseCode.RESYNC, "why")]] * 2
    assert not player.actor.in_use


# ---- taps


def test_tapped_tells_what_the_tap_changed(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1, 30)
    assert origin.take() == [("tapped", 1, 30, 30 * TAP_MPT, 30, 1, 970, 30, 0)]
    player.clock.advance(2_000)
    player.tap(origin, 2, 1)
    assert origin.take() == [("tapped", 2, 1, 31 * TAP_MPT, 31, 1, 971, 31, 0)]


def test_taps_beyond_the_bucket_are_no_error(player: LonePlayer) -> None:
    player.row.columns = LonePlayer(last_tap_at_ms=player.clock.now_ms()).row.columns
    player.load()
    origin = player.attach()
    player.tap(origin, 1, 100)
    assert origin.take()[0][:3] == ("tapped", 1, 40)
    player.tap(origin, 2, 100)
    assert origin.take()[0][:3] == ("tapped", 2, 0)
    assert player.actor.state.taps == 40


def test_a_repeated_tap_is_answered_and_changes_nothing(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 5, 3)
    before = player.numbers
    [first] = origin.take()
    player.tap(origin, 5, 3)
    player.tap(origin, 4, 9)
    again, older = origin.take()
    assert again == ("tapped", 5, 0, *first[3:])
    assert older == ("tapped", 4, 0, *first[3:])
    assert player.numbers == before


def test_gaps_are_allowed(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1)
    player.tap(origin, 1_000)
    player.tap(origin, 2**32 - 2)
    assert [told[:3] for told in origin.take()] == [("tapped", seq, 1) for seq in (1, 1_000, 2**32 - 2)]


def test_taps_that_waited_together_pay_as_if_they_had_not(player: LonePlayer) -> None:
    origin, twin = player.attach(), LonePlayer()
    other = twin.attach()
    run = Taps([(origin, 1, 7)])
    assert run.merge(Taps([(origin, 2, 20)]))
    assert run.merge(Taps([(origin, 3, 5)]))
    player.tell(run)
    for seq, count in enumerate((7, 20, 5), start=1):
        twin.tap(other, seq, count)
    assert origin.take() == other.take()
    assert player.numbers == twin.numbers


def test_a_run_of_taps_is_bounded(player: LonePlayer) -> None:
    origin = player.attach()
    run = Taps([(origin, 1, 1)])
    for seq in range(2, MERGED_TAPS + 1):
        assert run.merge(Taps([(origin, seq, 1)]))
    assert not run.merge(Taps([(origin, MERGED_TAPS + 1, 1)]))
    assert not Taps([(origin, 1, 1)]).merge(Operate(origin, 2, "noop", NoArgs(), noop))
    run.refuse(Busy("full", retry_after_ms=5))
    assert [told[1] for told in origin.take()] == list(range(1, MERGED_TAPS + 1))
    assert origin.blocked is not None
    assert origin.blocked[0] == 1


# ---- levels and events


def test_each_level_and_rank_passed_is_announced_once_in_order_after_the_answer() -> None:
    player = LonePlayer(xp=1_590, bucket_mt=900_000)  # level 4 ends at 1 600: level 5 brings the second rank
    origin, watcher = player.attach(1), player.attach(2)
    player.tap(origin, 1, 100)
    expected = [("event", 1, "level.up"), ("event", 2, "rank.up")]
    assert origin.take()[1:] == expected
    assert watcher.take() == expected
    level, rank = (event.data for event in origin.events)
    assert (level.level, level.reward_mpt) == (5, 500_000)
    assert (rank.rank, rank.level) == ("Apprentice", 5)
    player.tap(origin, 2, 1)
    assert len(origin.events) == 2


def test_what_was_missed_is_sent_again_after_welcome(player: LonePlayer) -> None:
    origin = player.attach(1)
    for seq in range(1, 5):
        player.tap(origin, seq, 100)
    assert [event.name for event in origin.events] == ["level.up", "level.up"]
    epoch = player.actor._feed.epoch
    for offset, missed in ((0, 2), (1, 1), (2, 0)):
        back = player.attach(2, {CHANNEL: Position(epoch, offset)})
        assert back.welcomed is not None
        state = back.welcomed.channels[CHANNEL]
        assert (state.recovered, state.offset) == (True, 2)
        assert [event.offset for event in back.events] == list(range(offset + 1, 3))
        assert len(back.events) == missed


@pytest.mark.parametrize(("epoch_offset", "offset"), [(1, 0), (-1, 0), (0, 3), (0, 2**53 - 1)])
def test_another_epoch_or_an_offset_of_the_future_is_not_recovered(
    player: LonePlayer, epoch_offset: int, offset: int
) -> None:
    origin = player.attach(1)
    for seq in range(1, 5):
        player.tap(origin, seq, 100)
    back = player.attach(2, {CHANNEL: Position(player.actor._feed.epoch + epoch_offset, offset)})
    assert back.welcomed is not None
    assert not back.welcomed.channels[CHANNEL].recovered
    assert back.events == []


def test_a_channel_nobody_knows_is_passed_over(player: LonePlayer) -> None:
    back = player.attach(1, {"nonsense": Position(1, 1)})
    assert back.welcomed is not None
    assert list(back.welcomed.channels) == [CHANNEL]


def test_events_are_kept_for_a_minute(player: LonePlayer) -> None:
    origin = player.attach(1)
    player.tap(origin, 1, 100)
    epoch = player.actor._feed.epoch
    player.clock.advance(RING_MS)
    back = player.attach(2, {CHANNEL: Position(epoch, 0)})
    assert [event.offset for event in back.events] == [1]
    player.clock.advance(1)
    late = player.attach(3, {CHANNEL: Position(epoch, 0)})
    assert late.events == []
    assert late.welcomed is not None
    assert not late.welcomed.channels[CHANNEL].recovered
    present = player.attach(4, {CHANNEL: Position(epoch, 1)})
    assert present.welcomed is not None
    assert present.welcomed.channels[CHANNEL].recovered, "it has missed nothing"


def test_the_newest_events_are_kept(player: LonePlayer) -> None:
    feed = player.actor._feed
    for number in range(RING_EVENTS + 5):
        feed.append("level.up", number, player.clock.now_ms())
    now_ms = player.clock.now_ms()
    assert feed.since(feed.epoch, 4, now_ms) is None
    kept = feed.since(feed.epoch, 5, now_ms)
    assert kept is not None
    assert [event.offset for event in kept] == list(range(6, RING_EVENTS + 6))


# ---- actions


def test_an_action_is_answered_and_consumes_its_seq(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "noop")
    player.act(origin, 2, "profile.get")
    assert origin.take() == [
        ("result", 1, {}, 0),
        ("result", 2, {"player": str(player.row.public_id), "display_name": "player 1", "generation": 1}, 0),
    ]
    player.tap(origin, 2)
    assert origin.take()[0][:3] == ("tapped", 2, 0)


def test_state_get_tells_what_welcome_tells(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "state.get")
    [(_, _, state, _)] = origin.take()
    assert state == {
        "tokens": 0,
        "xp": 0,
        "level": 1,
        "rank": "Novice",
        "energy": 1_000,
        "energy_cap": 1_000,
        "energy_regen_mps": 1_000,
        "combo": 0,
        "generation": 1,
        "tap_level": 1,
        "multiplier_bp": MULTIPLIER_BP,
        "streak": 0,
        "energy_cap_level": 1,
        "energy_regen_level": 1,
        "offline_level": 0,
        "double_until_ms": 0,
    }


def test_a_repeated_action_gets_its_stored_result_and_is_not_run_again(player: LonePlayer) -> None:
    origin = player.attach()
    runs: list[int] = []

    def rule(actor: PlayerActor, args: object, turn: Turn) -> dict[str, int]:
        del actor, args, turn
        runs.append(1)
        return {"run": len(runs)}

    player.act(origin, 1, rule)
    player.database.flush()
    player.act(origin, 1, rule)
    assert runs == [1]
    assert origin.take() == [("result", 1, {"run": 1}, 0), ("durable", 1), ("result", 1, {"run": 1}, 1)]


def test_a_result_survives_a_change_of_sockets_but_not_a_reload(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, "profile.get")
    [first] = origin.take()
    back = player.attach()
    player.act(back, 1, "profile.get")
    assert back.take() == [first]
    player.database.flush()
    player.load()
    after = player.attach()
    player.act(after, 1, "profile.get")
    [(kind, seq, result, durable_seq)] = after.take()
    assert (kind, seq, result["repeat"], durable_seq) == ("result", 1, True, 1)
    assert result["state"]["energy"] == 1_000


def test_the_newest_64_results_are_kept(player: LonePlayer) -> None:
    origin = player.attach()
    for seq in range(1, RESULTS_KEPT + 2):
        player.act(origin, seq)
    origin.take()
    player.act(origin, 2)
    player.act(origin, 1)
    kept, gone = origin.take()
    assert kept == ("result", 2, {}, 0)
    assert gone[2]["repeat"] is True


def test_results_are_kept_within_16_kib(player: LonePlayer) -> None:
    origin = player.attach()

    def large(actor: PlayerActor, args: object, turn: Turn) -> dict[str, str]:
        del actor, args, turn
        return {"text": "x" * (RESULTS_KEPT_BYTES // 3)}

    for seq in range(1, 4):
        player.act(origin, seq, large)
    player.act(origin, 4)
    origin.take()
    for seq in range(1, 5):
        player.act(origin, seq, large)
    assert [set(told[2]) for told in origin.take()] == [{"repeat", "state"}, {"text"}, {"text"}, set()]


def test_a_result_larger_than_all_room_is_not_kept(player: LonePlayer) -> None:
    origin = player.attach()

    def huge(actor: PlayerActor, args: object, turn: Turn) -> dict[str, str]:
        del actor, args, turn
        return {"text": "x" * (RESULTS_KEPT_BYTES + 1)}

    player.act(origin, 1, huge)
    player.act(origin, 1, huge)
    assert [set(told[2]) for told in origin.take()] == [{"text"}, {"repeat", "state"}]


# ---- errors


def test_a_final_error_undoes_consumes_and_is_stored(player: LonePlayer) -> None:
    origin = player.attach()
    before = player.numbers
    player.act(origin, 1, refuse_with(Conflict("not now")))
    assert player.numbers == before
    player.act(origin, 1, "noop")
    assert origin.take() == [("error", 1, "conflict", 0)] * 2
    player.database.flush()
    assert player.row.cursors[origin.lineage] == 1


@pytest.mark.parametrize("error", [Busy("full", retry_after_ms=20), Unavailable("away", retry_after_ms=30)])
def test_a_retryable_error_blocks_what_follows_until_it_is_sent_again(player: LonePlayer, error: WireError) -> None:
    origin = player.attach()
    before = player.numbers
    player.act(origin, 3, refuse_with(error))
    refusal = (error.name, error.retry_after_ms)
    assert origin.take() == [("error", 3, *refusal)]
    assert player.numbers == before
    player.tap(origin, 4)
    player.act(origin, 5)
    player.spoil(origin, 6)
    assert origin.take() == [("error", seq, *refusal) for seq in (4, 5, 6)]
    assert player.numbers == before
    player.database.flush()
    assert origin.lineage not in player.row.cursors
    player.act(origin, 3, "noop")
    player.tap(origin, 4)
    assert [told[:2] for told in origin.take()] == [("result", 3), ("tapped", 4)]


def test_a_block_does_not_hold_up_what_came_before_it(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1)
    origin.take()
    origin.refuse(5, RateLimited("slow down", retry_after_ms=9))
    player.act(origin, 1)
    player.tap(origin, 4)
    player.tap(origin, 6)
    assert [told[:2] for told in origin.take()] == [("error", 5), ("result", 1), ("tapped", 4), ("error", 6)]


def test_a_new_hello_ends_a_block(player: LonePlayer) -> None:
    origin = player.attach()
    player.act(origin, 1, refuse_with(Busy("full", retry_after_ms=20)))
    back = player.attach()
    player.tap(back, 2)
    assert back.take()[0][:3] == ("tapped", 2, 1)


def test_a_block_of_one_lineage_leaves_others_alone(player: LonePlayer) -> None:
    blocked, free = player.attach(1), player.attach(2)
    player.act(blocked, 1, refuse_with(Busy("full", retry_after_ms=20)))
    player.tap(free, 2)
    assert free.take()[0][:3] == ("tapped", 2, 1)


def test_an_operation_that_is_wrong_beyond_its_seq_consumes_it_and_its_error_is_stored(player: LonePlayer) -> None:
    origin = player.attach()
    player.spoil(origin, 1)
    player.spoil(origin, 1)
    player.act(origin, 1, "noop")
    assert origin.take() == [("error", 1, "invalid_argument", 0)] * 3
    player.database.flush()
    assert player.row.cursors == {origin.lineage: 1}


def test_a_spoilt_repeat_of_a_good_operation_moves_nothing(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 5)
    player.database.flush()
    player.spoil(origin, 4)
    assert origin.take()[-1] == ("error", 4, "invalid_argument", 0)
    player.database.flush()
    assert player.row.cursors == {origin.lineage: 5}


@pytest.mark.parametrize("message", ["action", "unencodable"])
def test_a_rule_that_raises_changes_nothing_and_is_answered_internal(player: LonePlayer, message: str) -> None:
    origin = player.attach()
    before, revision = player.numbers, player.actor.state.revision

    def unencodable(actor: PlayerActor, args: object, turn: Turn) -> object:
        del args
        actor.state.apply_taps(3, turn.now_ms, actor._habitat.world)
        return object()

    player.act(origin, 1, refuse_with(RuntimeError("a bug")) if message == "action" else unencodable)
    assert len(player.raised) == 1
    assert player.numbers == before
    assert player.actor.state.revision == revision
    player.act(origin, 1, "noop")
    assert origin.take() == [("error", 1, "internal", 0)] * 2
    player.tap(origin, 2)
    assert origin.take()[0][:3] == ("tapped", 2, 1)


def test_one_tap_that_raises_leaves_the_rest_of_its_run_alone(
    player: LonePlayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = player.attach()
    real = type(player.actor)._tap

    def tap(actor: PlayerActor, origin: RecordingOrigin, seq: int, count: int, now_ms: int) -> None:
        if seq == 2:
            raise RuntimeError("a bug")
        real(actor, origin, seq, count, now_ms)

    monkeypatch.setattr(PlayerActor, "_tap", tap)
    run = Taps([(origin, seq, 5) for seq in (1, 2, 3)])
    player.tell(run)
    assert [told[:3] for told in origin.take()] == [("tapped", 1, 5), ("error", 2, "internal"), ("tapped", 3, 5)]
    assert player.actor.state.taps == 10


def test_an_attachment_that_raises_ends_that_socket_only(player: LonePlayer) -> None:
    other = player.attach(2)

    class Broken(RecordingOrigin):
        def welcome(self, welcomed: object) -> None:
            raise RuntimeError("a bug", welcomed)

    broken = Broken((1).to_bytes(16, "big"))
    player.tell(Attach(broken, {}))
    assert [code for code, _ in broken.goodbyes] == [CloseCode.RESYNC]
    player.tap(other, 1)
    assert other.take()[0][:3] == ("tapped", 1, 1)
    player.detach(broken)
    player.detach(other)
    assert not player.actor.in_use


def test_a_message_of_no_known_kind_is_a_bug(player: LonePlayer) -> None:
    class Strange:
        control = writes = False

        def refuse(self, error: WireError) -> None: ...

        def merge(self, later: object) -> bool:
            del later
            return False

    with pytest.raises(TypeError, match="Strange"):
        player.actor.handle(Strange(), 0)


def test_refusals_reach_who_asked(player: LonePlayer) -> None:
    origin = RecordingOrigin()
    error = Unavailable("away", retry_after_ms=3)
    Operate(origin, 4, "noop", NoArgs(), noop).refuse(error)
    Spoil(origin, 5, InvalidArgument("wrong", seq=5)).refuse(error)
    Attach(origin, {}).refuse(error)
    Grant(player.database.grant(player.row, 1)).refuse(error)
    assert [told[:2] for told in origin.take()] == [("error", 4), ("error", 5)]
    assert origin.turned_away_by is error
    assert 1 in player.row.grants


# ---- what is written


def test_a_commit_makes_the_cursor_durable_and_says_so(player: LonePlayer) -> None:
    first, second = player.attach(1), player.attach(2)
    player.tap(first, 4)
    player.database.flush()
    assert first.take()[-1] == ("durable", 4)
    assert second.take() == []
    player.tap(first, 5)
    assert first.take()[0][-1] == 4
    assert player.row.cursors == {first.lineage: 4}
    player.database.flush()
    assert player.row.cursors == {first.lineage: 5}
    assert player.database.commits[-1].cursors == {first.lineage: 5}


def test_only_cursors_that_moved_are_written(player: LonePlayer) -> None:
    first, second = player.attach(1), player.attach(2)
    player.tap(first, 1)
    player.tap(second, 1)
    player.database.flush()
    player.tap(second, 2)
    player.tap(second, 2)
    player.database.flush()
    assert [set(writes.cursors) for writes in player.database.commits] == [
        {first.lineage, second.lineage},
        {second.lineage},
    ]
    player.tap(second, 2)
    player.database.flush()
    assert len(player.database.commits) == 2


def test_nothing_changed_is_nothing_to_write(player: LonePlayer) -> None:
    assert player.actor.take_writes() is None
    player.tap(player.attach(), 1)
    assert player.actor.take_writes() is not None
    assert player.actor.take_writes() is None


def test_a_commit_that_comes_late_does_not_promise_what_came_after_it(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1)
    writes = player.actor.take_writes()
    assert writes is not None
    player.tap(origin, 2)
    player.actor.committed(writes)
    assert origin.take()[-1] == ("durable", 1)
    back = player.attach()
    assert back.welcomed is not None
    assert (back.welcomed.applied_seq, back.welcomed.durable_seq) == (2, 1)


def test_income_is_posted_at_most_once_a_minute_and_at_the_release(player: LonePlayer) -> None:
    origin = player.attach()
    for seq in range(1, 25):
        player.tap(origin, seq, 1)
        player.database.flush()
        player.clock.advance(10_000)
    income = [posting for posting in player.row.postings if posting.kind is LedgerKind.TAP_INCOME]
    assert len(income) == 24 * 10_000 // POST_EVERY_MS - 1
    assert [posting.key for posting in income] == [
        f"taps:{player.row.id}:{player.row.epoch}:{number}" for number in range(1, len(income) + 1)
    ]
    assert all(later.at_ms - earlier.at_ms >= POST_EVERY_MS for earlier, later in pairwise(income))
    player.tap(origin, 25, 1)
    player.actor.releasing = True
    player.database.mark_dirty(player.actor)
    player.database.flush()
    assert player.row.columns.unposted_mpt == 0
    assert player.row.columns.balance_mpt == 25 * TAP_MPT
    assert not player.row.owned
    assert all(left == right for left, right in player.database.sums(player.row).values())


def test_the_next_activation_posts_under_new_keys(player: LonePlayer) -> None:
    for _ in range(3):
        player.load()
        origin = player.attach(1)
        player.tap(origin, 1_000 + player.row.epoch)
        player.actor.releasing = True
        player.database.mark_dirty(player.actor)
        player.database.flush()
        player.clock.advance(60_000)
    assert player.dropped == []
    assert len({posting.key for posting in player.row.postings}) == 3
    assert player.row.postings[-1].balance_after_mpt == 3 * TAP_MPT


def test_a_player_without_changes_can_be_released(player: LonePlayer) -> None:
    player.actor.releasing = True
    writes = player.actor.take_writes()
    assert writes is not None
    assert writes.release
    assert (writes.postings, writes.cursors, writes.minted_mpt) == ((), {}, 0)


def test_level_rewards_are_posted_one_by_one_and_everything_minted_is_told() -> None:
    player = LonePlayer(xp=390, bucket_mt=900_000)
    origin = player.attach()
    player.tap(origin, 1, 20)
    player.database.flush()
    player.tap(origin, 2, 1)
    player.database.flush()
    rewards = [posting for posting in player.row.postings if posting.kind is LedgerKind.LEVEL_REWARD]
    assert [(posting.key, posting.amount_mpt) for posting in rewards] == [(f"level:{player.row.id}:3", 300_000)]
    assert [writes.minted_mpt for writes in player.database.commits] == [300_000 + 20 * TAP_MPT, TAP_MPT]


def test_a_fenced_actor_and_a_rejected_one_are_dropped(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1)
    player.row.epoch += 1
    player.database.flush()
    assert [(key, actor) for key, _, actor in player.dropped] == [(player.row.public_id, player.actor)]
    player.load()
    origin = player.attach()
    player.tap(origin, 1)
    player.row.cursors[origin.lineage] = 100
    player.database.flush()
    assert (len(player.dropped), player.quarantines) == (2, 1)
    assert player.row.cursors == {origin.lineage: 100}


def test_what_an_expelled_actor_still_had_to_write_is_never_written(player: LonePlayer) -> None:
    origin = player.attach()
    player.tap(origin, 1)
    in_flight = player.actor.take_writes()
    assert in_flight is not None
    player.tap(origin, 2)  # dirty again while the first batch is in flight
    player.actor.rejected(in_flight, ValueError("refused"))
    [(_, reason, actor)] = player.dropped
    actor.expel(reason)
    player.database.flush()
    assert player.database.commits == []
    player.actor.releasing = True
    assert player.actor.take_writes() is None


# ---- grants


def test_a_grant_is_applied_once_whichever_way_it_comes() -> None:
    database = PlayerDatabase()
    row = database.add(energy_ue=5_000_000, energy_at_ms=1_767_225_600_000)
    grant = database.grant(row, 7)
    player = LonePlayer(database, row)
    assert player.actor.snapshot(player.clock.now_ms()).energy == 1_000
    player.tap(player.attach(), 1, 30)
    player.tell(Grant(grant))
    assert player.actor.snapshot(player.clock.now_ms()).energy == 970
    database.flush()
    assert row.grants == {}
    player.tell(Grant(grant))
    database.flush()
    assert player.dropped == []
    assert [writes.applied_grants for writes in database.commits] == [(7,)]


def test_a_grant_that_comes_while_playing_is_applied_and_written() -> None:
    player = LonePlayer(energy_ue=5_000_000, energy_at_ms=1_767_225_600_000)
    player.tell(Grant(player.database.grant(player.row, 8)))
    assert player.actor.snapshot(player.clock.now_ms()).energy == 1_000
    player.database.flush()
    assert player.row.grants == {}
    assert player.row.columns.energy_ue == 1_000_000_000


@pytest.mark.parametrize("kind", [kind for kind in GrantKind if kind is not GrantKind.FULL_ENERGY])
def test_granted_tokens_are_posted_under_the_grant_s_key(kind: GrantKind) -> None:
    player = LonePlayer()
    player.tell(Grant(player.database.grant(player.row, 9, kind, 12_345)))
    assert player.actor.snapshot(player.clock.now_ms()).tokens_mpt == 12_345
    player.database.flush()
    [posting] = player.row.postings
    from_escrow = kind in {GrantKind.COMPETITION_PRIZE, GrantKind.COMPETITION_REFUND, GrantKind.TRANSFER_RECEIVED}
    counter = Account.ESCROW if from_escrow else Account.MINT
    assert (posting.key, posting.kind, posting.counter) == ("test:9", kind.value, counter)
    assert (posting.amount_mpt, posting.balance_after_mpt) == (12_345, 12_345)
    assert player.row.minted_mpt == player.row.columns.lifetime_mpt == (0 if from_escrow else 12_345)
    assert player.row.grants == {}


def test_a_balance_that_is_full_takes_what_has_room() -> None:
    player = LonePlayer(balance_mpt=rules.MAX_MONEY_MPT - 5, unposted_mpt=rules.MAX_MONEY_MPT - 5)
    player.tell(Grant(player.database.grant(player.row, 9, GrantKind.TRANSFER_RECEIVED, 12_345)))
    player.tell(Grant(player.database.grant(player.row, 10, GrantKind.TRANSFER_RECEIVED, 1)))
    player.database.flush()
    assert player.row.columns.balance_mpt == rules.MAX_MONEY_MPT
    assert [posting.amount_mpt for posting in player.row.postings if posting.key.startswith("test:")] == [5]
    assert player.row.grants == {}
