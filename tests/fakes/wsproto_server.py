"""A WebSocket server by another hand (wsproto), one connection, in a thread: to hold a client of ours against."""

import socket
import threading
from collections.abc import Callable
from typing import Self

import wsproto
from wsproto.events import AcceptConnection, CloseConnection, Event, Request

TIMEOUT_S = 10.0


def say_nothing(server: "WsprotoServer") -> None:
    """A script that ends the connection at once."""
    del server


class WsprotoServer:
    """Accepts one connection, upgrades it, and plays a script on it.

    Args:
        script: called with the server once the connection is open.
        early: raw bytes to send in one go with the answer to the upgrade.
        answer: raw bytes to answer the upgrade with instead.
    """

    def __init__(
        self,
        script: Callable[["WsprotoServer"], None] = say_nothing,
        *,
        early: bytes = b"",
        answer: bytes | None = None,
    ) -> None:
        self._script = script
        self._early = early
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_S)
        self._thread = threading.Thread(target=self._run)
        self._received: list[Event] = []
        self.error: BaseException | None = None
        self.request: Request | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._listener.getsockname()[1]}/ws?x=1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(2 * TIMEOUT_S)
        self._listener.close()
        assert not self._thread.is_alive()
        assert self.error is None, self.error

    def send(self, event: Event) -> None:
        self.send_bytes(self._wire.send(event))

    def send_bytes(self, data: bytes) -> None:
        self._stream.sendall(data)

    def receive(self) -> Event:
        """The next event of the client."""
        while not self._received:
            data = self._stream.recv(65_536)
            if not data:
                return CloseConnection(code=1006)
            self._wire.receive_data(data)
            self._received.extend(self._wire.events())
        return self._received.pop(0)

    def _run(self) -> None:
        try:
            self._stream, _ = self._listener.accept()
            with self._stream:
                self._stream.settimeout(TIMEOUT_S)
                self._wire = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
                request = self.receive()
                assert isinstance(request, Request)
                self.request = request
                if self._answer is not None:
                    self.send_bytes(self._answer)
                    return
                accept = self._wire.send(AcceptConnection(subprotocol=request.subprotocols[0]))
                self.send_bytes(accept + self._early)
                self._script(self)
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it
            self.error = error
