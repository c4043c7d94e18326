"""The numbers of the protocol: ops, close codes and their policy, limits (wire protocol, version 1).

The error codes live beside the error tree in `gameserver.errors` and are re-exported here.
"""

import enum
from typing import Final

from gameserver.errors import ErrorCode

__all__ = ["CloseCode", "ErrorCode", "Op", "Reconnect", "goodbye_precedes", "may_reconnect", "reconnect_policy"]

SUBPROTOCOL: Final = "ppj.v1.msgpack"  #: offered by the client in the opening handshake, chosen by the server

MAX_CLIENT_FRAME_BYTES: Final = 4_096  #: one message of a client; more closes with 1009
MAX_DEPTH: Final = 128  #: arrays and maps inside each other in a client's frame; deeper is malformed
MAX_TAPS_PER_FRAME: Final = 100  #: `count` of a TAP
MAX_DT_MS: Final = 600_000  #: `dt_ms` of a TAP
MAX_SEQ: Final = 2**32 - 2  #: last `seq` of a lineage; after it the client draws a new lineage
MAX_SAFE_INT: Final = 2**53 - 1  #: largest integer that JavaScript holds exactly; none on the wire is larger
LINEAGE_BYTES: Final = 16  #: length of a lineage
MAX_LINEAGES: Final = 1_024  #: lineages of a player that the server knows; a HELLO with one more gets 4029
MAX_CHANNELS_PER_HELLO: Final = 64  #: channels a HELLO may ask to recover
MAX_CHANNEL_NAME_CHARS: Final = 64  #: name of a channel in HELLO
MAX_LABEL_CHARS: Final = 128  #: `device` and `client` of HELLO
MAX_MALFORMED_PER_SESSION: Final = 3  #: so many malformed frames in one session close it with 1007

HELLO_DEADLINE_S: Final = 5  #: time from the opening handshake to HELLO
PING_AFTER_S: Final = 25  #: silence after which the server pings
PONG_WITHIN_S: Final = 10  #: time a client has to show any life after that

OUTBOX_MAX_FRAMES: Final = 256  #: replies and lossless events that may wait for a slow reader
OUTBOX_MAX_BYTES: Final = 256 * 1024  #: the same in bytes
OUTBOX_GRACE_S: Final = 2  #: how long a slow reader may stay above either bound before 4008

RESULTS_KEPT: Final = 64  #: newest results of a lineage that a repeat can be answered with
RESULTS_KEPT_BYTES: Final = 16 * 1024  #: the same in bytes


class Op(enum.IntEnum):
    """First element of every frame."""

    # Client → server
    HELLO = 1  #: first frame: who is there, and where its queue stands
    TAP = 2  #: taps made in the last moments
    ACTION = 3  #: any other operation, by name
    PING = 4  #: answered at once, not an operation

    # Server → client
    WELCOME = 64  #: the session is live; cursor, channels, limits, state
    TAPPED = 65  #: answer to TAP
    RESULT = 66  #: answer to ACTION
    ERROR = 67  #: answer to what could not be done or understood
    PONG = 68  #: answer to PING
    EVENT = 69  #: something happened on a channel
    DURABLE = 70  #: operations up to here are committed
    GOODBYE = 71  #: the server is about to close, and why


class CloseCode(enum.IntEnum):
    """Why a socket was closed. The range is the policy: see `reconnect_policy`."""

    # RFC 6455: no GOODBYE precedes these
    NORMAL = 1000  #: the client has gone on purpose
    GOING_AWAY = 1001  #: the page or the server goes away
    PROTOCOL_ERROR = 1002  #: bad RFC 6455, or a second HELLO
    UNSUPPORTED_DATA = 1003  #: a text frame
    ABNORMAL = 1006  #: never sent: the connection broke without a close frame
    INVALID_PAYLOAD = 1007  #: bad UTF-8 in text or close reason, or the third malformed frame
    TOO_BIG = 1009  #: a message over 4 096 bytes
    INTERNAL_ERROR = 1011  #: a bug of the server in this session

    # 4000 … 4499: reconnect with full jitter after `reconnect_after_ms`
    DRAIN = 4000  #: the server is being stopped or replaced
    MOVED = 4001  #: another node has this player: reconnect to `url`
    SLOW_READER = 4008  #: the client does not read what it is sent
    OVERLOADED = 4009  #: the server has no room now
    RESYNC = 4010  #: the server dropped the player's state and loads it again: start from the next WELCOME
    TOKEN_EXPIRED = 4011  #: refresh the access token over HTTP first
    RATE_LIMITED = 4029  #: too many frames, connections or lineages

    # 4500 … 4999: stop, a person or a developer has to do something
    HELLO_REQUIRED = 4500  #: HELLO missing, late or invalid
    UNAUTHENTICATED = 4501  #: the token or init data does not verify, or was revoked
    BANNED = 4503  #: the player may not play
    TOO_MANY_SOCKETS = 4509  #: too many sockets of this player; the oldest goes
    LINEAGE_TAKEN = 4510  #: another socket said HELLO with this lineage
    CLIENT_TOO_OLD = 4526  #: reserved: below the minimum client version


class Reconnect(enum.Enum):
    """What a client does after a close."""

    BACKOFF = "reconnect with backoff"
    THRICE = "the client's bug: reconnect at most 3 times"
    JITTER = "reconnect, with full jitter after `reconnect_after_ms`"
    STOP = "stop"


_CLIENT_BUGS: Final = frozenset(
    {CloseCode.PROTOCOL_ERROR, CloseCode.UNSUPPORTED_DATA, CloseCode.INVALID_PAYLOAD, CloseCode.TOO_BIG}
)


def reconnect_policy(code: int) -> Reconnect:
    """What a client does after a close with `code`; codes that are not ours count as a broken connection."""
    if 4000 <= code <= 4499:
        return Reconnect.JITTER
    if 4500 <= code <= 4999:
        return Reconnect.STOP
    if code in _CLIENT_BUGS:
        return Reconnect.THRICE
    return Reconnect.BACKOFF


def may_reconnect(code: int) -> bool:
    """Whether a client may come back by itself at all after a close with `code`."""
    return reconnect_policy(code) is not Reconnect.STOP


def goodbye_precedes(code: int) -> bool:
    """Whether the server sends GOODBYE before it closes with `code`: before every 4xxx, before no 1xxx."""
    return 4000 <= code <= 4999
