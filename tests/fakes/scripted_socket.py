"""The server's side of a WebSocket as a list of frames: for clients of ours that block on their socket."""

import time
from collections import deque
from typing import Any

from loadtest.ws_client import ABNORMAL, Closed
from tests.fakes.other_side import pack, unpack


class ScriptedSocket:
    """Stands in for `loadtest.ws_client.WebSocket`: keeps what is sent, gives what was put in."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.coming: deque[Any] = deque()
        self.ended: str | None = None

    def then(self, *frames: Any) -> None:
        """Frames to come, as lists; or an exception to raise in their place."""
        self.coming.extend(frames)

    def send(self, payload: bytes) -> None:
        self.sent.append(unpack(payload))

    def receive(self) -> bytes:
        if not self.coming:
            raise Closed(ABNORMAL, "the script is at its end")
        frame = self.coming.popleft()
        if isinstance(frame, BaseException):
            raise frame
        return pack(frame)

    def receive_within(self, wait_s: float) -> bytes | None:
        if not self.coming:
            time.sleep(min(wait_s, 0.001))
            return None
        return self.receive()

    def close(self) -> None:
        self.ended = "closed"

    def drop(self) -> None:
        self.ended = "dropped"
