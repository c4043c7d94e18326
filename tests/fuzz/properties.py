"""What must hold of the frame parser and the tap codec for any bytes whatever; a fuzzer calls `check`.

Shown also without a fuzzer, in `tests/property/test_fuzz_properties.py`.
"""

from hotpath import _tap_codec_py, frame_codec, tap_codec, websocket
from tests.fuzz.frames import CLOSE, TEXT, VIOLATION, Draw, Message, draw_stream

MAX_PIECES = 64


def check(data: bytes) -> None:
    """Everything that can be said about these bytes.

    Raises:
        AssertionError: a property does not hold.
    """
    draw = Draw(data)
    (_any_bytes_as_frames, _frames_that_are_known, _any_bytes_as_taps, _a_frame_comes_back)[draw.number(4)](draw)


def received(from_client: bool, max_message_bytes: int, pieces: list[bytes]) -> list[Message]:
    """What a receiver finds in bytes that come in these pieces."""
    receiver = websocket.Receiver(from_client, max_message_bytes)
    return [message for piece in pieces for message in receiver.receive(piece)]


def pieces_of(data: bytes, draw: Draw) -> list[bytes]:
    """The same bytes, cut somewhere."""
    if draw.number(4) == 0:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = sorted(draw.number(len(data) + 1) for _ in range(draw.number(MAX_PIECES)))
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _any_bytes_as_frames(draw: Draw) -> None:
    from_client, max_message_bytes = bool(draw.number(2)), (0, 125, 4_096)[draw.number(3)]
    cutting = Draw(draw.take(8))
    data = draw.rest()
    whole = received(from_client, max_message_bytes, [data])
    assert received(from_client, max_message_bytes, pieces_of(data, cutting)) == whole
    assert sum(len(payload) for _, payload, _ in whole) <= len(data)
    for at, (kind, payload, code) in enumerate(whole):
        assert kind == VIOLATION or kind in (1, 2, 8, 9, 10)
        assert (kind == VIOLATION) <= (at == len(whole) - 1), "nothing is found behind a violation"
        assert len(payload) <= (max_message_bytes if kind in (1, 2) else 125)
        if kind in (TEXT, CLOSE):
            payload.decode()
        if kind == VIOLATION:
            assert code in (1002, 1007, 1009)
        elif kind == CLOSE:
            assert 1000 <= code <= 4999


def _frames_that_are_known(draw: Draw) -> None:
    cutting = Draw(draw.take(8))
    stream = draw_stream(draw)
    data = bytes(stream.data)
    for pieces in ([data], pieces_of(data, cutting)):
        assert received(stream.from_client, stream.max_message_bytes, pieces) == stream.expected


def _any_bytes_as_taps(draw: Draw) -> None:
    payload = draw.rest()
    tap, tapped = tap_codec.decode_tap(payload), tap_codec.decode_tapped(payload)
    assert tap == _tap_codec_py.decode_tap(payload)
    assert tapped == _tap_codec_py.decode_tapped(payload)
    assert tap_codec.decode_tap(memoryview(b"\xff" + payload + b"\xff")[1:-1]) == tap
    if tap is not None:
        assert tap_codec.decode_tap(tap_codec.encode_tap(*tap)) == tap
    if tapped is not None:
        assert tap_codec.decode_tapped(tap_codec.encode_tapped(*tapped)) == tapped


def _a_frame_comes_back(draw: Draw) -> None:
    opcode = (1, 2, 9, 10)[draw.number(4)]
    key = int.from_bytes(draw.take(4), "big")
    cutting = Draw(draw.take(8))
    payload = draw.rest()
    if opcode == TEXT:
        payload = payload.decode(errors="replace").encode()
    elif opcode > CLOSE:
        payload = payload[:125]
    max_message_bytes = max(len(payload), 1)
    for from_client, data in (
        (True, frame_codec.encode_masked(opcode, payload, key)),
        (False, frame_codec.encode(opcode, payload)),
    ):
        assert received(from_client, max_message_bytes, pieces_of(data, cutting)) == [(opcode, payload, 0)]
