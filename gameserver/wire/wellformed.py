"""Is this exactly one MessagePack value of the kinds the protocol allows? The one judge of what is malformed.

msgspec alone cannot say: it skips unknown elements unseen, turns timestamps into dates, and answers bad UTF-8 and deep
nesting with exceptions of other families. So the bytes are walked once, without recursion and without building
anything, and what passes decodes without an error. The cost grows with the number of bytes and never with the lengths
that headers claim.
"""

from typing import Final

from gameserver.errors import Malformed
from gameserver.wire.ops import MAX_DEPTH

#: By first byte: bytes of a value whose length that byte fixes (nil, booleans, integers, floats); 0 for all others.
_FIXED_BYTES: Final = bytes(
    {0xC0: 1, 0xC2: 1, 0xC3: 1, 0xCA: 5, 0xCB: 9}.get(byte)
    or {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9}.get(byte)
    or (1 if byte < 0x80 or byte >= 0xE0 else 0)
    for byte in range(256)
)
#: By first byte: bytes of the length that follows a string, binary, array or map header.
_LENGTH_BYTES: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC4: 1, 0xC5: 2, 0xC6: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}


def check_wellformed(payload: bytes) -> None:
    """Pass silently over exactly one allowed MessagePack value.

    Args:
        payload: all bytes of the message.

    Raises:
        Malformed: truncated, trailing bytes, an ext type (timestamps included) anywhere, the reserved byte 0xc1, a
            string that is not UTF-8, an array or map as a map's key, more than `MAX_DEPTH` containers in each other.
    """
    try:
        end = _walk(payload)
    except IndexError:
        end = len(payload) + 1
    if end > len(payload):
        raise Malformed("the MessagePack value is truncated")
    if end < len(payload):
        raise Malformed(f"{len(payload) - end} bytes follow the MessagePack value")


def _walk(payload: bytes) -> int:
    """Where the value ends; beyond the payload (or `IndexError`) when it is truncated."""
    outer: list[tuple[int, bool]] = []  # what is left of the containers around the present one
    left, in_map = 1, False  # values still due in the present one; a map of n pairs has 2n
    at = 0
    while True:
        while left == 0:
            if not outer:
                return at
            left, in_map = outer.pop()
        left -= 1
        first = payload[at]
        fixed = _FIXED_BYTES[first]
        if fixed:
            at += fixed
            continue
        if 0xA0 <= first <= 0xBF:
            kind, length, at = "str", first & 0x1F, at + 1
        elif first <= 0x8F:
            kind, length, at = "map", first & 0x0F, at + 1
        elif first <= 0x9F:
            kind, length, at = "array", first & 0x0F, at + 1
        else:
            kind = _kind(first)
            body = at + 1 + _LENGTH_BYTES[first]
            if body > len(payload):
                return body
            length, at = int.from_bytes(payload[at + 1 : body], "big"), body
        if kind == "bin":
            at += length
        elif kind == "str":
            _check_utf8(payload[at : at + length])
            at += length
        else:
            if in_map and left % 2:
                raise Malformed("a map's key is an array or a map")
            if len(outer) == MAX_DEPTH:
                raise Malformed(f"more than {MAX_DEPTH} arrays and maps inside each other")
            outer.append((left, in_map))
            in_map = kind == "map"
            left = 2 * length if in_map else length


def _kind(first: int) -> str:
    """Kind of a value with a length field. Raises `Malformed` for ext types and the reserved byte."""
    if first <= 0xC6 and first >= 0xC4:
        return "bin"
    if 0xD9 <= first <= 0xDB:
        return "str"
    if first in (0xDC, 0xDD):
        return "array"
    if first in (0xDE, 0xDF):
        return "map"
    if first == 0xC1:
        raise Malformed("0xc1 is not MessagePack")
    raise Malformed("ext types are not part of the protocol")


def _check_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise Malformed("a string is not UTF-8") from None
