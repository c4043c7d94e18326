"""One simulated player: a socket that comes and goes, a queue of operations that stays, and an eye on every answer.

The player numbers its operations in one lineage, keeps them until they are answered and durable, and sends them again
after a drop (wire protocol, "Operations"). It stays below the rate bucket and its energy, so that every tap must be
accepted; its XP must then be its first XP plus the taps of every operation applied, exactly: a tap that is lost or
counted twice shows at once.
"""

import os
from dataclasses import dataclass
from math import isqrt
from typing import Final

from gameserver.errors import Malformed
from gameserver.wire.codec import decode_server, encode_client
from gameserver.wire.messages import (
    Action,
    Durable,
    ErrorFrame,
    Event,
    Goodbye,
    Hello,
    HelloBody,
    Ping,
    Pong,
    Result,
    Tapped,
    Welcome,
)
from gameserver.wire.ops import LINEAGE_BYTES, SUBPROTOCOL
from hotpath.tap_codec import decode_tapped, encode_tap
from loadtest.ws_client import Closed, WebSocket

TIMEOUT_S: Final = 10.0  #: longest wait for an answer
XP_PER_LEVEL_SQUARE: Final = 100  #: level = 1 + isqrt(xp // 100)


class Misbehaved(Exception):
    """The server's answer is not what the protocol or the game's rules say."""


class Refused(Exception):
    """The server answered an operation with an ERROR frame."""


@dataclass(slots=True)
class Operation:
    """One TAP or ACTION, kept until it is answered and durable."""

    frame: bytes
    taps: int  #: 0 for an action
    answered: bool = False


class Player:
    """A player's client program.

    Args:
        url: of the game socket.
        token: the player's access token.

    Resources: holds a socket from `connect` on, until `leave` or `drop`; every exception leaves it to the caller to
    `drop`, and where the exception is `Misbehaved` or `Refused`, to `start_over`.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._socket: WebSocket | None = None
        self.energy = 0  #: whole units, as last told
        self.start_over()

    def start_over(self) -> None:
        """Draw a new lineage and forget what was expected: one fault is not to be found twice."""
        self._lineage = os.urandom(LINEAGE_BYTES)
        self._queue: dict[int, Operation] = {}
        self._last_seq = self._applied_seq = self._durable_seq = 0
        self._tokens_mpt = 0
        self._expected_xp: int | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a socket to send on."""
        return self._socket is not None

    @property
    def unfinished(self) -> int:
        """How many operations are kept because they are not answered and durable."""
        return len(self._queue)

    def connect(self) -> None:
        """Open the socket; `hello` must follow.

        Raises:
            OSError: no connection.
            ProtocolError: no upgrade.
        """
        self._socket = WebSocket.open(self._url, subprotocol=SUBPROTOCOL, timeout_s=TIMEOUT_S)

    def hello(self) -> None:
        """HELLO and WELCOME: say who is there, learn how far the server has come, and judge that.

        Raises:
            Misbehaved: cursor or state are not what they must be.
            Closed, ProtocolError, OSError: the connection is over.
        """
        body = HelloBody(lineage=self._lineage, device="loadtest", client="loadtest/1", token=self._token)
        self._open_socket.send(encode_client(Hello(body=body)))
        message = self._receive()
        if not isinstance(message, Welcome):
            raise Misbehaved(f"HELLO was answered with {type(message).__name__}")
        welcome = message.body
        answered = max((seq for seq, kept in self._queue.items() if kept.answered), default=self._durable_seq)
        if not answered <= welcome.applied_seq <= self._last_seq:
            raise Misbehaved(
                f"WELCOME: applied_seq {welcome.applied_seq}, after an answer to {answered} of {self._last_seq} sent"
            )
        self._apply_up_to(welcome.applied_seq)
        if self._expected_xp is None:
            self._expected_xp = welcome.state.xp
        self.energy = welcome.state.energy
        self._check_state("WELCOME", welcome.state.xp, welcome.state.level, welcome.state.tokens_mpt)
        self._note_durable(welcome.durable_seq)

    def resume(self) -> int:
        """Send everything again that is not answered and durable, and wait for all the answers.

        Returns:
            How many operations that were.

        Raises:
            Misbehaved, Refused, Closed, ProtocolError, OSError: as `tap`.
        """
        again = dict(self._queue)
        for operation in again.values():
            self._open_socket.send(operation.frame)
        for seq, operation in again.items():
            self._await_answer(seq, operation)
        return len(again)

    def tap(self, count: int, dt_ms: int) -> None:
        """Send a batch of taps and wait for TAPPED.

        Args:
            count: taps, 1 … 100 and at most `energy`.
            dt_ms: what they took.

        Raises:
            Misbehaved: the answer is wrong.
            Refused: the answer is an ERROR.
            Closed, ProtocolError, OSError: the connection is over.
        """
        seq = self.send_tap(count, dt_ms)
        self._await_answer(seq, self._queue[seq])

    def send_tap(self, count: int, dt_ms: int) -> int:
        """Send a batch of taps and do not wait; returns its seq."""
        self._last_seq = seq = self._last_seq + 1
        self._queue[seq] = Operation(encode_tap(seq, count, dt_ms), count)
        self._open_socket.send(self._queue[seq].frame)
        return seq

    def get_state(self) -> None:
        """Ask for the state by the action `state.get`, and judge it. Raises as `tap`."""
        self._last_seq = seq = self._last_seq + 1
        self._queue[seq] = Operation(encode_client(Action(seq, "state.get", {})), 0)
        self._open_socket.send(self._queue[seq].frame)
        self._await_answer(seq, self._queue[seq])

    def ping(self, n: int, now_ms: int) -> None:
        """PING and its PONG. Raises as `tap`.

        Args:
            n: comes back.
            now_ms: the client's clock; comes back.
        """
        self._open_socket.send(encode_client(Ping(n, now_ms)))
        while not isinstance(message := self._receive(), Pong):
            self._note(message)
        if (message.n, message.client_ms) != (n, now_ms):
            raise Misbehaved(f"PONG to {(n, now_ms)} holds {(message.n, message.client_ms)}")

    def leave(self) -> None:
        """Close the socket as one should."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def drop(self) -> None:
        """Lose the socket without a word; the queue stays."""
        if self._socket is not None:
            self._socket.drop()
            self._socket = None

    @property
    def _open_socket(self) -> WebSocket:
        if self._socket is None:
            raise RuntimeError("connect comes first")
        return self._socket

    def _await_answer(self, seq: int, operation: Operation) -> None:
        while True:
            message = self._receive()
            if isinstance(message, Tapped):
                if message.seq != seq or not operation.taps:
                    raise Misbehaved(f"TAPPED answers {message.seq} where {seq} is due")
                self._judge_tapped(message, operation)
                break
            if isinstance(message, Result) and message.seq == seq and not operation.taps:
                self._judge_result(message)
                break
            if isinstance(message, ErrorFrame):
                raise Refused(f"ERROR {message.code} {message.name}: {message.message}")
            self._note(message)
        operation.answered = True
        self._note_durable(message.durable_seq)

    def _receive(self) -> Tapped | Result | ErrorFrame | Pong | Event | Durable | Welcome:
        payload = self._open_socket.receive()
        numbers = decode_tapped(payload)
        if numbers is not None:
            return Tapped(*numbers)
        try:
            message = decode_server(payload)
        except Malformed as error:
            raise Misbehaved(str(error)) from None
        if isinstance(message, Goodbye):
            raise Closed(message.close_code, message.reason)
        return message

    def _note(self, message: Tapped | Result | ErrorFrame | Pong | Event | Durable | Welcome) -> None:
        """Take what nobody asked for; only events and DURABLE may come so."""
        if isinstance(message, Durable):
            self._note_durable(message.durable_seq)
        elif not isinstance(message, Event):
            raise Misbehaved(f"{type(message).__name__} where nothing of the kind is due")

    def _judge_tapped(self, tapped: Tapped, operation: Operation) -> None:
        is_repeat = tapped.seq <= self._applied_seq
        due = 0 if is_repeat else operation.taps
        if tapped.accepted != due:
            raise Misbehaved(f"TAPPED {tapped.seq}: {tapped.accepted} of {operation.taps} taps accepted, not {due}")
        self._apply_up_to(tapped.seq)
        self.energy = tapped.energy
        self._check_state(f"TAPPED {tapped.seq}", tapped.xp, tapped.level, tapped.tokens_mpt)

    def _judge_result(self, result: Result) -> None:
        if result.seq <= self._applied_seq:
            return  # a repeat brings the answer of then, which says nothing about now
        self._apply_up_to(result.seq)
        try:
            xp, level, tokens_mpt, self.energy = (result.result[name] for name in ("xp", "level", "tokens", "energy"))
        except (KeyError, TypeError):
            raise Misbehaved(f"RESULT {result.seq} of state.get is no state") from None
        self._check_state(f"state.get {result.seq}", xp, level, tokens_mpt)

    def _apply_up_to(self, seq: int) -> None:
        """The server has applied everything up to `seq`: their taps belong to the XP from now on."""
        if self._expected_xp is not None:
            fresh = (kept.taps for kept_seq, kept in self._queue.items() if self._applied_seq < kept_seq <= seq)
            self._expected_xp += sum(fresh)
        self._applied_seq = max(self._applied_seq, seq)

    def _check_state(self, where: str, xp: int, level: int, tokens_mpt: int) -> None:
        if xp != self._expected_xp:
            raise Misbehaved(f"{where}: xp is {xp}, not {self._expected_xp}")
        if level != 1 + isqrt(xp // XP_PER_LEVEL_SQUARE):
            raise Misbehaved(f"{where}: level is {level} with {xp} xp")
        if tokens_mpt < self._tokens_mpt:
            raise Misbehaved(f"{where}: tokens fell from {self._tokens_mpt} to {tokens_mpt} mPT")
        self._tokens_mpt = tokens_mpt

    def _note_durable(self, durable_seq: int) -> None:
        if not self._durable_seq <= durable_seq <= self._applied_seq:
            raise Misbehaved(
                f"durable_seq {durable_seq} after {self._durable_seq}, with {self._applied_seq} operations applied"
            )
        self._durable_seq = durable_seq
        done = [seq for seq, kept in self._queue.items() if seq <= durable_seq and kept.answered]
        for seq in done:
            del self._queue[seq]
