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
from loadtest.bench.probe import EVERY_S, FAILED_MS, Probe, Question
from loadtest.own_server import LoadTestError
from loadtest.ws_client import Closed, ProtocolError, WebSocket

ACTION: Final = "boost.use"
ARGUMENTS: Final = {"kind": "double"}
LEAST_WAIT_S: Final = 0.001
FAULTS: Final = (OSError, Closed, ProtocolError, Malformed)


class HardOperationProbe(Probe):
    """A player of its own who does a hard operation every `EVERY_S`, whether the last one has been answered or not.

    Args:
        url: of the game socket.
        hello: HELLO of a player whom the swarm does not play.

    Resources: `with` opens the socket and closes it. One that breaks meanwhile stays so, and what is asked then fails.
    """

    def __init__(self, url: str, hello: bytes) -> None:
        super().__init__()
        self._url = url
        self._hello = hello
        self._last_seq = 0
        self._open: dict[int, Question] = {}  # by seq, in order
        self._put_off: tuple[int, float] | None = None  # from which seq on, and until when on `perf_counter`
        self._is_lost = False

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
            first = decode_server(self._socket.receive())
        except FAULTS as error:
            self._socket.drop()
            raise LoadTestError(f"the one who asks is not let in: {error}") from None
        if not isinstance(first, Welcome):
            self._socket.drop()
            raise LoadTestError(f"the one who asks is not let in: {first}")
        self._last_seq = first.body.applied_seq
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self) -> None:
        """Send the next one, and take answers until the one after it is due."""
        question = Question.now()
        self._last_seq += 1
        self._open[self._last_seq] = question
        if self._is_lost:
            self._fail_all()
            time.sleep(EVERY_S)
            return
        try:
            if self._put_off is None:
                self._send(self._last_seq)
            self._hear(question.at_s + EVERY_S)
        except FAULTS:
            self._is_lost = True
            self._fail_all()

    def finish(self) -> None:
        """Wait for what has no answer yet."""
        try:
            self._hear(time.perf_counter() + FAILED_MS / 1000, to_the_last=True)
        except FAULTS:
            self._is_lost = True
        self._fail_all()

    def _hear(self, until_s: float, *, to_the_last: bool = False) -> None:
        while (now_s := time.perf_counter()) < until_s and (self._open or not to_the_last):
            wake_s = until_s
            if self._put_off is not None:
                from_seq, resume_s = self._put_off
                if now_s >= resume_s:
                    self._put_off = None
                    for seq in [seq for seq in self._open if seq >= from_seq]:
                        self._send(seq)
                else:
                    wake_s = min(until_s, resume_s)
            payload = self._socket.receive_within(max(LEAST_WAIT_S, wake_s - now_s))
            if payload is not None:
                self._take(decode_server(payload))

    def _send(self, seq: int) -> None:
        self._socket.send(encode_client(Action(seq, ACTION, ARGUMENTS)))

    def _take(self, message: ServerMessage) -> None:
        if not isinstance(message, Result | ErrorFrame) or message.seq not in self._open:
            return  # DURABLE, and what the player hears of
        if isinstance(message, Result) or not message.retry_after_ms:
            self.answered(self._open.pop(message.seq))
        elif self._put_off is None:  # go back N: what comes after it has the same error
            self._put_off = message.seq, time.perf_counter() + message.retry_after_ms / 1000

    def _fail_all(self) -> None:
        for question in self._open.values():
            self.failed(question)
        self._open.clear()
