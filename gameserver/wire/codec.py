"""Bytes to messages and back; the table "Errors" of the wire protocol in code.

`decode_client` judges in this order, and the first that fails decides:

1. well-formed MessagePack, an array, an int op, long enough for its op → `Malformed`, seq 0
2. a client's op, a good seq → `InvalidArgument`, seq 0
3. everything else → `InvalidArgument` with the seq, which it consumes

Elements beyond the known ones and unknown map keys are ignored; of a key that comes twice the last counts. The
compiled tap codec in hotpath judges the same bytes equally.
"""

from typing import Any, Final, TypeVar

import msgspec

from gameserver.errors import InvalidArgument, Malformed
from gameserver.wire.catalogue import ACTIONS
from gameserver.wire.messages import (
    Action,
    ClientMessage,
    Hello,
    HelloBody,
    Ping,
    ServerMessage,
    Tap,
)
from gameserver.wire.ops import MAX_DT_MS, MAX_SAFE_INT, MAX_SEQ, MAX_TAPS_PER_FRAME, Op
from gameserver.wire.wellformed import check_wellformed

_ENCODER: Final = msgspec.msgpack.Encoder()
_VALUES: Final = msgspec.msgpack.Decoder()
_SERVER: Final[msgspec.msgpack.Decoder[ServerMessage]] = msgspec.msgpack.Decoder(ServerMessage)

_S = TypeVar("_S", bound=msgspec.Struct)

#: Elements of a client's frame, op included.
_FRAME_LENGTHS: Final[dict[int, int]] = {Op.HELLO: 3, Op.TAP: 4, Op.ACTION: 4, Op.PING: 3}


class BadHello(InvalidArgument):
    """A HELLO whose seq or map is not right: 4500 as the first frame, 1002 like any other second HELLO."""


def decode_client(payload: bytes) -> ClientMessage:
    """One message of a client.

    Args:
        payload: a complete binary message. Its size is the transport's to limit; the work is proportional to it.

    Returns:
        The message; `Action.args` is an instance of the catalogue's struct.

    Raises:
        Malformed: no frame of this protocol; nothing is consumed.
        InvalidArgument: a frame with something wrong in it; `consumes_seq` says whether its operation is used up.
        BadHello: the same in a HELLO.
    """
    check_wellformed(payload)
    frame = _VALUES.decode(payload)
    if type(frame) is not list:
        raise Malformed("a frame is an array")
    if not frame or type(frame[0]) is not int:
        raise Malformed("a frame begins with its op, an integer")
    length = _FRAME_LENGTHS.get(frame[0])
    if length is None:
        raise InvalidArgument(f"unknown op {frame[0]}")
    if len(frame) < length:
        raise Malformed(f"a frame of op {frame[0]} has {length} elements, not {len(frame)}")
    match frame[0]:
        case Op.TAP:
            return _tap(frame)
        case Op.ACTION:
            return _action(frame)
        case Op.PING:
            return _ping(frame)
        case _:
            return _hello(frame)


def encode(message: ServerMessage) -> bytes:
    """One frame of the server. Integers are the caller's to keep within 2^53; the message types say which those are."""
    return _ENCODER.encode(message)


def encode_client(message: ClientMessage) -> bytes:
    """One frame of a client."""
    return _ENCODER.encode(message)


def decode_server(payload: bytes) -> ServerMessage:
    """One message of the server, as a client reads it; events and results hold plain maps.

    Raises:
        Malformed: not a frame that a server of this version sends.
    """
    check_wellformed(payload)
    try:
        return _SERVER.decode(payload)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a frame of the server: {error}") from None


def _tap(frame: list[Any]) -> Tap:
    seq = _seq(frame[1])
    count, dt_ms = frame[2], frame[3]
    if not _is_int(count, 1, MAX_TAPS_PER_FRAME):
        raise InvalidArgument(f"count is an integer, 1 to {MAX_TAPS_PER_FRAME}", seq=seq)
    if not _is_int(dt_ms, 0, MAX_DT_MS):
        raise InvalidArgument(f"dt_ms is an integer, 0 to {MAX_DT_MS}", seq=seq)
    return Tap(seq, count, dt_ms)


def _action(frame: list[Any]) -> Action:
    seq = _seq(frame[1])
    name, args = frame[2], frame[3]
    if type(name) is not str:
        raise InvalidArgument("the name of an action is a string", seq=seq)
    spec = ACTIONS.get(name)
    if spec is None:
        raise InvalidArgument(f"unknown action {name[:64]!r}", seq=seq)
    if type(args) is not dict:
        raise InvalidArgument(f"the arguments of {name} are a map", seq=seq)
    try:
        return Action(seq, name, _struct(args, spec.args))
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"{name}: {error}", seq=seq) from None


def _ping(frame: list[Any]) -> Ping:
    n, client_ms = frame[1], frame[2]
    if not _is_int(n, 0, MAX_SAFE_INT) or not _is_int(client_ms, 0, MAX_SAFE_INT):
        raise InvalidArgument("n and client_ms of a PING are integers, 0 to 2^53 - 1")
    return Ping(n, client_ms)


def _hello(frame: list[Any]) -> Hello:
    if not _is_int(frame[1], 0, 0):
        raise BadHello("the seq of HELLO is 0")
    if type(frame[2]) is not dict:
        raise BadHello("HELLO holds a map")
    try:
        body = _struct(frame[2], HelloBody)
    except msgspec.ValidationError as error:
        raise BadHello(f"HELLO: {error}") from None
    if (body.token is None) == (body.init_data is None):
        raise BadHello("HELLO holds either token or init_data")
    return Hello(body=body)


def _seq(value: Any) -> int:
    if not _is_int(value, 1, MAX_SEQ):
        raise InvalidArgument("seq is an integer, 1 to 2^32 - 2")
    seq: int = value
    return seq


def _is_int(value: Any, least: int, most: int) -> bool:
    """Whether it is an integer within bounds; a boolean is none."""
    return type(value) is int and least <= value <= most


def _struct(values: dict[Any, Any], struct: type[_S]) -> _S:
    # msgspec wants every key to be a string; a key that is none cannot be known, and what is unknown is ignored.
    named = {key: value for key, value in values.items() if type(key) is str}
    return msgspec.convert(named, struct, builtin_types=(bytes,))
