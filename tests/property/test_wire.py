"""Any bytes at all either decode or raise one of two errors; what is encoded comes back; the fast tap codec agrees."""

import contextlib
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from gameserver.errors import InvalidArgument, Malformed, WireError
from gameserver.wire.catalogue import ACTIONS, MIN_TRANSFER_MPT, TransferOrder
from gameserver.wire.codec import decode_client, decode_server, encode, encode_client
from gameserver.wire.messages import (
    Action,
    ChannelState,
    ClientMessage,
    Durable,
    ErrorFrame,
    Event,
    Goodbye,
    Hello,
    HelloBody,
    Limits,
    Ping,
    Pong,
    Position,
    Result,
    ServerMessage,
    State,
    Tap,
    Tapped,
    Welcome,
    WelcomeBody,
)
from hotpath import tap_codec
from tests.fakes.other_side import ExtType, Timestamp, pack, unpack

whole = st.integers(0, 2**53 - 1)
seqs = st.integers(1, 2**32 - 2)
cursors = st.integers(0, 2**32 - 2)
codes = st.integers(0, 65_535)
text = st.text(max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | text | st.binary(max_size=20)
exts = st.builds(ExtType, st.integers(0, 127), st.binary(max_size=17)) | st.builds(
    Timestamp, st.integers(0, 2**40), st.integers(0, 999_999_999)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text | st.integers(0, 9), inner, max_size=4),
    max_leaves=12,
)
maps = st.dictionaries(
    text,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | text | st.binary(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=8,
    ),
    max_size=4,
)

hello_bodies = st.builds(
    HelloBody,
    lineage=st.binary(min_size=16, max_size=16),
    device=text,
    client=text,
    token=text,
    channels=st.dictionaries(text, st.builds(Position, whole, whole), max_size=4),
)
taps = st.builds(Tap, seqs, st.integers(1, 100), st.integers(0, 600_000))
#: Arguments with bounds, of which `from_type` knows nothing.
BOUNDED = {"transfer.send": st.builds(TransferOrder, text, st.integers(MIN_TRANSFER_MPT, 2**53 - 1))}
actions = st.sampled_from(sorted(ACTIONS)).flatmap(
    lambda name: st.builds(Action, seqs, st.just(name), BOUNDED.get(name, st.from_type(ACTIONS[name].args)))
)
client_messages = st.one_of(st.builds(Hello, body=hello_bodies), taps, actions, st.builds(Ping, whole, whole))

states = st.builds(State, *[whole] * 3, text, *[whole] * 12)
welcomes = st.builds(
    WelcomeBody,
    session=text,
    player=text,
    applied_seq=cursors,
    durable_seq=cursors,
    channels=st.dictionaries(text, st.builds(ChannelState, whole, whole, st.booleans()), max_size=3),
    now_ms=whole,
    ping_s=whole,
    limits=st.builds(Limits, whole, whole, whole, whole),
    state=states,
    access=st.none() | text,
    refresh=st.none() | text,
)
server_messages = st.one_of(
    st.builds(Welcome, body=welcomes),
    st.builds(Tapped, seqs, st.integers(0, 100), *[whole] * 5, cursors),
    st.builds(Result, seqs, maps, cursors),
    st.builds(ErrorFrame, cursors, codes, text, text, whole),
    st.builds(Pong, whole, whole, whole),
    st.builds(Event, text, whole, text, maps),
    st.builds(Durable, cursors),
    st.builds(Goodbye, codes, text, whole, st.none() | text),
)


@st.composite
def spoilt_frames(draw: st.DrawFn) -> bytes:
    """A good frame with some bytes changed, cut out or put in."""
    payload = bytearray(encode_client(draw(client_messages)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(payload)))
        until = min(len(payload), at + draw(st.integers(0, 3)))
        payload[at:until] = draw(st.binary(max_size=3))
    return bytes(payload)


@st.composite
def near_frames(draw: st.DrawFn) -> bytes:
    """An array that begins with an op, of anything MessagePack can hold."""
    frame = [draw(st.integers(0, 5) | scalars), *draw(st.lists(values | seqs | st.just("noop") | exts, max_size=5))]
    return pack(frame)


payloads = st.one_of(st.binary(max_size=200), spoilt_frames(), near_frames())


def judge(payload: bytes) -> ClientMessage | WireError:
    try:
        return decode_client(payload)
    except (Malformed, InvalidArgument) as error:
        return error


@given(client_messages)
def test_client_messages_come_back(message: ClientMessage) -> None:
    assert decode_client(encode_client(message)) == message


@given(server_messages)
def test_server_messages_come_back(message: ServerMessage) -> None:
    assert decode_server(encode(message)) == message


@given(st.one_of(client_messages.map(encode_client), server_messages.map(encode)))
def test_an_independent_reader_writes_the_same_frame_again(payload: bytes) -> None:
    frame = unpack(payload)
    again = pack(frame)
    assert isinstance(frame, list)
    if frame[0] < 64:
        assert decode_client(again) == decode_client(payload)
    else:
        assert decode_server(again) == decode_server(payload)


@given(payloads)
@example(b"\x91" * 4_096)
@example(b"\x81" * 4_096)
@example(b"\xdd\xff\xff\xff\xff" * 800)
@example(b"\x94\x03\x05\xa4noop\xdf\xff\xff\xff\xff")
@example(b"\x93\x01\x00\x81\xa7lineage\xc6\xff\xff\xff\xff")
def test_any_bytes_decode_or_are_refused_and_nothing_else(payload: bytes) -> None:
    verdict = judge(payload)
    if isinstance(verdict, Malformed):
        assert verdict.seq == 0
    elif isinstance(verdict, InvalidArgument) and verdict.seq:
        frame = unpack(payload)
        assert frame[0] in (2, 3)
        assert frame[1] == verdict.seq


@given(payloads)
def test_any_bytes_from_a_server_decode_or_are_malformed(payload: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(decode_server(payload), ServerMessage)


@given(near_frames())
def test_what_is_malformed_is_what_an_independent_reader_says(payload: bytes) -> None:
    frame: Any = unpack(payload)

    def has_ext(value: Any) -> bool:
        if isinstance(value, dict):
            return any(map(has_ext, value.values()))
        if isinstance(value, list):
            return any(map(has_ext, value))
        return isinstance(value, ExtType | Timestamp)

    op = frame[0]
    lengths = {1: 3, 2: 4, 3: 4, 4: 3}
    malformed = has_ext(frame) or type(op) is not int or len(frame) < lengths.get(op, 1)
    assert isinstance(judge(payload), Malformed) == malformed


def int_bytes(value: int) -> st.SearchStrategy[bytes]:
    """Every way to write an integer that holds it."""
    wide = [b"\xcf" + (value % 2**64).to_bytes(8)] if value >= 0 else []
    if -(2**63) <= value < 2**63:
        wide.append(b"\xd3" + value.to_bytes(8, signed=True))
    if 0 <= value < 2**32:
        wide.append(b"\xce" + value.to_bytes(4))
    if 0 <= value < 2**16:
        wide.append(b"\xcd" + value.to_bytes(2))
    return st.sampled_from([pack(value), *wide])


@st.composite
def tap_like_frames(draw: st.DrawFn) -> bytes:
    """`[2, seq, count, dt_ms]` in every width and with numbers around every limit."""
    numbers = [
        draw(st.sampled_from([2, 2, 2, 3, 66])),
        draw(st.sampled_from([0, 1, 2**31, 2**32 - 2, 2**32 - 1, 2**64 - 1, -1]) | seqs),
        draw(st.sampled_from([0, 1, 100, 101, -1, 2**63])),
        draw(st.sampled_from([0, 600_000, 600_001, -1, 2**63])),
    ]
    head = draw(st.sampled_from([b"\x94", b"\x94", b"\xdc\x00\x04", b"\xdd\x00\x00\x00\x04", b"\x93", b"\x95"]))
    return head + b"".join(draw(int_bytes(number)) for number in numbers) + draw(st.sampled_from([b"", b"", b"\x00"]))


@given(st.one_of(tap_like_frames(), taps.map(encode_client), payloads))
def test_the_fast_tap_codec_judges_the_same_bytes_equally(payload: bytes) -> None:
    fast = tap_codec.decode_tap(payload)
    verdict = judge(payload)
    if fast is not None:
        assert verdict == Tap(*fast)
    elif isinstance(verdict, Tap):  # what the fast one leaves to the full one: elements beyond the known ones
        assert len(unpack(payload)) > 4


@given(taps)
def test_the_fast_tap_codec_writes_the_same_bytes(tap: Tap) -> None:
    assert tap_codec.encode_tap(tap.seq, tap.count, tap.dt_ms) == encode_client(tap)


@given(st.builds(Tapped, seqs, st.integers(0, 100), *[whole] * 5, cursors))
def test_the_fast_tapped_codec_writes_and_reads_the_same_bytes(tapped: Tapped) -> None:
    numbers = tuple(getattr(tapped, name) for name in Tapped.__struct_fields__)
    assert tap_codec.encode_tapped(*numbers) == encode(tapped)
    assert tap_codec.decode_tapped(encode(tapped)) == numbers
