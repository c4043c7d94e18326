"""WebSocket frames (RFC 6455) on bytes; the oracle in tests is wsproto."""

from hotpath._frame_codec_c import (
    BINARY,
    CLIENT_HEADER_MAX_BYTES,
    CLOSE,
    CONTINUATION,
    CONTROL_MAX_BYTES,
    NO_CODE,
    PING,
    PONG,
    SERVER_HEADER_MAX_BYTES,
    TEXT,
    encode,
    encode_close,
    encode_masked,
)

__all__ = [
    "BINARY",
    "CLIENT_HEADER_MAX_BYTES",
    "CLOSE",
    "CONTINUATION",
    "CONTROL_MAX_BYTES",
    "NO_CODE",
    "PING",
    "PONG",
    "SERVER_HEADER_MAX_BYTES",
    "TEXT",
    "encode",
    "encode_close",
    "encode_masked",
]
