"""TAP and TAPPED between bytes and numbers, both directions; described in `hotpath._tap_codec_py`."""

from hotpath._tap_codec_c import (
    MAX_DT_MS,
    MAX_SEQ,
    MAX_TAPS_PER_FRAME,
    MAX_WIRE_INT,
    TAP_MAX_BYTES,
    TAP_OP,
    TAPPED_MAX_BYTES,
    TAPPED_OP,
    decode_tap,
    decode_tapped,
    encode_tap,
    encode_tapped,
)

__all__ = [
    "MAX_DT_MS",
    "MAX_SEQ",
    "MAX_TAPS_PER_FRAME",
    "MAX_WIRE_INT",
    "TAPPED_MAX_BYTES",
    "TAPPED_OP",
    "TAP_MAX_BYTES",
    "TAP_OP",
    "decode_tap",
    "decode_tapped",
    "encode_tap",
    "encode_tapped",
]
