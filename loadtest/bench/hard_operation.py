"""A hard operation while a swarm runs: from its frame to its answer, which comes once it is committed.

It is the free boost. Three times a day it is used; from then on it is refused for good, which is as hard: a final error
is stored with its operation, and answered once that is committed, too (wire protocol, "Operations").
"""

import time
from typing import Final, Self

from gameserver.errors import Malformed
from gameserver.wire.codec import decode_server, encode_client
from gameserver.wire.messages import Action, ErrorFrame, Result, ServerMessage, Welcome
from gameserver.wire.ops import SUBPROTOCOL
from loadtest.bench.probe import FAILED_MS, AskFailed, Probe
from loadtest.own_server import LoadTestError
from loadtest.ws_client import Closed, ProtocolError, WebSocket

ACTION: Final = "boost.use"
ARGUMENTS: Final = {"kind": "double"}


class HardOperationProbe(Probe):
    """A player of its own who does one hard operation after the other.

    Args:
        url: of the game socket.
        hello: HELLO of a player whom the swarm does not play.

    Resources: `with` opens the socket and closes it. One that breaks meanwhile stays so, and what is asked then fails.
    """

    def __init__(self, url: str, hello: bytes) -> None:
        super().__init__()
        self._url = url
        self._hello = hello
        self._answered_seq = 0

    def __enter__(self) -> Self:
        """Connect, and wait for WELCOME.

        Raises:
            LoadTestError: the server does not let the player in.
        """
        try:
            self._socket = WebSocket.open(self._url, subprotocol=SUBPROTOCOL, timeout_s=FAILED_MS / 1000)
        except (OSError, ProtocolError) as error:
            raise LoadTestError(f"the one who asks cannot connect: {error}") from None
        try:
            self._socket.send(self._hello)
            first = self._receive()
        except (OSError, AskFailed) as error:
            self._socket.drop()
            raise LoadTestError(f"the one who asks is not let in: {error}") from None
        if not isinstance(first, Welcome):
            self._socket.drop()
            raise LoadTestError(f"the one who asks is not let in: {first}")
        self._answered_seq = first.body.applied_seq
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask_once(self) -> None:
        """Do it, and wait for its answer; as long as the server says to come again, come again. Raises as told there.

        One without an answer is sent again the next time, as a client would.
        """
        seq = self._answered_seq + 1
        frame = encode_client(Action(seq, ACTION, ARGUMENTS))
        give_up_s = time.perf_counter() + FAILED_MS / 1000
        while True:
            self._socket.send(frame)
            retry_s = self._retry_after_ms(seq) / 1000
            if not retry_s:
                self._answered_seq = seq
                return
            if time.perf_counter() + retry_s > give_up_s:
                raise AskFailed("the server put it off for too long")
            time.sleep(retry_s)

    def _retry_after_ms(self, seq: int) -> int:
        """Wait for what answers `seq`; 0 if it is done with."""
        while True:
            match self._receive():
                case Result() as answer if answer.seq == seq:
                    return 0
                case ErrorFrame() as answer if answer.seq == seq:
                    return answer.retry_after_ms
                case _:
                    pass  # DURABLE, and what the player hears of

    def _receive(self) -> ServerMessage:
        try:
            return decode_server(self._socket.receive())
        except (Closed, ProtocolError, Malformed) as error:
            raise AskFailed(str(error)) from None
