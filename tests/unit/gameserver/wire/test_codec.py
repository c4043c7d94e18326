"""Frames as the `msgpack` package writes and reads them: the other side does not share our code."""

from typing import Any

import pytest

from gameserver.errors import InvalidArgument, Malformed, WireError
from gameserver.wire.catalogue import LevelUp, NoArgs
from gameserver.wire.codec import BadHello, decode_client, decode_server, encode, encode_client
from gameserver.wire.messages import (
    Action,
    Durable,
    ErrorFrame,
    Event,
    Goodbye,
    Hello,
    HelloBody,
    Ping,
    Pong,
    Position,
    Repeated,
    Result,
    ServerMessage,
    State,
    Tap,
    Tapped,
    Welcome,
)
from tests.fakes.frames import HELLO_MAP, STATE, WELCOME
from tests.fakes.other_side import ExtType, Timestamp, pack, unpack


def packed(*elements: Any) -> bytes:
    return pack(list(elements))


def error_of(payload: bytes) -> WireError:
    with pytest.raises(WireError) as raised:
        decode_client(payload)
    return raised.value


# ---- what a client may say


def test_hello_with_everything() -> None:
    payload = packed(1, 0, HELLO_MAP | {"channels": {"player": [7, 12]}})
    assert decode_client(payload) == Hello(
        body=HelloBody(
            lineage=bytes(range(16)), device="d1", client="web/1", token="eyJ", channels={"player": Position(7, 12)}
        )
    )


def test_hello_with_init_data() -> None:
    hello = {key: value for key, value in HELLO_MAP.items() if key != "token"} | {"init_data": "user=1"}
    message = decode_client(packed(1, 0, hello))
    assert isinstance(message, Hello)
    assert (message.body.init_data, message.body.token, message.body.channels) == ("user=1", None, {})


def test_tap_action_ping() -> None:
    assert decode_client(packed(2, 2**32 - 2, 100, 600_000)) == Tap(2**32 - 2, 100, 600_000)
    assert decode_client(packed(2, 1, 1, 0)) == Tap(1, 1, 0)
    assert decode_client(packed(3, 5, "noop", {})) == Action(5, "noop", NoArgs())
    assert decode_client(packed(4, 0, 2**53 - 1)) == Ping(0, 2**53 - 1)


@pytest.mark.parametrize("five", ["05", "cc05", "cd0005", "ce00000005", "cf0000000000000005"])
@pytest.mark.parametrize("signed", ["d00a", "d1000a", "d20000000a", "d3000000000000000a"])
def test_every_width_of_an_integer_is_the_same(five: str, signed: str) -> None:
    assert decode_client(bytes.fromhex("94cc02" + five + signed + "00")) == Tap(5, 10, 0)


def test_extra_elements_and_unknown_keys_are_ignored() -> None:
    assert decode_client(packed(2, 5, 10, 100, "more", [None, 1.5])) == Tap(5, 10, 100)
    assert decode_client(packed(3, 5, "noop", {"new": 1, 7: 2, b"x": 3, None: 4}, 1)) == Action(5, "noop", NoArgs())
    channels = {"channels": {"player": [7, 12, "more"]}}
    assert isinstance(decode_client(packed(1, 0, HELLO_MAP | channels | {"new": {"a": 1}, 5: 6}, 9)), Hello)


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    body = pack(HELLO_MAP)
    twice = b"\x93\x01\x00\x85" + body[1:] + pack("device") + pack("last")
    message = decode_client(twice)
    assert isinstance(message, Hello)
    assert message.body.device == "last"


# ---- the table "Errors"

MALFORMED = {
    "nothing": b"",
    "not MessagePack": b"\xc1",
    "not an array": b"\x81\x01\x02",
    "a number": b"\x05",
    "empty array": packed(),
    "op is a string": packed("2", 5, 10, 100),
    "op is a float": packed(2.0, 5, 10, 100),
    "op is a boolean": packed(True, 0, {}),
    "op is nil": packed(None, 5, 10, 100),
    "tap too short": packed(2, 5, 10),
    "tap too short with a bad seq": packed(2, 0, 10),
    "action too short": packed(3, 5, "noop"),
    "ping too short": packed(4, 5),
    "hello too short": packed(1, 0),
    "trailing bytes": packed(2, 5, 10, 100) + b"\x00",
    "ext type in an extra element": packed(2, 5, 10, 100, ExtType(1, b"x")),
    "timestamp in an extra element": packed(2, 5, 10, 100, Timestamp(1)),
    "timestamp in the arguments": packed(3, 5, "noop", {"at": Timestamp(1)}),
    "timestamp where an integer is due": packed(2, Timestamp(1), 10, 100),
    "bad UTF-8 in an ignored key": b"\x94\x03\x05\xa4noop\x81\xa1\xff\x00",
    "ext type under an unknown op": packed(99, ExtType(1, b"x")),
    "deep nesting": b"\x95\x02\x05\x0a\x00" + b"\x91" * 3_000,
    "huge array": b"\xdd\xff\xff\xff\xff\x02\x05\x0a\x00",
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_frames_name_no_operation(payload: bytes) -> None:
    error = error_of(payload)
    assert (type(error), error.seq, error.consumes_seq) == (Malformed, 0, False)


@pytest.mark.parametrize("op", [0, 5, 63, 64, 65, 71, -1, 2**63, 2**64 - 1, -(2**63)])
def test_unknown_ops_and_ops_of_the_server(op: int) -> None:
    error = error_of(packed(op, 5, 10, 100))
    assert (type(error), error.seq) == (InvalidArgument, 0)


@pytest.mark.parametrize("seq", [0, -1, 2**32 - 1, 2**32, 2**64 - 1, 1.0, True, "1", None, b"1", [1], {}])
@pytest.mark.parametrize("rest", [(2, 10, 100), (3, "noop", {})], ids=["tap", "action"])
def test_a_bad_seq_consumes_nothing(seq: Any, rest: tuple[Any, ...]) -> None:
    error = error_of(packed(rest[0], seq, *rest[1:]))
    assert (type(error), error.seq, error.consumes_seq) == (InvalidArgument, 0, False)


BAD_COUNTS: list[Any] = [0, 101, -1, 2**64 - 1, 1.0, float("nan"), True, "1", None, []]
BAD_DT_MS: list[Any] = [-1, 600_001, 2**64 - 1, 0.5, float("inf"), False, "1", None, {}]
BAD_NAMES: list[Any] = ["no.such", "", "x" * 3_000, b"noop", 1, None, True, ["noop"], {}]
BAD_ARGS: list[Any] = [[], None, 1, "", b"", 1.5, True]


@pytest.mark.parametrize(
    "rest",
    [
        *((2, count, 100) for count in BAD_COUNTS),
        *((2, 10, dt_ms) for dt_ms in BAD_DT_MS),
        *((3, name, {}) for name in BAD_NAMES),
        *((3, "noop", args) for args in BAD_ARGS),
    ],
    ids=lambda rest: repr(rest)[:40],
)
def test_anything_else_that_is_wrong_consumes_its_seq(rest: tuple[Any, ...]) -> None:
    error = error_of(packed(rest[0], 5, *rest[1:]))
    assert (type(error), error.seq, error.consumes_seq) == (InvalidArgument, 5, True)
    assert len(error.message) < 200


@pytest.mark.parametrize(
    ("n", "client_ms"), [(-1, 0), (0, -1), (2**53, 0), (0, 2**53), (1.0, 0), (0, 1.5), (True, 0), (None, 0), (0, "1")]
)
def test_a_ping_is_no_operation_even_when_it_is_wrong(n: Any, client_ms: Any) -> None:
    error = error_of(packed(4, n, client_ms))
    assert (type(error), error.seq) == (InvalidArgument, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lineage": bytes(15)},
        {"lineage": bytes(17)},
        {"lineage": "AAECAwQFBgcICQoLDA0ODw=="},
        {"lineage": None},
        {"device": 1},
        {"device": "x" * 129},
        {"client": None},
        {"client": "x" * 129},
        {"token": 5},
        {"token": b"eyJ"},
        {"token": None},
        {"init_data": "user=1"},
        {"channels": []},
        {"channels": {"player": 5}},
        {"channels": {"player": [1]}},
        {"channels": {"player": [1, -1]}},
        {"channels": {"player": [1, 2**53]}},
        {"channels": {"player": [True, 1]}},
        {"channels": {"x" * 65: [1, 1]}},
        {"channels": {1: [1, 1]}},
        {"channels": {f"c{n}": [1, 1] for n in range(65)}},
    ],
    ids=lambda wrong: repr(wrong)[:40],
)
def test_a_hello_with_a_wrong_map(wrong: dict[str, Any]) -> None:
    error = error_of(packed(1, 0, HELLO_MAP | wrong))
    assert (type(error), error.seq) == (BadHello, 0)


@pytest.mark.parametrize("missing", ["lineage", "device", "client", "token"])
def test_a_hello_that_lacks_something(missing: str) -> None:
    hello = {key: value for key, value in HELLO_MAP.items() if key != missing}
    assert type(error_of(packed(1, 0, hello))) is BadHello


@pytest.mark.parametrize(("seq", "body"), [(1, HELLO_MAP), (False, HELLO_MAP), (0.0, HELLO_MAP), (0, []), (0, None)])
def test_a_hello_of_the_wrong_shape(seq: Any, body: Any) -> None:
    assert type(error_of(packed(1, seq, body))) is BadHello


# ---- what the server says

SERVER = {
    "welcome": (
        WELCOME,
        [
            64,
            0,
            {
                "session": "s",
                "player": "p",
                "applied_seq": 3,
                "durable_seq": 2,
                "channels": {"player": {"epoch": 1, "offset": 4, "recovered": True}},
                "now_ms": 1_767_225_600_000,
                "ping_s": 25,
                "limits": {"frame_bytes": 4096, "taps_per_frame": 100, "taps_per_s": 15, "burst": 40},
                "state": {
                    "tokens": 2**53 - 1,
                    "xp": 100,
                    "level": 2,
                    "rank": "Novice",
                    "energy": 990,
                    "energy_cap": 1000,
                    "energy_regen_mps": 1000,
                    "combo": 10,
                    "generation": 1,
                    "tap_level": 1,
                    "multiplier_bp": 15_000,
                    "streak": 0,
                    "energy_cap_level": 1,
                    "energy_regen_level": 1,
                    "offline_level": 0,
                    "double_until_ms": 0,
                },
            },
        ],
    ),
    "tapped": (Tapped(5, 10, 15_000, 10, 1, 990, 10, 4), [65, 5, 10, 15_000, 10, 1, 990, 10, 4]),
    "result": (Result(5, {"a": [1]}, 4), [66, 5, {"a": [1]}, 4]),
    "error": (
        ErrorFrame.of(InvalidArgument("no"), 5),
        [67, 5, 5, "invalid_argument", "no", 0],
    ),
    "pong": (Pong(1, 2, 3), [68, 1, 2, 3]),
    "event": (Event("player", 9, "x", {"y": 1}), [69, "player", 9, "x", {"y": 1}]),
    "durable": (Durable(2**32 - 2), [70, 2**32 - 2]),
    "goodbye": (Goodbye(4001, "moved", 50, "ws://b/ws"), [71, 4001, "moved", 50, "ws://b/ws"]),
    "goodbye without url": (Goodbye(4000, "drain", 50), [71, 4000, "drain", 50, None]),
}


@pytest.mark.parametrize(("message", "frame"), SERVER.values(), ids=SERVER.keys())
def test_server_frames_are_as_the_protocol_says(message: ServerMessage, frame: list[Any]) -> None:
    assert unpack(encode(message)) == frame
    assert decode_server(pack(frame)) == message


def test_results_and_events_may_hold_the_structs_of_the_catalogue() -> None:
    assert unpack(encode(Event("player", 1, "level.up", LevelUp(2, 200_000)))) == [
        69,
        "player",
        1,
        "level.up",
        {"level": 2, "reward_mpt": 200_000},
    ]
    repeated = unpack(encode(Result(5, Repeated(STATE), 4)))[2]
    assert repeated["repeat"] is True
    assert State.__struct_encode_fields__ == tuple(repeated["state"])


def test_access_and_refresh_appear_only_when_there_are_any() -> None:
    assert "access" not in unpack(encode(WELCOME))[2]
    message = decode_server(packed(64, 0, unpack(encode(WELCOME))[2] | {"access": "a", "refresh": "r"}))
    assert isinstance(message, Welcome)
    assert (message.body.access, message.body.refresh) == ("a", "r")


@pytest.mark.parametrize(
    "frame",
    [[65, 5], [65, 5, 101, 0, 0, 1, 0, 0, 0], [2, 5, 10, 100], [70, -1], [66, 5, {}, 2**53], "x", [70, True]],
    ids=repr,
)
def test_what_no_server_says_is_malformed(frame: Any) -> None:
    with pytest.raises(Malformed):
        decode_server(pack(frame))


@pytest.mark.parametrize(
    ("message", "frame"),
    [
        (Hello(body=HelloBody(bytes(range(16)), "d1", "web/1", token="eyJ")), [1, 0, HELLO_MAP]),
        (Tap(5, 10, 100), [2, 5, 10, 100]),
        (Action(5, "noop", NoArgs()), [3, 5, "noop", {}]),
        (Ping(1, 2), [4, 1, 2]),
    ],
    ids=["hello", "tap", "action", "ping"],
)
def test_client_frames_are_as_the_protocol_says(message: Hello | Tap | Action | Ping, frame: list[Any]) -> None:
    assert unpack(encode_client(message)) == frame
    assert decode_client(pack(frame)) == message
