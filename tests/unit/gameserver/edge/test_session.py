"""The session without a socket: the tables of the wire protocol, row by row."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from gameserver.actors.lineage import ROOM_MS
from gameserver.edge.lifecycle import State
from gameserver.edge.returns import EARLIEST_MS
from gameserver.edge.session import JOIN_DEADLINE_MS, LAST_WORDS_MS
from gameserver.errors import Busy, ErrorCode, Internal, Unauthenticated, Unavailable
from gameserver.rate_limits.table import Limit, LimitClass, Scope
from gameserver.wire.ops import MAX_LINEAGES, MAX_SEQ, OUTBOX_MAX_FRAMES, CloseCode
from hotpath.tap_path import QUIET_MS
from tests.fakes.game_client import (
    ACTION,
    DURABLE,
    ERROR,
    EVENT,
    GOODBYE,
    HELLO,
    PING,
    PONG,
    RESULT,
    TAP,
    TAPPED,
    WELCOME,
    hello_map,
)
from tests.fakes.lone_session import LOGIN, LoneSession
from tests.fakes.other_side import ExtType, pack

MALFORMED, INVALID = int(ErrorCode.MALFORMED), int(ErrorCode.INVALID_ARGUMENT)


@pytest.fixture
def lone() -> LoneSession:
    return LoneSession()


@pytest.fixture
def live() -> LoneSession:
    return LoneSession().live()


def state_of(lone: LoneSession) -> State:
    """The state now; a function, so that the type checker does not remember the state before."""
    return lone.session.state


def asks_for_ping(lone: LoneSession) -> bool:
    """The same for its ping."""
    return lone.session.outbox.ping_due


def is_attached(lone: LoneSession) -> bool:
    """Whether the player has a socket."""
    return lone.cell.actor is not None and lone.cell.actor.in_use


# ---- opening


def test_hello_goes_through_the_door_to_the_player(lone: LoneSession) -> None:
    actor = lone.activate()
    lone.greet()
    assert state_of(lone) is State.OPENING
    [(session, hello)] = lone.door.waiting
    session.join(lone.cell, hello, LOGIN, ("access 1", "refresh 1"))
    [[op, seq, body]] = lone.take()
    assert (op, seq, body["session"], body["access"], body["refresh"]) == (
        WELCOME,
        0,
        str(LOGIN),
        "access 1",
        "refresh 1",
    )
    assert state_of(lone) is State.LIVE
    assert actor.in_use


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x93\x01\x00",
        pack([HELLO, 0]),
        pack([HELLO, 0, {}]),
        pack([HELLO, 0, []]),
        pack([HELLO, 1, hello_map(token="x")]),
        pack([HELLO, 0, hello_map()]),
        pack([HELLO, 0, hello_map(token="x", init_data="y")]),
        pack([HELLO, 0, hello_map(token=5)]),
        pack([HELLO, 0, hello_map(token="x", lineage=bytes(15))]),
        pack([HELLO, 0, hello_map(token="x") | {"lineage": "0123456789abcdef"}]),
        pack([TAP, 1, 1, 0]),
        pack([ACTION, 1, "noop", {}]),
        pack([PING, 1, 1]),
        pack([99, 1]),
        pack([HELLO, 0, hello_map(token="x")]) + b"\x00",
        pack([HELLO, 0, hello_map(token="x", extra=ExtType(1, b""))]),
    ],
)
@pytest.mark.parametrize("greeted", [False, True], ids=["first", "after HELLO"])
def test_before_welcome_anything_but_a_hello_is_4500(lone: LoneSession, payload: bytes, greeted: bool) -> None:
    if greeted:
        lone.greet()
    lone.session.receive(payload)
    assert lone.end() == (4500, 4500)
    assert len(lone.door.waiting) == greeted


def test_a_second_hello_is_1002_also_before_welcome(lone: LoneSession) -> None:
    lone.greet()
    lone.greet()
    assert lone.end() == (None, 1002)


@pytest.mark.parametrize("payload", [pack([HELLO, 0, hello_map(token="x")]), pack([HELLO, 0, {}]), pack([HELLO, 7, 8])])
def test_a_second_hello_is_1002_whatever_is_in_it(live: LoneSession, payload: bytes) -> None:
    live.session.receive(payload)
    assert live.end() == (None, 1002)


def test_no_hello_within_five_seconds_is_4500(lone: LoneSession) -> None:
    lone.wait(4_900)
    assert lone.end() == (None, None)
    lone.wait(300)
    assert lone.end() == (4500, 4500)


def test_signs_of_life_do_not_put_hello_off(lone: LoneSession) -> None:
    for _ in range(6):
        lone.wait(900)
        lone.session.heard()
    assert lone.end() == (4500, 4500)


def test_a_player_that_is_not_loaded_in_time_is_4009(lone: LoneSession) -> None:
    lone.greet()
    session, hello = lone.door.waiting.pop()
    session.join(lone.cell, hello, LOGIN, None)
    lone.wait(JOIN_DEADLINE_MS - 200)
    assert lone.end() == (None, None)
    lone.wait(400)
    assert lone.end() == (4009, 4009)
    actor = lone.activate()
    assert not actor.in_use


def test_one_lineage_too_many_is_4029(lone: LoneSession) -> None:
    lone.row.cursors.update({lineage.to_bytes(16, "big"): 1 for lineage in range(1, MAX_LINEAGES + 1)})
    lone.activate()
    lone.greet(lineage=bytes(16))
    session, hello = lone.door.waiting.pop()
    session.join(lone.cell, hello, LOGIN, None)
    [goodbye] = lone.take()
    assert goodbye[:2] == [GOODBYE, 4029]
    assert goodbye[3] == ROOM_MS, "room is not made before that"
    assert not is_attached(lone)


def test_who_was_turned_away_says_nothing_more(lone: LoneSession) -> None:
    lone.greet()
    session, hello = lone.door.waiting.pop()
    session.turned_away(Unauthenticated("bad"))
    assert lone.end() == (4501, 4501)
    session.join(lone.cell, hello, LOGIN, None)
    session.turned_away(Unavailable("late", retry_after_ms=1))
    lone.send(TAP, 1, 1, 0)
    assert lone.take() == []
    assert lone.cell.depth == 0


def test_a_socket_that_goes_while_its_player_loads_is_not_attached(lone: LoneSession) -> None:
    lone.greet()
    session, hello = lone.door.waiting.pop()
    session.join(lone.cell, hello, LOGIN, None)
    session.gone()
    assert state_of(lone) is State.CLOSED
    actor = lone.activate()
    assert not actor.in_use
    assert lone.take() == []


# ---- live: the table "Errors"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x94\x02\x01",
        b"\x80",
        b"\x01",
        b"\xa3tap",
        pack([]),
        pack(["2", 1, 1, 0]),
        pack([True, 1, 1, 0]),
        pack([2.0, 1, 1, 0]),
        pack([TAP, 1, 1]),
        pack([ACTION, 1, "noop"]),
        pack([PING, 1]),
        pack([TAP, 1, 1, 0]) + b"\xc0",
        pack([TAP, 1, 1, 0, ExtType(5, b"")]),
        b"\x94\x02\x01\x01\xd7\xff" + bytes(8),
        b"\x94\x03\x01\xa2\xff\xfe\x80",
    ],
)
def test_what_is_no_frame_is_error_1_and_the_third_closes_with_1007(live: LoneSession, payload: bytes) -> None:
    before = live.row.cursors.copy()
    for _ in range(2):
        live.session.receive(payload)
        assert live.errors() == [(0, MALFORMED, 0)]
    live.send(TAP, 1, 1, 0)
    assert live.take()[0][:3] == [TAPPED, 1, 1]
    live.session.receive(payload)
    assert live.errors() == [(0, MALFORMED, 0)]
    assert live.end() == (None, 1007)
    assert live.row.cursors == before
    assert live.counters.malformed_total == 3


@pytest.mark.parametrize(
    "frame",
    [
        [0, 1],
        [5, 1, 1, 1],
        [64, 0, {}],
        [2**40, 1],
        [-1, 1],
        [TAP, 0, 1, 0],
        [TAP, -1, 1, 0],
        [TAP, MAX_SEQ + 1, 1, 0],
        [TAP, 2**63, 1, 0],
        [TAP, 1.0, 1, 0],
        [TAP, True, 1, 0],
        [TAP, None, 1, 0],
        [ACTION, 0, "noop", {}],
        [ACTION, "1", "noop", {}],
        [PING, -1, 0],
        [PING, 1, 1.5],
    ],
)
def test_an_unknown_op_or_a_bad_seq_is_error_5_with_seq_0_and_consumes_nothing(
    live: LoneSession, frame: list[Any]
) -> None:
    for _ in range(5):
        live.send(*frame)
    assert live.errors() == [(0, INVALID, 0)] * 5
    live.database.flush()
    assert live.row.cursors == {}
    assert state_of(live) is State.LIVE


@pytest.mark.parametrize(
    "rest",
    [
        [0, 0],
        [101, 0],
        [-1, 0],
        [1.0, 0],
        [True, 0],
        [None, 0],
        [1, -1],
        [1, 600_001],
        [1, 0.5],
        [1, False],
        [1, "0"],
    ],
)
def test_a_tap_with_a_good_seq_and_something_wrong_is_error_5_and_consumed(live: LoneSession, rest: list[Any]) -> None:
    live.send(TAP, 7, *rest)
    assert live.errors() == [(7, INVALID, 0)]
    live.database.flush()
    assert list(live.row.cursors.values()) == [7]
    assert live.row.columns.taps == 0
    live.send(TAP, 7, 1, 0)
    assert live.take()[-1][:3] == [TAPPED, 7, 0]


@pytest.mark.parametrize(
    "rest", [["no.such", {}], ["", {}], [5, {}], [None, {}], ["noop", []], ["noop", None], [b"noop", {}]]
)
def test_an_action_with_a_good_seq_and_something_wrong_is_error_5_and_consumed(
    live: LoneSession, rest: list[Any]
) -> None:
    live.send(ACTION, 7, *rest)
    live.send(ACTION, 7, "noop", {})
    assert live.errors() == [(7, INVALID, 0)] * 2
    live.database.flush()
    assert list(live.row.cursors.values()) == [7]


def test_what_is_longer_or_unknown_is_ignored(live: LoneSession) -> None:
    live.send(TAP, 1, 1, 0, "more")
    live.send(ACTION, 2, "noop", {"more": [1, 2], 5: None}, None)
    live.send(PING, 3, 4, 5)
    assert [frame[:2] for frame in live.take()] == [[TAPPED, 1], [RESULT, 2], [PONG, 3]]


def test_all_widths_of_integers_are_accepted(live: LoneSession) -> None:
    live.session.receive(
        b"\xdd\x00\x00\x00\x04\xcf"
        + (2).to_bytes(8, "big")
        + b"\xcd\x00\x01\xd3"
        + (3).to_bytes(8, "big")
        + b"\xd0\x00"
    )
    assert live.take()[0][:3] == [TAPPED, 1, 3]


def test_a_text_frame_is_1003(live: LoneSession) -> None:
    live.session.receive_text("text")
    assert live.end() == (None, 1003)


def test_of_what_comes_after_the_end_nothing_counts(live: LoneSession) -> None:
    live.session.receive_text("text")
    live.send(TAP, 1, 1, 0)
    live.session.receive(b"\xc1")
    live.session.goodbye(CloseCode.DRAIN, "too late")
    live.session.close(CloseCode.PROTOCOL_ERROR, "too late")
    live.session.receive_text("text")
    assert live.end() == (None, 1003)
    live.database.flush()
    assert live.row.columns.taps == 0


# ---- limits


def limited(scope: Scope, limit_class: LimitClass, count: int, window_s: int = 10) -> LoneSession:
    """A live session for which one limit holds."""
    return LoneSession([Limit(scope, limit_class, count, window_s, "")]).live()


@pytest.mark.parametrize("scope", [Scope.SESSION, Scope.PLAYER])
def test_too_many_actions_are_told_when_to_come_again_and_hold_the_lineage(scope: Scope) -> None:
    live = limited(scope, LimitClass.READ, 3)
    for seq in range(1, 6):
        live.send(ACTION, seq, "noop", {})
    live.send(TAP, 6, 1, 0)
    frames = live.take()
    assert [frame[:2] for frame in frames] == [
        [RESULT, 1],
        [RESULT, 2],
        [RESULT, 3],
        [ERROR, 4],
        [ERROR, 5],
        [ERROR, 6],
    ]
    assert [frame[2] for frame in frames[3:]] == [ErrorCode.RATE_LIMITED] * 3
    wait_ms = frames[3][5]
    assert 0 < wait_ms <= 10_000
    live.clock.advance(wait_ms - 1)
    live.send(ACTION, 4, "noop", {})
    assert live.errors() == [(4, ErrorCode.RATE_LIMITED, 1)]
    live.clock.advance(1)
    live.send(ACTION, 4, "noop", {})
    live.send(TAP, 6, 1, 0)
    assert [frame[:2] for frame in live.take()] == [[RESULT, 4], [TAPPED, 6]]


def test_each_class_is_counted_by_itself() -> None:
    live = limited(Scope.SESSION, LimitClass.HARD, 1)
    for seq, kind in enumerate(("double", "full_energy"), 1):
        live.send(ACTION, seq, "boost.use", {"kind": kind})
    assert live.errors()[0][:2] == (2, ErrorCode.RATE_LIMITED)
    live.send(ACTION, 2, "noop", {})
    live.send(ACTION, 3, "state.get", {})
    assert [frame[:2] for frame in live.take()] == [[RESULT, 2], [RESULT, 3]]


def test_too_many_pings_are_refused_without_a_seq() -> None:
    live = limited(Scope.SESSION, LimitClass.PING, 2)
    for number in range(3):
        live.send(PING, number, 0)
    first, second, refused = live.take()
    assert (first[0], second[0]) == (PONG, PONG)
    assert refused[:3] == [ERROR, 0, ErrorCode.RATE_LIMITED]
    live.send(TAP, 1, 1, 0)
    assert live.take()[-1][:2] == [TAPPED, 1]


@pytest.mark.parametrize(
    "frame", [(PING, 1, 0), (PING, "x", 0), (99, 1), (ACTION, 9, "noop", {}), (ACTION, 9, "what", {})]
)
def test_who_floods_the_server_with_what_are_no_taps_is_sent_away(frame: tuple[Any, ...]) -> None:
    live = limited(Scope.SESSION, LimitClass.FRAME, 2, window_s=60)
    for seq in range(1, 4):
        live.send(TAP, seq, 1, 0)
        live.send(*frame)
    frames = live.take()
    assert [answer[0] for answer in frames].count(TAPPED) == 3
    goodbye = frames[-1]
    assert goodbye[:2] == [GOODBYE, 4029]
    assert 1_000 < goodbye[3] <= 60_000, "not before it could go on"


def test_taps_are_frames_that_nobody_counts() -> None:
    live = LoneSession([Limit(Scope.SESSION, limit_class, 1, 10, "") for limit_class in LimitClass]).live()
    for seq in range(1, 100):
        live.send(TAP, seq, 1, 0)
        live.send(TAP, seq, 1, 0, "with something to come")
    assert {frame[0] for frame in live.take()} <= {TAPPED, EVENT}
    assert live.session._caller is None


def test_a_busy_player_is_told_so_and_nothing_overtakes(live: LoneSession) -> None:
    live.session.refuse(3, Busy("full", retry_after_ms=250))
    live.send(TAP, 4, 1, 0)
    live.send(TAP, 3, 1, 0)
    live.send(TAP, 4, 1, 0)
    assert [frame[:3] for frame in live.take()] == [
        [ERROR, 3, ErrorCode.BUSY],
        [ERROR, 4, ErrorCode.BUSY],
        [TAPPED, 3, 1],
        [TAPPED, 4, 1],
    ]


def test_the_earliest_refused_operation_is_the_one_waited_for(live: LoneSession) -> None:
    live.session.refuse(5, Busy("full", retry_after_ms=250))
    live.session.refuse(3, Busy("full", retry_after_ms=250))
    live.session.refuse(9, Internal("a bug"))
    assert live.session.blocked is not None
    assert live.session.blocked[0] == 3


# ---- life and silence


def test_after_25_seconds_of_silence_it_pings_and_10_later_gives_up(live: LoneSession) -> None:
    live.wait(24_900)
    assert not asks_for_ping(live)
    live.wait(300)
    assert asks_for_ping(live)
    assert live.aborted == 0
    live.wait(9_500)
    assert live.aborted == 0
    live.wait(600)
    assert live.aborted >= 1
    assert live.end() == (None, None)


@pytest.mark.parametrize("sign", ["pong", "tap", "nonsense"])
def test_any_sign_of_life_puts_it_off(live: LoneSession, sign: str) -> None:
    for seq in range(1, 3):
        live.wait(30_000)
        assert live.session.outbox.ping_due
        live.session.outbox.ping_due = False
        match sign:
            case "pong":
                live.session.heard()
            case "tap":
                live.send(TAP, seq, 1, 0)
            case _:
                live.session.heard()
                live.session.receive(b"\xc1")
    live.wait(24_000)
    assert not live.session.outbox.ping_due
    assert live.aborted == 0


def test_it_pings_once_a_silence(live: LoneSession) -> None:
    live.wait(26_000)
    live.session.outbox.ping_due = False
    live.wait(5_000)
    assert not live.session.outbox.ping_due


def test_nobody_is_given_up_unasked_after_a_pause_of_ours(live: LoneSession) -> None:
    live.clock.advance(60_000)
    live.heartbeat.beat()
    assert (live.session.outbox.ping_due, live.aborted) == (True, 0)
    live.wait(9_000)
    assert live.aborted == 0
    live.wait(2_000)
    assert live.aborted >= 1


def test_a_step_of_the_wall_clock_is_no_silence(live: LoneSession) -> None:
    live.clock.step(3_600_000)
    live.wait(1_000)
    assert (live.session.outbox.ping_due, live.aborted) == (False, 0)


def test_a_level_is_announced_though_its_tap_ends_the_session() -> None:
    lone = LoneSession()
    lone.row = lone.database.add(generation=1, xp=99)
    lone.live()
    actor = lone.cell.actor
    assert actor is not None
    for _ in range(2 * OUTBOX_MAX_FRAMES):
        lone.session.outbox.push(b"x")
    lone.send(TAP, 1, 1, 0)
    assert state_of(lone) is State.DRAINING, "it reads too slowly"
    assert (actor.state.level, actor._feed.offset, actor._habitat.tally.levels_total) == (2, 1, 1)


# ---- durable


def test_durable_is_told_only_when_the_session_is_quiet(live: LoneSession) -> None:
    for seq in range(1, 30):
        live.send(TAP, seq, 1, 0)
        live.database.flush()
        live.wait(QUIET_MS - 200)
    assert {frame[0] for frame in live.take()} <= {TAPPED, 69}
    live.wait(500)
    assert live.take() == [[DURABLE, 29]]
    live.wait(5_000)
    assert live.take() == []


def test_what_an_answer_has_told_is_not_told_again(live: LoneSession) -> None:
    live.send(TAP, 1, 1, 0)
    live.database.flush()
    live.send(TAP, 1, 1, 0)
    assert live.take()[-1][-1] == 1
    live.wait(2_000)
    assert live.take() == []


def test_a_result_tells_durable_too(live: LoneSession) -> None:
    live.send(TAP, 1, 1, 0)
    live.database.flush()
    live.send(ACTION, 1, "profile.get", {})
    assert live.take()[-1][-1] == 1
    live.wait(2_000)
    assert live.take() == []


# ---- slow readers


def flood(lone: LoneSession, count: int) -> None:
    """So many answers that nobody reads."""
    for number in range(count):
        lone.send(TAP, number + 1, 1, 0)


def test_a_reader_over_the_bound_has_two_seconds(live: LoneSession) -> None:
    flood(live, 257)
    live.wait(1_800)
    assert live.session.outbox.closing is None
    live.wait(400)
    assert live.end() == (4008, 4008)
    assert live.counters.slow_readers_total == 1


def test_a_reader_that_catches_up_is_forgiven_and_its_grace_begins_anew(live: LoneSession) -> None:
    flood(live, 257)
    live.wait(1_900)
    live.take()
    flood(live, 257)
    live.wait(1_800)
    assert live.session.outbox.closing is None
    live.wait(400)
    assert live.end() == (4008, 4008)


def test_at_twice_the_bound_it_is_closed_at_once_and_memory_is_freed(live: LoneSession) -> None:
    flood(live, 600)
    assert live.session.outbox.closing is not None
    assert len(live.session.outbox) == 1
    assert live.end() == (4008, 4008)


# ---- the end


@pytest.mark.parametrize("code", [code for code in CloseCode if code >= 4_000])
def test_goodbye_precedes_every_4xxx(live: LoneSession, code: CloseCode) -> None:
    live.session.goodbye(code, "why")
    assert live.end() == (code, code)
    assert state_of(live) is State.DRAINING


def test_goodbye_follows_what_was_answered_before_it(live: LoneSession) -> None:
    live.send(TAP, 1, 1, 0)
    live.session.goodbye(CloseCode.DRAIN, "why")
    tapped, goodbye = live.take()
    assert tapped[0] == TAPPED
    assert goodbye == [71, 4000, "why", EARLIEST_MS[CloseCode.DRAIN], None]


def test_who_does_not_take_the_last_words_is_dropped(live: LoneSession) -> None:
    live.session.goodbye(CloseCode.DRAIN, "why")
    live.wait(LAST_WORDS_MS - 200)
    assert live.aborted == 0
    live.wait(400)
    assert live.aborted == 1
    live.session.gone()
    live.wait(30_000)
    assert live.aborted == 1
    assert state_of(live) is State.CLOSED


def test_a_session_that_ended_has_left_its_player(live: LoneSession) -> None:
    assert is_attached(live)
    live.session.goodbye(CloseCode.DRAIN, "why")
    assert not is_attached(live)
    live.session.gone()
    live.session.gone()
    assert state_of(live) is State.CLOSED


def test_a_crash_is_logged_once_and_ends_the_session_with_1011(live: LoneSession) -> None:
    with capture_logs() as logs:
        live.session.crashed(RuntimeError("a bug"))
    assert [(entry["event"], entry["state"]) for entry in logs] == [("a session crashed", "LIVE")]
    assert live.end() == (None, 1011)
    assert live.counters.crashes_total == 1


def test_a_fenced_player_sends_4010(live: LoneSession) -> None:
    live.send(TAP, 1, 1, 0)
    live.row.epoch += 1
    live.database.flush()
    assert live.end() == (4010, 4010)
