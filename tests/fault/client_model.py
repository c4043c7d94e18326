"""A client as docs/client.md describes it, with a record of everything it saw; it shares no code with the server.

It keeps its queue, connects again after every close as the close code says, sends again what is above `applied_seq`
and every action that was never answered, and goes back N. Beside that it can be made to misbehave as clients do: cut
its socket in the middle of a frame, read nothing for a while, repeat itself, go on on another socket, die.
"""

import contextlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import trio
import trio_websocket

from tests.fakes.game_client import (
    ACTION,
    DURABLE,
    ERROR,
    GOODBYE,
    HELLO,
    PING,
    RESULT,
    SUBPROTOCOL,
    TAP,
    TAPPED,
    WELCOME,
    hello_map,
)
from tests.fakes.other_side import pack, unpack
from tests.fault import history as records
from tests.fault.client_queue import ClientQueue
from tests.fault.history import LineageHistory, Operation

TOKEN_EXPIRED, MOVED = 4011, 4001
OWN_FAULTS = frozenset({1002, 1003, 1007, 1009})
#: The socket is gone; busy it is where the library answers a ping or a close while we write.
LOST = (
    trio_websocket.ConnectionClosed,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,
)
CONNECT_S = 1.5  #: shorter than the page's: a frozen server lets its system accept, and says nothing
WELCOME_S = 15.0
SILENCE_S = 5.0  #: without a frame for this long while answers are due, the client asks whether the socket lives …
PONG_S = 10.0  #: … and this long after asking takes it for dead


@dataclass(frozen=True, slots=True)
class Patience:
    """How long clients wait before they connect again; shorter than the page's, so that a run holds more of it."""

    base_s: float = 0.1
    cap_s: float = 1.5
    stable_s: float = 2.0  #: a session that lasted this long was a success

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Full jitter."""
        return rng.uniform(0, min(self.cap_s, self.base_s * 2.0 ** min(attempt, 10)))


class Stopped(Exception):
    """The server told this client to stay away."""


class ClientModel:
    """One queue of operations and the sockets it goes through.

    Args:
        history: its lineage's record, with its name and player.
        token: access token.
        url: where it connects first.
        rng: its jitter and its choices.
        on_welcome: told the address that answered, for recovery times.
        patience: between connections.
    """

    def __init__(
        self,
        history: LineageHistory,
        *,
        token: str,
        url: str,
        rng: random.Random,
        on_welcome: Callable[[str], None] = lambda _url: None,
        on_durable: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
    ) -> None:
        self.history = history
        self.queue = ClientQueue(history)
        self.url = url  #: `move` changes it
        self.state: dict[str, Any] = {}  #: of the last WELCOME
        self.stopped = ""  #: why it stays away, "" = it does not
        self.served_by = ""  #: the address of the socket that is live, "" = none is
        self._token = token
        self._rng = rng
        self._on_welcome = on_welcome
        self._on_durable = on_durable
        self._patience = patience or Patience()
        self._attempts = self._own_faults = self._blocks = 0
        self._end = 1006, 0  #: close code of the last socket, and after how many ms the server wants us back
        self._moved_url = ""
        self._ring = trio.Event()
        self._reads_again_s = 0.0
        self._writing = trio.Lock()
        self._heard_s = 0.0
        self._session: trio.CancelScope | None = None
        self._socket: trio_websocket.WebSocketConnection | None = None
        self._leave_socket_open = False
        self._orphans: trio.Nursery | None = None
        self._life: trio.CancelScope | None = None

    # What its user does

    def tap(self, count: int) -> None:
        """Tap."""
        self.queue.add(records.TAP, count=count)
        self._ring.set()

    def act(self, name: str, args: Mapping[str, Any]) -> None:
        """Start an action."""
        self.queue.add(name, args=args)
        self._ring.set()

    @property
    def done(self) -> bool:
        """Everything is answered and durable."""
        return not self.queue

    # What befalls it

    async def cut_mid_frame(self) -> None:
        """Write half of a frame, then drop the socket."""
        socket, session = self._socket, self._session
        if socket is not None and session is not None:
            with contextlib.suppress(*LOST):
                async with self._writing:
                    await socket._stream.send_all(b"\x82\x8a\x01\x02\x03\x04half")  # 10 masked bytes announced, 4 sent
            session.cancel()

    def read_slowly(self, pause_s: float) -> None:
        """Leave everything in the socket for a while."""
        self._reads_again_s = max(self._reads_again_s, trio.current_time() + pause_s)

    def take_over(self) -> None:
        """Go on on a new socket while the older one stays open: a page that was copied or reloaded."""
        if self._session is not None:
            self._leave_socket_open = True
            self._session.cancel()

    def move(self, url: str) -> None:
        """Connect to another node from now on."""
        self.url, self._moved_url = url, ""
        if self._session is not None:
            self._session.cancel()

    async def repeat_itself(self) -> None:
        """Send once more what was answered already."""
        for operation in self.queue.answered_already():
            with contextlib.suppress(*LOST):
                if self._socket is not None:
                    self.history.events.append(records.SentAgain(trio.current_time(), operation.seq))
                    await self._send(self._socket, operation)

    def die(self, *, with_server: bool = False) -> None:
        """Gone for good, with the queue."""
        if self.history.lives:
            self.history.died_s = trio.current_time()
            self.history.died_with_server = with_server
            if self._life is not None:
                self._life.cancel()

    # Its life

    async def run(self) -> None:
        """Connect, and connect again, until it is told to stop, dies, or is cancelled."""
        with trio.CancelScope() as self._life:
            async with trio.open_nursery() as self._orphans:
                try:
                    while True:
                        await self._connect_once()
                except Stopped as stopped:
                    self.stopped = str(stopped)
                self._orphans.cancel_scope.cancel()

    async def _connect_once(self) -> None:
        url = self._moved_url or self.url
        began_s = trio.current_time()
        self._end = 1006, 0
        try:
            await self._session_at(url)
        except* (*LOST, OSError, trio.TooSlowError, trio_websocket.HandshakeError):
            pass
        code, after_ms = self._end
        if code == 1006:
            self._moved_url = ""  # the address it was sent to may be gone
        self.served_by = ""
        if code >= 4500:
            raise Stopped(f"close code {code}")
        if code in OWN_FAULTS:
            self._own_faults += 1
            if self._own_faults > 3:
                raise Stopped(f"close code {code} again and again")
        if trio.current_time() - began_s >= self._patience.stable_s:
            self._attempts = 0
        wish_s = after_ms / 1000 if 4000 <= code < 4500 else 0.0
        await trio.sleep(wish_s + self._patience.delay_s(self._attempts, self._rng))
        self._attempts += 1

    async def _session_at(self, url: str) -> None:
        """One socket from its opening to its end."""
        address = urlsplit(url)
        async with trio.open_nursery() as nursery:
            self._session = nursery.cancel_scope
            with trio.fail_after(CONNECT_S):
                stream = await trio.open_tcp_stream(address.hostname or "", address.port or 0)
                socket = await trio_websocket.wrap_client_stream(
                    nursery, stream, address.netloc, address.path, subprotocols=[SUBPROTOCOL]
                )
            try:
                await socket.send_message(pack([HELLO, 0, hello_map(token=self._token, lineage=self.history.lineage)]))
                await self._converse(socket, url, nursery)
            finally:
                self._socket = self._session = None
                if self._leave_socket_open and self._orphans is not None:
                    self._orphans.start_soon(_hold_open, stream)
                    self._leave_socket_open = False
                else:
                    await trio.aclose_forcefully(stream)
                nursery.cancel_scope.cancel()

    async def _converse(self, socket: trio_websocket.WebSocketConnection, url: str, nursery: trio.Nursery) -> None:
        after_ms, live = 0, False
        deadline = trio.current_time() + WELCOME_S
        try:
            while True:
                await trio.sleep_until(self._reads_again_s)
                with trio.move_on_at(deadline) as waiting:
                    message = await socket.get_message()
                if waiting.cancelled_caught:
                    return  # no WELCOME in time
                self._heard_s = trio.current_time()
                assert isinstance(message, bytes)
                frame = unpack(message)
                if frame[0] == WELCOME:
                    live, deadline = True, float("inf")
                    self._welcomed(frame[2], url)
                    self._socket = socket
                    nursery.start_soon(self._keep_sending, socket)
                    nursery.start_soon(self._watch_life, socket, nursery.cancel_scope)
                elif frame[0] == GOODBYE:
                    after_ms = frame[3]
                    self.history.goodbyes[frame[1]] += 1
                    if frame[1] == MOVED:
                        self._moved_url = frame[4] or ""
                elif live:
                    self._received(frame)
        except trio_websocket.ConnectionClosed as closed:
            self._end = (closed.reason.code if closed.reason is not None else 1006), after_ms

    def _welcomed(self, body: dict[str, Any], url: str) -> None:
        self.state = body["state"]
        self.history.events.append(
            records.Welcomed(trio.current_time(), body["applied_seq"], body["durable_seq"], body["state"]["xp"])
        )
        self._blocks += 1
        self.queue.resume(body["applied_seq"], body["durable_seq"])
        self.served_by = url
        self._on_welcome(url)

    def _received(self, frame: list[Any]) -> None:
        now_s, before = trio.current_time(), self.queue.durable_seq
        match frame:
            case [int(op), seq, accepted, _, xp, _, _, _, durable_seq, *_] if op == TAPPED:
                self._note(records.Tapped(now_s, seq, accepted, xp, durable_seq))
            case [int(op), seq, result, durable_seq, *_] if op == RESULT:
                self._note(records.Resulted(now_s, seq, result, durable_seq))
            case [int(op), seq, code, name, message, retry_after_ms, *_] if op == ERROR and seq:
                refused = records.Refused(now_s, seq, code, name, message, retry_after_ms)
                if refused.final:
                    self._note(refused)
                else:
                    self.history.events.append(refused)
                    self._go_back(seq, retry_after_ms)
            case [int(op), durable_seq, *_] if op == DURABLE:
                self.history.events.append(records.ToldDurable(now_s, durable_seq))
                self.queue.told_durable(durable_seq)
            case _:
                return
        if self.queue.durable_seq > before:
            self._on_durable()
        self._ring.set()

    def _note(self, answer: records.Tapped | records.Resulted | records.Refused) -> None:
        self.history.events.append(answer)
        self.queue.answered(answer.seq)
        self.queue.told_durable(records.durable_seq_of(answer))

    def _go_back(self, seq: int, retry_after_ms: int) -> None:
        if self.queue.go_back(seq) and self._orphans is not None:
            self._blocks += 1
            self._orphans.start_soon(
                self._unblock_after, retry_after_ms * (1 + self._rng.random()) / 1000, self._blocks
            )

    async def _unblock_after(self, pause_s: float, block: int) -> None:
        await trio.sleep(pause_s)
        if block == self._blocks:  # neither a later one nor a new socket, which ends it too
            self.queue.unblock()
            self._ring.set()

    # Its socket

    async def _keep_sending(self, socket: trio_websocket.WebSocketConnection) -> None:
        with contextlib.suppress(*LOST):
            while True:
                self._ring = trio.Event()
                for operation in self.queue.due():
                    if operation.sendings:
                        self.history.events.append(records.SentAgain(trio.current_time(), operation.seq))
                    else:
                        operation.sent_s = trio.current_time()
                    operation.sendings += 1
                    await self._send(socket, operation)
                await self._ring.wait()

    async def _send(self, socket: trio_websocket.WebSocketConnection, operation: Operation) -> None:
        if operation.name == records.TAP:
            frame: list[Any] = [TAP, operation.seq, operation.count, 100 * operation.count]
        else:
            frame = [ACTION, operation.seq, operation.name, dict(operation.args)]
        async with self._writing:
            await socket.send_message(pack(frame))

    async def _watch_life(self, socket: trio_websocket.WebSocketConnection, session: trio.CancelScope) -> None:
        with contextlib.suppress(*LOST):
            while True:
                heard_s = self._heard_s
                await trio.sleep(SILENCE_S)
                if self._heard_s > heard_s or not self.queue.awaits_answers:
                    continue
                async with self._writing:
                    await socket.send_message(pack([PING, 1, 0]))
                await trio.sleep(PONG_S)
                if self._heard_s == heard_s:
                    session.cancel()


async def _hold_open(stream: trio.SocketStream) -> None:
    """Nobody reads what comes; it ends when the server closes it."""
    with contextlib.suppress(*LOST):
        async for _ in stream:
            pass
    await trio.aclose_forcefully(stream)
