"""The receiving side of WebSocket (RFC 6455) without sockets; the oracle in tests is wsproto.

`Receiver(from_client, max_message_bytes).receive(data)` finds every message that the bytes complete.
"""

from hotpath._websocket_c import NOTHING, VIOLATION, Receiver

__all__ = ["NOTHING", "VIOLATION", "Receiver"]
