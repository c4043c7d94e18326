"""HTTP connections over streams in memory, on a clock that jumps: how long each may take, and how many there may be."""

# ruff: noqa: ARG001 - autojump_clock: waiting costs nothing

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from hypercorn.typing import ASGIFramework
from structlog.testing import capture_logs
from trio.testing import MockClock, memory_stream_pair

from http_admin.server import HEAD_S, LINGER_S, REQUEST_S, HttpServer

GET = b"GET / HTTP/1.1\r\nhost: game.example\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: game.example\r\ncontent-length: 1000000\r\n\r\n"


async def answer(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Reads the body to its end, then says OK."""
    del scope
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def answer_at_once(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    """Answers without reading the body."""
    del scope, receive
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def never(scope: Any, receive: Any, send: Any) -> None:
    """Does not come to an answer."""
    del scope, receive, send
    await trio.sleep_forever()


def http_server(app: Any = answer, *, max_connections: int = 3) -> HttpServer:
    served: ASGIFramework = app
    return HttpServer(served, grace_s=2, max_connections=max_connections)


class Peer:
    """One end of a connection whose other end the server has."""

    def __init__(self, server: HttpServer, nursery: trio.Nursery, address: str = "192.0.2.1") -> None:
        self.stream, far = memory_stream_pair()
        self.began_s = trio.current_time()
        self.lasted_s = -1.0

        async def serve() -> None:
            await server.serve(far, (address, 1))
            self.lasted_s = trio.current_time() - self.began_s

        nursery.start_soon(serve)

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await self.stream.send_all(data)

    async def drip(self, data: bytes, every_s: float) -> None:
        """Send byte by byte until the server has had enough."""
        for byte in data:
            if self.lasted_s >= 0:
                return
            await self.send(bytes((byte,)))
            await trio.sleep(every_s)

    async def answer(self) -> bytes:
        """The next answer with a body, which is `ok`."""
        received = bytearray()
        while not received.endswith(b"ok"):
            received += await self.stream.receive_some()
        return bytes(received)

    async def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        received = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while part := await self.stream.receive_some():
                received += part
        return received


async def test_a_connection_is_kept_for_the_next_request_and_ended_when_none_comes(autojump_clock: MockClock) -> None:
    server = http_server()
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        for _ in range(3):
            await trio.sleep(HEAD_S - 1)
            await peer.send(GET)
            assert (await peer.answer()).startswith(b"HTTP/1.1 200 ")
        await peer.rest()
    assert peer.lasted_s == pytest.approx(3 * (HEAD_S - 1) + HEAD_S)
    assert server.statistics().late_total == 1
    assert server.statistics().connections == 0


async def test_a_head_that_drips_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    server = http_server()
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.drip(GET * 10, 0.4)
    assert peer.lasted_s == pytest.approx(HEAD_S)
    assert server.statistics().late_total == 1


async def test_a_body_that_drips_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    server = http_server()
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.send(POST)
        await peer.drip(bytes(1_000), 1)
    assert peer.lasted_s == pytest.approx(REQUEST_S)


async def test_an_answer_that_is_not_taken_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    server = http_server(never)
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.send(GET)
    assert peer.lasted_s == pytest.approx(REQUEST_S)
    assert autojump_clock.current_time() >= REQUEST_S


async def test_who_still_sends_sees_the_answer_and_is_not_listened_to_for_long(autojump_clock: MockClock) -> None:
    server = http_server(answer_at_once)
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.send(POST)
        nursery.start_soon(peer.drip, bytes(1_000), 0.3)
        assert (await peer.stream.receive_some()).startswith(b"HTTP/1.1 413 ")
    assert peer.lasted_s == pytest.approx(LINGER_S)
    assert server.statistics().late_total == 0, "that was no fault of the peer's"


async def test_a_flood_from_one_address_ousts_itself(autojump_clock: MockClock) -> None:
    server = http_server(never, max_connections=10)
    async with trio.open_nursery() as nursery:
        honest = Peer(server, nursery, "198.51.100.7")
        await honest.send(GET)
        flood = [Peer(server, nursery, f"2001:db8::{number:x}") for number in range(1, 100)]
        await trio.testing.wait_all_tasks_blocked()
        assert server.statistics().connections == 10
        assert server.statistics().ousted_total == 90
        assert honest.lasted_s < 0
        assert sum(peer.lasted_s < 0 for peer in flood) == 9
        late = Peer(server, nursery, "203.0.113.9")
        await trio.testing.wait_all_tasks_blocked()
        assert late.lasted_s < 0, "who is honest gets in"
        nursery.cancel_scope.cancel()


async def test_room_is_made_by_who_waits_for_a_request_before_who_is_answered(autojump_clock: MockClock) -> None:
    server = http_server(never, max_connections=2)
    async with trio.open_nursery() as nursery:
        busy = Peer(server, nursery)
        await busy.send(GET)
        await trio.testing.wait_all_tasks_blocked()
        waiting = Peer(server, nursery)
        await trio.testing.wait_all_tasks_blocked()
        Peer(server, nursery)
        await trio.testing.wait_all_tasks_blocked()
        assert busy.lasted_s < 0 <= waiting.lasted_s
        nursery.cancel_scope.cancel()


async def test_a_crash_ends_one_connection_and_is_logged_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise UnicodeDecodeError("ascii", b"\xff", 0, 1, "a bug of some library")

    server = http_server()
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            good = Peer(server, nursery)
            with monkeypatch.context() as patched:
                patched.setattr("hypercorn.protocol.h11.H11Protocol._create_stream", crash)
                bad = Peer(server, nursery)
                await bad.send(GET)
                await trio.testing.wait_all_tasks_blocked()
            await good.send(GET)
            assert (await good.answer()).startswith(b"HTTP/1.1 200 ")
    assert [entry["event"] for entry in logs] == ["an HTTP connection crashed"]
    assert server.statistics().crashes_total == 1


@pytest.mark.parametrize(
    "wish",
    [
        b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk",
        b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: \xff",
    ],
)
async def test_another_protocol_is_not_spoken(autojump_clock: MockClock, wish: bytes) -> None:
    server = http_server()
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.send(b"GET / HTTP/1.1\r\nhost: a\r\n" + wish + b"\r\n\r\n")
        assert (await peer.answer()).startswith(b"HTTP/1.1 200 ")
        await peer.send(GET)
        assert (await peer.answer()).startswith(b"HTTP/1.1 200 ")
        nursery.cancel_scope.cancel()
    assert server.statistics().crashes_total == 0


async def test_http_2_without_an_upgrade_is_not_spoken(autojump_clock: MockClock) -> None:
    server = http_server()
    async with trio.open_nursery() as nursery:
        peer = Peer(server, nursery)
        await peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert (await peer.rest()).startswith(b"HTTP/1.1 ")
    assert server.statistics().crashes_total == 0


async def test_at_the_end_free_connections_go_at_once_and_requests_have_their_grace() -> None:
    asked = trio.Event()

    async def slow(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        asked.set()
        await closing.wait()
        await answer(scope, receive, send)

    server, closing = HttpServer(slow, grace_s=5), trio.Event()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run, listeners, closing.wait)
            busy, free = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2)]
            await busy.send_all(GET)
            await asked.wait()
            closing.set()
            assert await free.receive_some() == b""
            received = b""
            while part := await busy.receive_some():
                received += part
            await trio.aclose_forcefully(free)
            await trio.aclose_forcefully(busy)
    assert received.endswith(b"ok")
    assert server.statistics().connections == 0
