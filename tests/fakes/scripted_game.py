"""A game server with a will of its own: the wire's rules for one kind of client, and every fault a test can wish for.

It keeps what the real server would keep (a cursor and a durable point per lineage, XP per player) and answers as
`wire.md` says, but independently of the product's own code: the `msgpack` package, a few dictionaries. Tests tell it
what to do wrong and read what it saw.

It runs in a thread of its own, because the synchronous Playwright API occupies the test's thread. Every public method
may be called from the test's thread and returns after the Trio thread has done it.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from math import isqrt
from pathlib import Path
from typing import Any, TypeVar

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream

from tests.fakes.other_side import pack, unpack

T = TypeVar("T")
HELLO, TAP, ACTION, PING = 1, 2, 3, 4
WELCOME, TAPPED, RESULT, ERROR, PONG, EVENT, DURABLE, GOODBYE = 64, 65, 66, 67, 68, 69, 70, 71
MINIAPP = Path(__file__).parents[2] / "http_admin" / "miniapp"
PAGE_CSP = "default-src 'self'; connect-src 'self' ws: wss:"
DOCS_CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
LEVEL_REWARD_MPT = 100_000


@dataclass
class Lineage:
    """What the server knows of one client's queue."""

    applied_seq: int = 0
    durable_seq: int = 0
    durable_xp: int = 0
    #: XP by operation, so that a crash can take back what was not durable.
    taps: dict[int, int] = field(default_factory=dict)
    results: dict[int, Any] = field(default_factory=dict)
    blocked_seq: int | None = None


@dataclass
class Session:
    """One socket after its upgrade."""

    socket: WebSocketConnection
    stream: trio.SocketStream
    lineage: bytes = b""
    #: Set and cancelled by `end`: a socket is closed by the task that reads it, nobody else may wait for it.
    conversation: trio.CancelScope = field(default_factory=trio.CancelScope)
    ending: tuple[int, str] = (1000, "")

    def end(self, code: int, reason: str) -> None:
        self.ending = (code, reason)
        self.conversation.cancel()


class ScriptedGame:
    """The fake server's state, its faults and its memory of what it received.

    Attributes:
        frames: every frame from clients in order, decoded.
        hellos: the HELLO bodies among them.
        sockets_opened: how many WebSocket handshakes were completed.
        http_posts: (path, body) of every POST.
    """

    def __init__(self) -> None:
        self.frames: list[list[Any]] = []
        self.hellos: list[dict[str, Any]] = []
        self.sockets_opened = 0
        self.http_posts: list[tuple[str, dict[str, Any]]] = []
        self.lineages: dict[bytes, Lineage] = {}
        self.energy = 1000
        self.clock_ms = 1_750_000_000_000
        self.durable_at_once = True
        #: Hears and does nothing.
        self.mute = False
        #: Does what it is told, but its answers are lost.
        self.answers_lost = False
        self.refuse_hello: list[int] = []
        self.refuse_refresh: list[int] = []  #: statuses of the next answers to POST /auth/refresh
        self.error_for: dict[int, list[tuple[int, str, int]]] = {}
        self.accept_at_most = 100
        #: What actions are answered with, by name.
        self.result_of: dict[str, dict[str, Any]] = {}
        self.granted_mpt = 0
        self.combo = 0
        self.http_down = False
        self.dev_login = True
        self.socket_url = ""
        self.page_url = ""
        self._sessions: list[Session] = []
        self._token: trio.lowlevel.TrioToken | None = None

    # ---- what a test may do ----

    @property
    def xp(self) -> int:
        """Taps counted, over all lineages."""
        return sum(sum(lineage.taps.values()) for lineage in list(self.lineages.values()))

    def operations(self, op: int | None = None) -> list[list[Any]]:
        """TAP and ACTION frames in the order they came, or those of one op."""
        wanted = (TAP, ACTION) if op is None else (op,)
        return [frame for frame in list(self.frames) if frame[0] in wanted]

    def cut(self) -> None:
        """Drops every TCP connection without a close frame."""
        self._call(self._cut)

    def crash(self) -> None:
        """Drops every connection and forgets what was not durable, as kill -9 does."""
        self._call(partial(self._cut, forget=True))

    def close(self, code: int, reason: str = "") -> None:
        """Closes every socket with a close code and nothing before it."""
        self._call(partial(self._close, code, reason))

    def goodbye(self, code: int, reconnect_after_ms: int = 0, url: str | None = None) -> None:
        """Says GOODBYE on every socket, then closes it."""
        self._call(partial(self._goodbye, code, reconnect_after_ms, url))

    def make_durable(self) -> None:
        """Commits everything and says so with DURABLE."""
        self._call(self._make_durable)

    def send(self, frame: list[Any]) -> None:
        """Sends a frame to every socket."""
        self._call(partial(self._send_all, frame))

    # ---- the Trio side ----

    def _call(self, function: Callable[[], Any]) -> None:
        async def run() -> None:
            with trio.fail_after(5):
                await function()

        trio.from_thread.run(run, trio_token=self._token)

    async def _cut(self, *, forget: bool = False) -> None:
        sessions, self._sessions = self._sessions, []
        if forget:
            for lineage in self.lineages.values():
                lineage.applied_seq = lineage.durable_seq
                lineage.taps = {seq: n for seq, n in lineage.taps.items() if seq <= lineage.durable_seq}
                lineage.results = {seq: r for seq, r in lineage.results.items() if seq <= lineage.durable_seq}
        for session in sessions:
            await trio.aclose_forcefully(session.stream)

    async def _close(self, code: int, reason: str) -> None:
        sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.end(code, reason)

    async def _goodbye(self, code: int, reconnect_after_ms: int, url: str | None) -> None:
        await self._send_all([GOODBYE, code, "scripted", reconnect_after_ms, url])
        await self._close(code, "scripted")

    async def _make_durable(self) -> None:
        for lineage in self.lineages.values():
            lineage.durable_seq = lineage.applied_seq
        for session in list(self._sessions):
            lineage_of_session = self.lineages.get(session.lineage)
            if lineage_of_session is not None:  # a socket that has not said HELLO yet has none
                await self._send(session, [DURABLE, lineage_of_session.durable_seq])

    async def _send_all(self, frame: list[Any]) -> None:
        for session in list(self._sessions):
            await self._send(session, frame)

    async def _send(self, session: Session, frame: list[Any]) -> None:
        if not (self.answers_lost and frame[0] in (TAPPED, RESULT, ERROR)):
            await session.socket.send_message(pack(frame))

    async def serve(self, started: Callable[["ScriptedGame"], None]) -> None:
        """Runs until cancelled; calls `started` when the socket's address is known."""
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, self._connected, 0, host="127.0.0.1"))
            self.socket_url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/ws"
            started(self)

    async def _connected(self, stream: trio.SocketStream) -> None:
        try:
            async with trio.open_nursery() as nursery:
                request: WebSocketRequest = await wrap_server_stream(nursery, stream)
                assert request.proposed_subprotocols == ("ppj.v1.msgpack",)
                socket = await request.accept(subprotocol="ppj.v1.msgpack")
                self.sockets_opened += 1
                session = Session(socket, stream)
                with session.conversation:
                    await self._converse(session)
                await socket.aclose(*session.ending)
                nursery.cancel_scope.cancel()
        except* (ConnectionClosed, trio.ClosedResourceError, trio.BrokenResourceError):
            pass  # the scripted end of this socket

    async def _converse(self, session: Session) -> None:
        self._sessions.append(session)
        try:
            while True:
                payload = await session.socket.get_message()
                assert isinstance(payload, bytes)
                frame = unpack(payload)
                self.frames.append(frame)
                if self.mute and frame[0] != HELLO:
                    continue
                await self._answer(session, frame)
        finally:
            if session in self._sessions:
                self._sessions.remove(session)

    async def _answer(self, session: Session, frame: list[Any]) -> None:
        op, seq = frame[0], frame[1]
        if op == HELLO:
            await self._greet(session, frame[2])
        elif op == PING:
            await self._send(session, [PONG, seq, frame[2], self.clock_ms])
        elif (error := self._error(session, seq)) is not None:
            await self._send(session, error)
            await self._send(session, [DURABLE, self.lineages[session.lineage].durable_seq])
        elif op == TAP:
            await self._send(session, self._tapped(session, seq, frame[2]))
        else:
            await self._send(session, self._acted(session, seq, frame[2], frame[3]))

    async def _greet(self, session: Session, body: dict[str, Any]) -> None:
        self.hellos.append(body)
        if self.refuse_hello:
            self._sessions.remove(session)
            session.end(self.refuse_hello.pop(0), "scripted")
            return
        session.lineage = body["lineage"]
        lineage = self.lineages.setdefault(session.lineage, Lineage())
        lineage.blocked_seq = None
        older = [other for other in self._sessions if other is not session and other.lineage == session.lineage]
        for other in older:
            self._sessions.remove(other)
            other.end(4510, "lineage taken over")
        welcome = {
            "session": "s1", "player": "player-1", "applied_seq": lineage.applied_seq,
            "durable_seq": lineage.durable_seq, "channels": {}, "now_ms": self.clock_ms, "ping_s": 25,
            "limits": {"frame_bytes": 4096, "taps_per_frame": 100, "taps_per_s": 15, "burst": 40},
            "state": self._state(),
        }  # fmt: skip
        await self._send(session, [WELCOME, 0, welcome])

    def _state(self) -> dict[str, Any]:
        level = 1 + isqrt(self.xp // 100)
        rewards = sum(step * LEVEL_REWARD_MPT for step in range(2, level + 1))
        return {
            "tokens": self.xp * 1000 + rewards + self.granted_mpt, "xp": self.xp, "level": level, "rank": "Novice",
            "energy": max(0, self.energy - self.xp), "energy_cap": 1000, "energy_regen_mps": 1000, "combo": self.combo,
            "generation": 1, "tap_level": 1, "multiplier_bp": 10_000, "streak": 0, "energy_cap_level": 1,
            "energy_regen_level": 1, "offline_level": 0, "double_until_ms": 0,
        }  # fmt: skip

    def _error(self, session: Session, seq: int) -> list[Any] | None:
        lineage = self.lineages[session.lineage]
        if seq <= lineage.applied_seq:
            return None
        if lineage.blocked_seq is not None and seq > lineage.blocked_seq:
            return [ERROR, seq, 9, "busy", "scripted", 30]
        if not self.error_for.get(seq):
            lineage.blocked_seq = None
            return None
        code, name, retry_after_ms = self.error_for[seq].pop(0)
        if retry_after_ms > 0:
            lineage.blocked_seq = seq
        else:
            self._consume(lineage, seq)
        return [ERROR, seq, code, name, "scripted", retry_after_ms]

    def _consume(self, lineage: Lineage, seq: int) -> None:
        lineage.applied_seq = seq
        if self.durable_at_once:
            lineage.durable_seq = seq

    def _tapped(self, session: Session, seq: int, count: int) -> list[Any]:
        lineage = self.lineages[session.lineage]
        accepted = 0
        if seq > lineage.applied_seq:
            accepted = min(count, self.accept_at_most)
            lineage.taps[seq] = accepted
            self.combo += accepted
            self._consume(lineage, seq)
        state = self._state()
        numbers = [state[name] for name in ("tokens", "xp", "level", "energy", "combo")]
        return [TAPPED, seq, accepted, *numbers, lineage.durable_seq]

    def _acted(self, session: Session, seq: int, name: str, args: dict[str, Any]) -> list[Any]:
        lineage = self.lineages[session.lineage]
        if seq > lineage.applied_seq:
            lineage.results[seq] = self.result_of.get(name, {"did": name, "args": args})
            self._consume(lineage, seq)
        return [RESULT, seq, lineage.results.get(seq, {"repeat": True, "state": self._state()}), lineage.durable_seq]


class _Pages(SimpleHTTPRequestHandler):
    """The Mini App's files and the few calls it makes, with the headers the real server sends."""

    game: ScriptedGame

    def __init__(self, *args: Any, game: ScriptedGame, **kwargs: Any) -> None:
        self.game = game
        super().__init__(*args, directory=str(MINIAPP), **kwargs)

    def end_headers(self) -> None:
        if self.path != "/blank":  # Playwright's wait_for_function needs eval, which the real policy forbids
            self.send_header("Content-Security-Policy", DOCS_CSP if self.path.startswith("/docs") else PAGE_CSP)
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Stays silent: a test's output is its failures."""

    def do_GET(self) -> None:
        if self.game.http_down:
            self._json(503, {"title": "starting"})
        elif self.path == "/config.json":
            self._json(200, {"socket_url": self.game.socket_url})
        elif self.path == "/openapi.json":
            paths = {"/healthz": {"get": {"summary": "Alive?", "responses": {"200": {"description": "yes"}}}}}
            self._json(200, {"openapi": "3.1.0", "info": {"title": "Scripted", "version": "1"}, "paths": paths})
        elif self.path == "/blank":
            self._bytes(200, b"<!doctype html><title>blank</title>", "text/html")
        else:
            if self.path == "/docs":
                self.path = "/docs/../api_docs.html"
            super().do_GET()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.game.http_posts.append((self.path, body))
        tokens = {"access": "access-1", "refresh": "refresh-1", "expires_in_s": 900, "player": "player-1"}
        if self.game.http_down:
            self._json(503, {"title": "starting"})
        elif self.path == "/auth/refresh" and self.game.refuse_refresh:
            self._json(self.game.refuse_refresh.pop(0), {"title": "scripted"})
        elif self.path == "/auth/dev" and not self.game.dev_login:
            self._json(404, {"title": "not found"})
        elif self.path == "/auth/login" and "hash=" not in body["init_data"]:
            self._json(401, {"title": "unauthenticated"})
        else:
            self._json(200, tokens)

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._bytes(status, json.dumps(body).encode(), "application/json")

    def _bytes(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_game() -> Iterator[ScriptedGame]:
    """A scripted game with its pages, on free ports; everything has ended when the block ends."""
    game = ScriptedGame()
    ready = threading.Event()
    stop: list[trio.CancelScope] = []
    failures: list[BaseException] = []

    async def serve() -> None:
        with trio.CancelScope() as scope:
            stop.append(scope)
            await game.serve(lambda _: ready.set())

    def run() -> None:
        try:
            trio.run(serve)
        except BaseException as error:  # noqa: BLE001 - handed to the test's thread below
            failures.append(error)
            ready.set()

    pages = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, game=game))
    game.page_url = f"http://127.0.0.1:{pages.server_port}"
    threads = [threading.Thread(target=run), threading.Thread(target=partial(pages.serve_forever, poll_interval=0.05))]
    for thread in threads:
        thread.start()
    ready.wait(10)
    try:
        yield game
    finally:
        if not failures and game._token is not None:
            trio.from_thread.run_sync(stop[0].cancel, trio_token=game._token)
        pages.shutdown()
        pages.server_close()
        for thread in threads:
            thread.join(10)
    if failures:
        raise failures[0]
