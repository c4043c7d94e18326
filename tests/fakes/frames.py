"""Frames that are right, for tests to send, to compare with and to spoil."""

from typing import Any

from gameserver.wire.messages import ChannelState, Limits, State, Welcome, WelcomeBody

#: A HELLO map with everything that must be there.
HELLO_MAP: dict[str, Any] = {"lineage": bytes(range(16)), "device": "d1", "client": "web/1", "token": "eyJ"}

STATE = State(
    tokens_mpt=2**53 - 1,
    xp=100,
    level=2,
    rank="Novice",
    energy=990,
    energy_cap=1000,
    energy_regen_mps=1000,
    combo=10,
    generation=1,
    tap_level=1,
    multiplier_bp=15_000,
    streak_days=0,
    energy_cap_level=1,
    energy_regen_level=1,
    offline_level=0,
    double_until_ms=0,
)

WELCOME = Welcome(
    body=WelcomeBody(
        session="s",
        player="p",
        applied_seq=3,
        durable_seq=2,
        channels={"player": ChannelState(epoch=1, offset=4, recovered=True)},
        now_ms=1_767_225_600_000,
        ping_s=25,
        limits=Limits(frame_bytes=4096, taps_per_frame=100, taps_per_s=15, burst=40),
        state=STATE,
    )
)
