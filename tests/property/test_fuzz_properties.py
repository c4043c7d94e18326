"""The properties that the fuzzer looks for exceptions to, over hypothesis' inputs; and that each of them can fail."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath import tap_codec, websocket
from tests.fuzz import properties
from tests.fuzz.frames import CLOSE, VIOLATION, Draw, Message, draw_stream
from tests.fuzz.properties import check, received

ANY_BYTES = st.binary(max_size=400)


@pytest.mark.parametrize("which", range(4))
@given(data=ANY_BYTES)
def test_every_property_holds(which: int, data: bytes) -> None:
    check(bytes((which,)) + data)


def inputs(count: int) -> list[bytes]:
    """The same arbitrary bytes at every run."""
    source = random.Random(6455)
    return [source.randbytes(200) for _ in range(count)]


def check_all(which: int, found: list[bytes]) -> None:
    for data in found:
        check(bytes((which,)) + data)


def test_the_streams_reach_every_kind_of_message_and_of_violation() -> None:
    expected = [message for data in inputs(1_200) for message in draw_stream(Draw(data)).expected]
    assert {kind for kind, _, _ in expected} == {VIOLATION, 1, 2, 8, 9, 10}
    assert {code for kind, _, code in expected if kind == VIOLATION} == {1002, 1007, 1009}
    assert {1000, 1005, 4999} <= {code for kind, _, code in expected if kind == CLOSE}
    assert max(len(payload) for _, payload, _ in expected) == 70_000
    check_all(1, inputs(300))


class Lossy(websocket.Receiver):
    """Forgets the last byte of what it is given."""

    def receive(self, data: bytes | bytearray | memoryview) -> list[Message]:
        return super().receive(bytes(data)[:-1])


@pytest.mark.parametrize("which", [0, 1, 3])
def test_a_receiver_that_loses_bytes_is_found(monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    monkeypatch.setattr(websocket, "Receiver", Lossy)
    with pytest.raises(AssertionError):
        check_all(which, inputs(500))


def test_a_codec_that_takes_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = tap_codec.decode_tap
    monkeypatch.setattr(tap_codec, "decode_tap", lambda payload: right(bytes(payload)[:5]))
    with pytest.raises(AssertionError):
        check(b"\x02" + b"\x94\x02\x07\x01\x00\x00")


def test_pieces_are_the_same_bytes() -> None:
    data = bytes(range(256))
    for seed in range(200):
        pieces = properties.pieces_of(data, Draw(bytes((seed, seed * 7 % 256, seed * 31 % 256, 3, 200, 9, 90))))
        assert b"".join(pieces) == data
    assert received(False, 10, [b"\x82\x01x"]) == [(2, b"x", 0)]
