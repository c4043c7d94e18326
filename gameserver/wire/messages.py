"""The frames as typed messages. Attribute order is wire order; attribute names carry units.

A frame is an array `[op, seq, …]`, so its struct is `array_like` and tagged by its op. The maps inside (HELLO and
WELCOME bodies, limits, state) are plain structs whose fields may grow: unknown keys are ignored on both sides. Ranges
are part of the types; `codec.decode_client` and `codec.decode_server` enforce them. The descriptions feed docs/wire.md.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from gameserver.errors import WireError
from gameserver.wire.ops import (
    LINEAGE_BYTES,
    MAX_CHANNEL_NAME_CHARS,
    MAX_CHANNELS_PER_HELLO,
    MAX_DT_MS,
    MAX_LABEL_CHARS,
    MAX_SAFE_INT,
    MAX_SEQ,
    MAX_TAPS_PER_FRAME,
    Op,
)

Whole = Annotated[int, Meta(ge=0, le=MAX_SAFE_INT)]
Seq = Annotated[int, Meta(ge=1, le=MAX_SEQ)]
Cursor = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
Code = Annotated[int, Meta(ge=0, le=65_535)]
Label = Annotated[str, Meta(max_length=MAX_LABEL_CHARS)]
ChannelName = Annotated[str, Meta(max_length=MAX_CHANNEL_NAME_CHARS)]


# ---- client → server


class Position(Struct, frozen=True, array_like=True):
    """How far a client has followed a channel: `[epoch, offset]`."""

    epoch: Whole
    offset: Whole


class HelloBody(Struct, frozen=True, omit_defaults=True):
    """Map of HELLO; exactly one of `token` and `init_data` is there."""

    lineage: Annotated[
        bytes,
        Meta(
            min_length=LINEAGE_BYTES,
            max_length=LINEAGE_BYTES,
            description="random name of the client's queue of operations, kept with the queue",
        ),
    ]
    device: Annotated[Label, Meta(description="the device, stable over restarts of the page")]
    client: Annotated[Label, Meta(description="name and version of the client program")]
    token: Annotated[str | None, Meta(description="access token from `/auth/…`")] = None
    init_data: Annotated[str | None, Meta(description="Telegram's raw `initData` instead of a token")] = None
    channels: Annotated[
        dict[ChannelName, Position],
        Meta(
            max_length=MAX_CHANNELS_PER_HELLO,
            description="`name: [epoch, offset]` of channels to recover; may be left out",
        ),
    ] = field(default_factory=dict)


class Hello(Struct, frozen=True, array_like=True, tag=int(Op.HELLO), kw_only=True):
    """First frame of a connection."""

    seq: Annotated[int, Meta(ge=0, le=0)] = 0
    body: HelloBody


class Tap(Struct, frozen=True, array_like=True, tag=int(Op.TAP)):
    """Taps made in the last moments."""

    seq: Seq
    count: Annotated[int, Meta(ge=1, le=MAX_TAPS_PER_FRAME)]
    dt_ms: Annotated[int, Meta(ge=0, le=MAX_DT_MS)]  #: what they took; nothing is decided by it


class Action(Struct, frozen=True, array_like=True, tag=int(Op.ACTION)):
    """Any other operation; `catalogue.ACTIONS` lists them."""

    seq: Seq
    name: str
    args: Any  #: a map; once decoded, an instance of the catalogue's struct for `name`


class Ping(Struct, frozen=True, array_like=True, tag=int(Op.PING)):
    """A question for the server's clock."""

    n: Whole
    client_ms: Whole


# ---- server → client


class ChannelState(Struct, frozen=True):
    """Where a channel stands, in WELCOME."""

    epoch: Annotated[Whole, Meta(description="changes when the channel's numbering starts afresh")]
    offset: Annotated[Whole, Meta(description="offset of its newest lossless event")]
    recovered: Annotated[
        bool, Meta(description="every event after the client's offset follows; else take the snapshot")
    ]


class Limits(Struct, frozen=True):
    """What the server accepts, in WELCOME."""

    frame_bytes: Annotated[Whole, Meta(description="largest frame of a client in bytes")]
    taps_per_frame: Annotated[Whole, Meta(description="largest `count` of a TAP")]
    taps_per_s: Annotated[Whole, Meta(description="taps a second that count in the long run")]
    burst: Annotated[Whole, Meta(description="taps that count at once after a pause")]


class State(Struct, frozen=True):
    """The player as the client shows it: in WELCOME and from `state.get`."""

    tokens_mpt: Annotated[Whole, Meta(description="balance in mPT (1 000 mPT = 1 PT), unposted included")] = field(
        name="tokens"
    )
    xp: Annotated[Whole, Meta(description="total XP, never falls")]
    level: Annotated[Whole, Meta(description="1 + isqrt(xp // 100)")]
    rank: Annotated[str, Meta(description="English name of the rank")]
    energy: Annotated[Whole, Meta(description="energy now, whole units")]
    energy_cap: Annotated[Whole, Meta(description="energy when full, whole units")]
    energy_regen_mps: Annotated[Whole, Meta(description="milli-energy that comes back each second")]
    combo: Annotated[Whole, Meta(description="taps in the present run")]
    generation: Annotated[Whole, Meta(description="the player's generation, from 1")]
    tap_level: Annotated[Whole, Meta(description="level of the tap upgrade, from 1")]
    multiplier_bp: Annotated[Whole, Meta(description="multiplier of tap income now, 10 000 = ×1")]
    streak_days: Annotated[Whole, Meta(description="day of the habit streak, 0 = none")] = field(name="streak")
    energy_cap_level: Annotated[Whole, Meta(description="level of the energy cap upgrade, from 1")]
    energy_regen_level: Annotated[Whole, Meta(description="level of the energy regeneration upgrade, from 1")]
    offline_level: Annotated[Whole, Meta(description="level of the offline upgrade, from 0")]
    double_until_ms: Annotated[Whole, Meta(description="end of the ×2 boost, Unix milliseconds; 0 = never used")]


class WelcomeBody(Struct, frozen=True, omit_defaults=True):
    """Map of WELCOME."""

    session: Annotated[str, Meta(description="id of the login this socket belongs to")]
    player: Annotated[str, Meta(description="public id of the player")]
    applied_seq: Annotated[Cursor, Meta(description="every operation of the lineage up to here was applied")]
    durable_seq: Annotated[Cursor, Meta(description="every operation of the lineage up to here is committed")]
    channels: Annotated[dict[str, ChannelState], Meta(description="subscribed channels by name")]
    now_ms: Annotated[Whole, Meta(description="the server's clock, Unix milliseconds")]
    ping_s: Annotated[Whole, Meta(description="silence after which the server pings")]
    limits: Annotated[Limits, Meta(description="see Limits")]
    state: Annotated[State, Meta(description="see State")]
    access: Annotated[str | None, Meta(description="access token, only after `init_data`")] = None
    refresh: Annotated[str | None, Meta(description="refresh token, only after `init_data`")] = None


class Welcome(Struct, frozen=True, array_like=True, tag=int(Op.WELCOME), kw_only=True):
    """The session is live."""

    seq: Annotated[int, Meta(ge=0, le=0)] = 0
    body: WelcomeBody


class Tapped(Struct, frozen=True, array_like=True, tag=int(Op.TAPPED)):
    """Answer to TAP, in the order of the taps."""

    seq: Seq
    accepted: Annotated[int, Meta(ge=0, le=MAX_TAPS_PER_FRAME)]
    tokens_mpt: Whole
    xp: Whole
    level: Whole
    energy: Whole  #: whole units
    combo: Whole
    durable_seq: Cursor


class Result(Struct, frozen=True, array_like=True, tag=int(Op.RESULT)):
    """Answer to ACTION; may come later than answers to later operations."""

    seq: Seq
    result: Any  #: a map: a struct of the catalogue or `msgspec.Raw` when sent, a dict once decoded
    durable_seq: Cursor


class Repeated(Struct, frozen=True):
    """Result of a repeated soft action whose own result is gone after a restart."""

    state: State
    repeat: bool = True


class ErrorFrame(Struct, frozen=True, array_like=True, tag=int(Op.ERROR)):
    """Answer to what could not be done or understood."""

    seq: Cursor  #: 0 when no operation is meant
    code: Code
    name: str
    message: str  #: one sentence for the developer of the client
    retry_after_ms: Whole  #: 0 = final

    @classmethod
    def of(cls, error: WireError, seq: int) -> "ErrorFrame":
        """The frame that answers operation `seq` (0 = none) with `error`."""
        return cls(seq, int(error.code), error.name, error.message, error.retry_after_ms)


class Pong(Struct, frozen=True, array_like=True, tag=int(Op.PONG)):
    """Answer to PING."""

    n: Whole
    client_ms: Whole
    server_ms: Whole


class Event(Struct, frozen=True, array_like=True, tag=int(Op.EVENT)):
    """Something happened on a channel; `catalogue.EVENTS` lists what."""

    channel: str
    offset: Whole  #: grows by one per lossless event of the channel; 0 for conflated ones
    name: str
    data: Any  #: a map: a struct of the catalogue or `msgspec.Raw` when sent, a dict once decoded


class Durable(Struct, frozen=True, array_like=True, tag=int(Op.DURABLE)):
    """Sent when a lineage has gone quiet and its last operations are committed."""

    durable_seq: Cursor


class Goodbye(Struct, frozen=True, array_like=True, tag=int(Op.GOODBYE)):
    """The close frame follows."""

    close_code: Code
    reason: str
    reconnect_after_ms: Whole
    url: str | None = None  #: where to go instead, with 4001


ClientMessage = Hello | Tap | Action | Ping
ServerMessage = Welcome | Tapped | Result | ErrorFrame | Pong | Event | Durable | Goodbye
