"""hotpath.websocket and frame_codec: the same events however a stream is cut, and those that wsproto finds in it."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol, Opcode, ParseFailed

from hotpath import frame_codec
from hotpath.frame_codec import BINARY, CLOSE, CONTINUATION, NO_CODE, PING, PONG, TEXT
from hotpath.websocket import VIOLATION, Receiver
from tests.fakes.raw_websocket import frame

Event = tuple[int, bytes, int]  #: kind, payload, code

NO_LIMIT = 1 << 62
TOO_BIG = 1009
#: In IANA's registry of close codes, but not in wsproto.
UNKNOWN_TO_WSPROTO = 1014
#: wsproto looks at some bytes only when it has more: what completes a header, or begins a payload, and is nothing
#: that could be wrong by itself.
TAILS = (b"\x80", b"\0", b"\xff\xff", b"\0\0\0\0\0\1\0\0", b"\0\0\0\0", b"\0\0\0\0\0", b"\x80\0\0\0\0\0")

GOOD_CODES = st.sampled_from([1000, 1001, 1002, 1003, *range(1007, 1014), 3000, 3999, 4000, 4999])
CODES = GOOD_CODES | st.integers(0, 65_535) | st.sampled_from([1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000])
KEYS = st.binary(min_size=4, max_size=4)
LENGTHS = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536]).map(
    lambda length: (b"0123456789abcdef" * 4_097)[:length]
)
CONTROL_PAYLOADS = st.binary(max_size=20) | st.just(bytes(125))
ALMOST_TEXT = st.text(max_size=12).map(str.encode) | st.sampled_from(
    [
        b"\xc0\xaf",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xed\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf4\x8f",
    ]
)


@st.composite
def control_frames(draw: st.DrawFn, masked: bool) -> tuple[bytes, list[Event]]:
    """A ping or pong, and what is to be found in it."""
    opcode, payload = draw(st.sampled_from([PING, PONG])), draw(CONTROL_PAYLOADS)
    return frame(opcode, payload, masked=masked, key=draw(KEYS)), [(opcode, payload, 0)]


@st.composite
def messages(draw: st.DrawFn, masked: bool) -> tuple[bytes, list[Event]]:
    """A message in any fragments, with control frames between them, and what is to be found in it."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(LENGTHS | (st.text(max_size=40).map(str.encode) if opcode == TEXT else st.binary(max_size=40)))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    stream, events = b"", list[Event]()
    bounds = list(pairwise([0, *cuts, len(payload)]))
    for number, (start, end) in enumerate(bounds):
        if number and draw(st.booleans()):
            control, found = draw(control_frames(masked))
            stream, events = stream + control, events + found
        last = number == len(bounds) - 1
        piece = payload[start:end]
        stream += frame(CONTINUATION if number else opcode, piece, fin=last, masked=masked, key=draw(KEYS))
    return stream, [*events, (opcode, payload, 0)]


@st.composite
def endings(draw: st.DrawFn, masked: bool) -> tuple[bytes, list[Event]]:
    """A close frame, or none."""
    code, reason = draw(GOOD_CODES), draw(st.text(max_size=30)).encode()
    ends: list[tuple[bytes, list[Event]]] = [
        (b"", []),
        (frame(CLOSE, masked=masked), [(CLOSE, b"", NO_CODE)]),
        (frame(CLOSE, code.to_bytes(2, "big") + reason, masked=masked), [(CLOSE, reason, code)]),
    ]
    return draw(st.sampled_from(ends))


@st.composite
def good_streams(draw: st.DrawFn, masked: bool = True) -> tuple[bytes, list[Event]]:
    """Legal frames, and what is to be found in them."""
    parts = draw(st.lists(messages(masked) | control_frames(masked), max_size=5))
    parts.append(draw(endings(masked)))
    return b"".join(data for data, _ in parts), [event for _, events in parts for event in events]


@st.composite
def any_frames(draw: st.DrawFn, masked: bool) -> bytes:
    """A frame that may break any rule, most of them rarely."""
    opcode = draw(st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] * 3) | st.integers(0, 15))
    payload = draw(st.binary(max_size=20) | ALMOST_TEXT | LENGTHS)
    if opcode == CLOSE:
        payload = draw(
            st.builds(lambda code, reason: code.to_bytes(2, "big") + reason, CODES, ALMOST_TEXT) | st.just(payload)
        )
    return frame(
        opcode,
        payload,
        fin=draw(st.sampled_from([True, True, False])),
        masked=draw(st.sampled_from([masked] * 9 + [not masked])),
        rsv=draw(st.sampled_from([0] * 9 + [1, 2, 4])),
        key=draw(KEYS),
        length_bits=draw(st.sampled_from([None] * 9 + [64])),
    )


@st.composite
def any_streams(draw: st.DrawFn, masked: bool = True) -> bytes:
    """Legal and illegal frames in a row, some of their bytes changed, and the end missing."""
    parts = st.lists(any_frames(masked) | good_streams(masked).map(lambda made: made[0]), max_size=4)
    data = bytearray(b"".join(draw(parts)))
    if data:
        # Near the front, where the headers are: what is behind 65 536 bytes is hardly ever reached.
        for at, byte in draw(
            st.lists(st.tuples(st.integers(0, min(len(data), 300) - 1), st.integers(0, 255)), max_size=3)
        ):
            data[at] = byte
        if draw(st.booleans()):
            del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


def found(pieces: Iterable[bytes], *, from_client: bool = True, max_message_bytes: int = NO_LIMIT) -> list[Event]:
    """What the receiver finds in `pieces`, up to the end of the connection."""
    receiver = Receiver(from_client, max_message_bytes)
    return until_the_end([event for piece in pieces for event in receiver.receive(piece)])


def until_the_end(events: Sequence[Event]) -> list[Event]:
    """Up to the first close frame or violation."""
    end = next((at for at, (kind, _, _) in enumerate(events) if kind in (CLOSE, VIOLATION)), len(events))
    return list(events[: end + 1])


def wsproto_found(data: bytes, *, from_client: bool) -> list[Event]:
    """What wsproto finds in the same bytes."""
    protocol = FrameProtocol(client=not from_client, extensions=[])
    protocol.receive_bytes(data)
    events: list[Event] = []
    message = b""
    try:
        for part in protocol.received_frames():
            if isinstance(part.payload, tuple):
                code, reason = part.payload
                return [*events, (CLOSE, reason.encode(), int(code))]
            payload = part.payload.encode() if isinstance(part.payload, str) else bytes(part.payload)
            if part.opcode in (Opcode.PING, Opcode.PONG):
                events.append((int(part.opcode), payload, 0))
                continue
            message += payload
            if part.message_finished:
                events.append((int(part.opcode), message, 0))
                message = b""
    except ParseFailed as error:
        events.append((VIOLATION, b"", int(error.code)))
    return events


def pieces_of(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """`data`, cut at `cuts`."""
    return [data[start:end] for start, end in pairwise([0, *sorted(cuts), len(data)])]


def assert_no_cut_matters(data: bytes, cuts: Iterable[int], max_message_bytes: int = NO_LIMIT) -> None:
    whole = found([data], max_message_bytes=max_message_bytes)
    assert found(pieces_of(data, cuts), max_message_bytes=max_message_bytes) == whole
    if len(data) <= 300:
        octets = [bytes((byte,)) for byte in data]
        assert found(octets, max_message_bytes=max_message_bytes) == whole
        for at in range(len(data)):
            assert found([data[:at], data[at:]], max_message_bytes=max_message_bytes) == whole, at


@given(st.data())
def test_what_is_in_a_good_stream_is_found(data: st.DataObject) -> None:
    for from_client in (True, False):
        stream, events = data.draw(good_streams(masked=from_client))
        assert found([stream], from_client=from_client) == events
        assert wsproto_found(stream, from_client=from_client) == events


@given(good_streams(), st.lists(st.integers(0, 70_000), max_size=6))
def test_no_cut_of_a_good_stream_matters(made: tuple[bytes, list[Event]], cuts: list[int]) -> None:
    assert_no_cut_matters(made[0], [at for at in cuts if at <= len(made[0])])


@given(
    any_streams() | st.binary(max_size=60),
    st.lists(st.integers(0, 400), max_size=6),
    st.sampled_from([NO_LIMIT, 125, 16]),
)
@example(frame(TEXT, b"\xed\xa0\x80"), [], NO_LIMIT)
@example(frame(BINARY, bytes(200), fin=False), [], 125)
def test_no_cut_of_any_stream_matters(data: bytes, cuts: list[int], max_message_bytes: int) -> None:
    assert_no_cut_matters(data, [at for at in cuts if at <= len(data)], max_message_bytes)


def assert_as_wsproto(data: bytes, from_client: bool) -> None:
    ours, theirs = found([data], from_client=from_client), wsproto_found(data, from_client=from_client)
    if ours == theirs:
        return
    assert ours, theirs
    *before, (kind, _, code) = ours
    if (kind, code) == (CLOSE, UNKNOWN_TO_WSPROTO):
        assert theirs == [*before, (VIOLATION, b"", 1002)]
        return
    assert kind == VIOLATION
    assert before == theirs, "nothing but a violation may be seen earlier than wsproto sees it"
    if code != TOO_BIG:  # else a length that cannot be real, for which wsproto waits
        assert any(wsproto_found(data + tail, from_client=from_client) == ours for tail in TAILS)


@given(st.data(), st.booleans())
def test_any_stream_is_read_as_wsproto_reads_it(data: st.DataObject, from_client: bool) -> None:
    assert_as_wsproto(data.draw(any_streams(masked=from_client) | st.binary(max_size=60)), from_client)


@pytest.mark.parametrize("from_client", [True, False])
def test_every_header_is_read_as_wsproto_reads_it(from_client: bool) -> None:
    for first in range(256):
        for second in range(256):
            assert_as_wsproto(bytes((first, second)), from_client)
            assert_as_wsproto(bytes((first, second)) + bytes(140), from_client)
            assert_as_wsproto(bytes((first, second)) + b"\1" * 140, from_client)


def test_every_close_code_is_judged_as_wsproto_judges_it() -> None:
    for code in range(1 << 16):
        assert_as_wsproto(frame(CLOSE, code.to_bytes(2, "big")), from_client=True)


def test_every_start_of_a_character_is_judged_as_wsproto_judges_it() -> None:
    follow = (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    for first in range(0x80, 0x100):
        for second in follow:
            for third in follow:
                payload = bytes((first, second, third, 0x80))
                assert_as_wsproto(frame(TEXT, payload), from_client=True)
                for length in range(1, 5):  # as it arrives, within a frame that has not ended
                    data = frame(TEXT, payload[:length], declared_bytes=100)
                    if length == 2 and first == 0xED and 0xA0 <= second <= 0xBF:  # Python waits for its third byte
                        assert found([data]) == [(VIOLATION, b"", 1007)]
                    else:
                        assert found([data]) == wsproto_found(data, from_client=True), payload[:length]


@given(good_streams(), st.integers(1, 200))
def test_a_message_over_the_limit_ends_the_connection_and_no_other_does(
    made: tuple[bytes, list[Event]], max_message_bytes: int
) -> None:
    stream, events = made
    limited = found([stream], max_message_bytes=max_message_bytes)
    is_over = [kind in (TEXT, BINARY) and len(payload) > max_message_bytes for kind, payload, _ in events]
    if any(is_over):
        *before, last = limited
        assert last == (VIOLATION, b"", TOO_BIG)
        assert before == events[: len(before)]
        assert len(before) <= is_over.index(True)
    else:
        assert limited == events


@given(any_streams(), any_streams())
def test_after_a_violation_nothing_is_found(data: bytes, more: bytes) -> None:
    receiver = Receiver(True, NO_LIMIT)
    events = receiver.receive(data)
    if events and events[-1][0] == VIOLATION:
        assert receiver.receive(more) == []
    assert [kind for kind, _, _ in events].count(VIOLATION) <= 1


@given(
    st.sampled_from([TEXT, BINARY, PING, PONG]),
    st.text(max_size=40) | st.sampled_from([125, 126, 65_535, 65_536]),
    st.integers(0, 2**32 - 1),
)
def test_what_is_encoded_is_found(opcode: int, made: str | int, key: int) -> None:
    payload = made.encode()[:125] if opcode in (PING, PONG) and isinstance(made, str) else b"x" * 125
    if opcode not in (PING, PONG):
        payload = made.encode() if isinstance(made, str) else b"x" * made
    server, client = frame_codec.encode(opcode, payload), frame_codec.encode_masked(opcode, payload, key)
    assert found([server], from_client=False) == wsproto_found(server, from_client=False) == [(opcode, payload, 0)]
    assert found([client]) == wsproto_found(client, from_client=True) == [(opcode, payload, 0)]
    assert server == frame(opcode, payload, masked=False)
    assert key == 0 or len(payload) < 8 or payload not in client, "the key is used"


@given(GOOD_CODES, st.text(max_size=200))
def test_a_close_frame_is_found_with_as_much_of_its_reason_as_fits(code: int, reason: str) -> None:
    [(kind, said, said_code)] = wsproto_found(frame_codec.encode_close(code, reason), from_client=False)
    assert (kind, said_code) == (CLOSE, code)
    assert reason.encode().startswith(said)
    assert len(said) >= min(len(reason.encode()), 120)
    said.decode()


def test_a_close_frame_without_a_code_is_empty() -> None:
    assert frame_codec.encode_close(NO_CODE, "why?") == b"\x88\0"
