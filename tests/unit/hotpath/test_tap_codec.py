"""TAP and TAPPED as bytes; the `msgpack` package is the independent other side."""

import struct
from types import ModuleType

import pytest

from tests.fakes.other_side import ExtType, pack

TAP = (7, 50, 1_000)
TAPPED = (7, 50, 1_234_567, 20_000, 15, 950, 120, 5)
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x1_0000, 2**32 - 1, 2**32, 2**53 - 1)

# Every way MessagePack has to write a non-negative integer that fits.
WIDTHS = {
    "uint8": lambda n: b"\xcc" + struct.pack(">B", n),
    "uint16": lambda n: b"\xcd" + struct.pack(">H", n),
    "uint32": lambda n: b"\xce" + struct.pack(">I", n),
    "uint64": lambda n: b"\xcf" + struct.pack(">Q", n),
    "int8": lambda n: b"\xd0" + struct.pack(">b", n),
    "int16": lambda n: b"\xd1" + struct.pack(">h", n),
    "int32": lambda n: b"\xd2" + struct.pack(">i", n),
    "int64": lambda n: b"\xd3" + struct.pack(">q", n),
}


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_a_tap_is_read_from_any_contiguous_buffer(tap_codec: ModuleType, wrap: type) -> None:
    assert tap_codec.decode_tap(wrap(pack([2, *TAP]))) == TAP


def test_a_part_of_a_larger_buffer_is_read_alone(tap_codec: ModuleType) -> None:
    frame = pack([2, *TAP])
    assert tap_codec.decode_tap(memoryview(b"\xff" + frame + b"\xff")[1:-1]) == TAP


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("position", range(4))
def test_every_integer_width_is_read(tap_codec: ModuleType, width: str, position: int) -> None:
    parts = [pack(value) for value in (2, *TAP)]
    value = (2, 7, 50, 100)[position]
    parts[position] = WIDTHS[width](value)
    expected = tuple(value if at == position else field for at, field in enumerate((2, *TAP)))
    assert tap_codec.decode_tap(b"\x94" + b"".join(parts)) == expected[1:]


@pytest.mark.parametrize("header", [b"\x94", b"\xdc\x00\x04", b"\xdd\x00\x00\x00\x04"])
def test_every_array_header_is_read(tap_codec: ModuleType, header: bytes) -> None:
    assert tap_codec.decode_tap(header + pack([2, *TAP])[1:]) == TAP


@pytest.mark.parametrize("tap", [(1, 1, 0), (2**32 - 2, 100, 600_000)])
def test_the_ends_of_the_ranges_are_good(tap_codec: ModuleType, tap: tuple[int, int, int]) -> None:
    assert tap_codec.decode_tap(pack([2, *tap])) == tap


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param([2, 0, 50, 0], id="seq 0"),
        pytest.param([2, 2**32 - 1, 50, 0], id="seq too large"),
        pytest.param([2, 2**64 - 1, 50, 0], id="seq of 64 bits"),
        pytest.param([2, -7, 50, 0], id="negative seq"),
        pytest.param([2, -(2**40), 50, 0], id="negative seq of 64 bits"),
        pytest.param([2, 7, 0, 0], id="count 0"),
        pytest.param([2, 7, 101, 0], id="count 101"),
        pytest.param([2, 7, 50, 600_001], id="dt_ms too large"),
        pytest.param([2, 7, 50, -1], id="dt_ms negative"),
        pytest.param([2, 7, 50.0, 0], id="float"),
        pytest.param([2, 7, True, 0], id="bool"),
        pytest.param([2, 7, None, 0], id="nil"),
        pytest.param([2, 7, "50", 0], id="string"),
        pytest.param([2, 7, [50], 0], id="array inside"),
        pytest.param([2, 7, ExtType(1, b"2"), 0], id="ext type"),
        pytest.param([2, 7, 50], id="array too short"),
        pytest.param([2, 7, 50, 0, 0], id="array longer than known"),
        pytest.param([3, 7, 50, 0], id="another op"),
        pytest.param([65, 7, 50, 0], id="an op of the server"),
        pytest.param({2: 7, 50: 0}, id="map"),
        pytest.param(2, id="no array"),
        pytest.param([], id="empty array"),
    ],
)
def test_whatever_is_no_valid_tap_is_left_to_the_full_codec(tap_codec: ModuleType, frame: object) -> None:
    assert tap_codec.decode_tap(pack(frame)) is None


@pytest.mark.parametrize(
    "header",
    [b"\xdc\x01\x04", b"\xdc\x00\x03", b"\xdd\x01\x00\x00\x04", b"\xdd\x00\x00\x01\x04", b"\x93", b"\x84", b"\xc1"],
)
def test_a_header_that_lies_is_refused(tap_codec: ModuleType, header: bytes) -> None:
    assert tap_codec.decode_tap(header + pack([2, *TAP])[1:]) is None


def test_every_shortened_or_lengthened_frame_is_refused(tap_codec: ModuleType) -> None:
    widest = b"\xdd\x00\x00\x00\x04" + b"".join(WIDTHS["int64"](value) for value in (2, *TAP))
    assert tap_codec.decode_tap(widest) == TAP
    for size in range(len(widest)):
        assert tap_codec.decode_tap(widest[:size]) is None
    assert tap_codec.decode_tap(widest + b"\x00") is None


@pytest.mark.parametrize("payload", ["text", 5, None, [2, 7, 50, 0]])
def test_what_is_no_buffer_is_our_own_mistake(tap_codec: ModuleType, payload: object) -> None:
    with pytest.raises(TypeError):
        tap_codec.decode_tap(payload)


@pytest.mark.parametrize("value", EDGES)
def test_what_is_written_equals_msgpack(tap_codec: ModuleType, value: int) -> None:
    assert tap_codec.encode_tap(value, value, value) == pack([2, value, value, value])
    assert tap_codec.encode_tapped(*[value] * 8) == pack([65, *[value] * 8])


def test_each_field_stands_in_its_place(tap_codec: ModuleType) -> None:
    assert tap_codec.encode_tap(*TAP) == pack([2, *TAP])
    assert tap_codec.encode_tapped(*TAPPED) == pack([65, *TAPPED])
    assert tap_codec.decode_tapped(pack([65, *TAPPED])) == TAPPED


def test_the_longest_frames_fit_their_buffers(tap_codec: ModuleType) -> None:
    largest = 2**64 - 1
    assert len(tap_codec.encode_tap(*[largest] * 3)) == tap_codec.TAP_MAX_BYTES
    assert len(tap_codec.encode_tapped(*[largest] * 8)) == tap_codec.TAPPED_MAX_BYTES


@pytest.mark.parametrize("wrong", [-1, 2**64])
def test_what_cannot_be_written_is_refused(tap_codec: ModuleType, wrong: int) -> None:
    with pytest.raises(OverflowError):
        tap_codec.encode_tap(1, wrong, 0)
    with pytest.raises(OverflowError):
        tap_codec.encode_tapped(*[1] * 7, wrong)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param([65, *TAPPED[:-1]], id="too short"),
        pytest.param([65, *TAPPED, 0], id="too long"),
        pytest.param([66, *TAPPED], id="another op"),
        pytest.param([65, *TAPPED[:-1], 2**53], id="beyond what JavaScript holds"),
        pytest.param([65, *TAPPED[:-1], -1], id="negative"),
        pytest.param([65, *TAPPED[:-1], 1.0], id="float"),
    ],
)
def test_whatever_is_no_plain_tapped_is_left_to_the_full_codec(tap_codec: ModuleType, frame: list[object]) -> None:
    assert tap_codec.decode_tapped(pack(frame)) is None


def test_the_ranges_are_those_of_the_wire(tap_codec: ModuleType) -> None:
    limits = (tap_codec.MAX_SEQ, tap_codec.MAX_TAPS_PER_FRAME, tap_codec.MAX_DT_MS, tap_codec.MAX_WIRE_INT)
    assert limits == (2**32 - 2, 100, 600_000, 2**53 - 1)
