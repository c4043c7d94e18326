"""WebSocket framing (RFC 6455) without sockets, as `hotpath.gateway` runs it; the oracle in tests is wsproto."""

from hotpath._websocket_c import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_CODE,
    NOTHING,
    PING,
    PONG,
    TEXT,
    VIOLATION,
    Receiver,
    encode,
    encode_close,
    encode_masked,
)

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "NOTHING",
    "NO_CODE",
    "PING",
    "PONG",
    "TEXT",
    "VIOLATION",
    "Receiver",
    "encode",
    "encode_close",
    "encode_masked",
]
