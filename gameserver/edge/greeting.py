"""WELCOME: what a session is told when it has its player."""

from uuid import UUID

from gameserver.actors.messages import Welcomed
from gameserver.wire.codec import encode
from gameserver.wire.messages import Limits, Welcome, WelcomeBody
from gameserver.wire.ops import MAX_CLIENT_FRAME_BYTES, MAX_TAPS_PER_FRAME, PING_AFTER_S
from hotpath import rules

#: What a client may send.
LIMITS = Limits(
    frame_bytes=MAX_CLIENT_FRAME_BYTES,
    taps_per_frame=MAX_TAPS_PER_FRAME,
    taps_per_s=rules.BUCKET_RATE_PER_S,
    burst=rules.BUCKET_BURST_MT // rules.MT_PER_TAP,
)


def welcome_frame(welcomed: Welcomed, *, login: UUID, tokens: tuple[str, str] | None, now_ms: int) -> bytes:
    """The encoded frame.

    Args:
        welcomed: what the player's actor says.
        login: the login session.
        tokens: new (access, refresh) after a login by init_data.
        now_ms: the present.
    """
    access, refresh = tokens or (None, None)
    body = WelcomeBody(
        session=str(login),
        player=str(welcomed.public_id),
        applied_seq=welcomed.applied_seq,
        durable_seq=welcomed.durable_seq,
        channels=welcomed.channels,
        now_ms=now_ms,
        ping_s=PING_AFTER_S,
        limits=LIMITS,
        state=welcomed.state,
        access=access,
        refresh=refresh,
    )
    return encode(Welcome(body=body))
