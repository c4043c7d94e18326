"""TAP and TAPPED as MessagePack bytes, readable: the specification of `hotpath.tap_codec` (wire protocol, ops 2, 65).

The decoders know the one good shape and nothing else. They return None for everything that is not a *valid* frame, also
for what the wire protocol lets pass (extra elements), and leave it to the full codec to judge and to word the error. So
whatever they do return, the full codec would have returned too.
"""

import struct
from typing import Final

TAP_OP: Final = 2
TAPPED_OP: Final = 65
MAX_SEQ: Final = 2**32 - 2  #: the last of a lineage
MAX_TAPS_PER_FRAME: Final = 100
MAX_DT_MS: Final = 600_000
MAX_WIRE_INT: Final = 2**53 - 1  #: what JavaScript holds exactly
TAP_MAX_BYTES: Final = 29  #: header 1, op 1, three ints of ≤ 9
TAPPED_MAX_BYTES: Final = 74  #: header 1, op 1, eight ints of ≤ 9

_ARRAY_HEADERS: Final = {0xDC: ">H", 0xDD: ">I"}
_INTS: Final = {
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}


def decode_tap(payload: bytes | memoryview) -> tuple[int, int, int] | None:
    """Read exactly `[2, seq, count, dt_ms]`, integers of any width.

    Args:
        payload: one frame; a memoryview must be contiguous. Nothing of it is kept.

    Returns:
        (seq 1 … 2³² − 2, count 1 … 100, dt_ms 0 … 600 000), or None for anything else.
    """
    fields = _decode_ints(payload, 4)
    if fields is None:
        return None
    op, seq, count, dt_ms = fields
    if op != TAP_OP or not (1 <= seq <= MAX_SEQ and 1 <= count <= MAX_TAPS_PER_FRAME and 0 <= dt_ms <= MAX_DT_MS):
        return None
    return seq, count, dt_ms


def decode_tapped(payload: bytes | memoryview) -> tuple[int, int, int, int, int, int, int, int] | None:
    """Read exactly `[65, seq, accepted, tokens, xp, level, energy, combo, durable_seq]`, as a client does.

    Args:
        payload: one frame; a memoryview must be contiguous. Nothing of it is kept.

    Returns:
        The eight numbers after the op, each 0 … 2⁵³ − 1, or None for anything else.
    """
    fields = _decode_ints(payload, 9)
    if fields is None or fields[0] != TAPPED_OP or not all(0 <= value <= MAX_WIRE_INT for value in fields):
        return None
    _, seq, accepted, tokens, xp, level, energy, combo, durable_seq = fields
    return seq, accepted, tokens, xp, level, energy, combo, durable_seq


def encode_tap(seq: int, count: int, dt_ms: int) -> bytes:
    """Write `[2, seq, count, dt_ms]` in the smallest encoding.

    Ranges are not checked, so that a test client can write what a server must refuse.

    Raises:
        OverflowError: a number is outside 0 … 2⁶⁴ − 1.
    """
    return b"\x94\x02" + b"".join(map(_encode_int, (seq, count, dt_ms)))


def encode_tapped(
    seq: int, accepted: int, tokens: int, xp: int, level: int, energy: int, combo: int, durable_seq: int
) -> bytes:
    """Write `[65, seq, accepted, tokens, xp, level, energy, combo, durable_seq]` in the smallest encoding.

    Args:
        seq: of the TAP that is answered.
        accepted: how many taps counted.
        tokens: balance in mPT.
        xp: total.
        level: present level.
        energy: whole units.
        combo: taps in the present run.
        durable_seq: every operation up to it is committed.

    Raises:
        OverflowError: a number is outside 0 … 2⁶⁴ − 1.
    """
    fields = (seq, accepted, tokens, xp, level, energy, combo, durable_seq)
    return b"\x99\x41" + b"".join(map(_encode_int, fields))


def _decode_ints(payload: bytes | memoryview, length: int) -> list[int] | None:
    # The payload must be one array of `length` integers and not a byte more.
    data = memoryview(payload).tobytes()
    try:
        head = data[0]
        if head in _ARRAY_HEADERS:
            shape = _ARRAY_HEADERS[head]
            (found,) = struct.unpack_from(shape, data, 1)
            at = 1 + struct.calcsize(shape)
        else:
            found, at = head - 0x90, 1
        if found != length:
            return None
        fields: list[int] = []
        for _ in range(length):
            head = data[at]
            at += 1
            if head <= 0x7F:
                fields.append(head)
            elif head >= 0xE0:
                fields.append(head - 0x100)
            elif head in _INTS:
                fields.append(struct.unpack_from(_INTS[head], data, at)[0])
                at += struct.calcsize(_INTS[head])
            else:
                return None
    except (IndexError, struct.error):  # the bytes end too early
        return None
    return fields if at == len(data) else None


def _encode_int(value: int) -> bytes:
    if not 0 <= value < 2**64:
        raise OverflowError(f"{value} does not fit 64 bits without a sign")
    if value < 0x80:
        return bytes((value,))
    for head in (0xCC, 0xCD, 0xCE):
        if value < 1 << 8 * struct.calcsize(_INTS[head]):
            return bytes((head,)) + struct.pack(_INTS[head], value)
    return b"\xcf" + struct.pack(">Q", value)
