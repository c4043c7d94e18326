from typing import Final

TAP_OP: Final[int]
TAPPED_OP: Final[int]
MAX_SEQ: Final[int]
MAX_TAPS_PER_FRAME: Final[int]
MAX_DT_MS: Final[int]
MAX_WIRE_INT: Final[int]
TAP_MAX_BYTES: Final[int]
TAPPED_MAX_BYTES: Final[int]

def decode_tap(payload: bytes | memoryview) -> tuple[int, int, int] | None: ...
def decode_tapped(payload: bytes | memoryview) -> tuple[int, int, int, int, int, int, int, int] | None: ...
def encode_tap(seq: int, count: int, dt_ms: int) -> bytes: ...
def encode_tapped(
    seq: int, accepted: int, tokens: int, xp: int, level: int, energy: int, combo: int, durable_seq: int
) -> bytes: ...
