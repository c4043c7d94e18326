"""The bounded queue of frames to one socket: `Outbox`; described in `hotpath._outbox_py`."""

from hotpath._outbox_c import Outbox

__all__ = ["Outbox"]
