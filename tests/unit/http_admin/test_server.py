"""HTTP connections over streams in memory, on a clock that jumps: how long each may take, and how many there may be."""

# ruff: noqa: ARG001 - autojump_clock: waiting costs nothing

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from http_admin.server import HEAD_S, HttpServer
from tests.fakes.http_peer import GET, Peer, answer, http_server


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
