"""MessagePack as the `msgpack` package has it: the other side of the wire, which shares no code with ours."""

from typing import Any

import msgpack  # type: ignore[import-untyped]  # the package brings no types; this module is their one place

ExtType = msgpack.ExtType
Timestamp = msgpack.Timestamp


def pack(value: Any) -> bytes:
    """`value` in the smallest encoding."""
    payload: bytes = msgpack.packb(value)
    return payload


def unpack(payload: bytes) -> Any:
    """The one value that `payload` holds; map keys of any kind."""
    return msgpack.unpackb(payload, strict_map_key=False)
