"""Requests that two readers would end at different places, or that ask for another protocol: no second one gets in."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import trio
from hypercorn.typing import ASGIFramework

from gameserver.settings import TransportKind
from http_admin.server import HttpServer
from tests.fakes import loopback_game as loopback
from tests.fakes.loopback_game import loopback_game
from tests.fakes.raw_websocket import CLOSE, converse, request, upgraded
from tests.fakes.site import Site

#: What an attacker wants to have read as a request of its own.
SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: game.example\r\n\r\n"
HEAD = b"POST /auth/dev HTTP/1.1\r\nHost: game.example\r\nContent-Type: application/json\r\n"
CHUNKED = b"0\r\n\r\n"


@asynccontextmanager
async def http_port() -> AsyncIterator[tuple[int, HttpServer]]:
    """The HTTP side on a real port; nothing may have crashed."""
    server = HttpServer(cast("ASGIFramework", Site().app()), grace_s=1)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run, listeners, trio.sleep_forever)
        yield listeners[0].socket.getsockname()[1], server
        assert server.statistics().crashes_total == 0
        nursery.cancel_scope.cancel()


async def statuses(data: bytes, port: int) -> list[int]:
    """The statuses of all answers to `data`, until the server has ended the connection."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        answers = await converse(stream, data)
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answers)]


AMBIGUOUS = {
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "chunks and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 50\r\n\r\n" + CHUNKED,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 47\r\n\r\n",
    "a list of lengths": HEAD + b"Content-Length: 0, 47\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length in hex": HEAD + b"Content-Length: 0x0\r\n\r\n",
    "a length with a space": HEAD + b"Content-Length: 4 7\r\n\r\n",
    "an endless length": HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    "a space before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKED,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "a coding of its own": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "identity": HEAD + b"Transfer-Encoding: identity\r\n\r\n",
    "chunked, identity": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "chunks in HTTP/1.0": HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "a chunk's size that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "a chunk's size with a sign": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a name with a control character": HEAD + b"Content-Length\x00: 0\r\n\r\n",
    "a value with a control character": HEAD + b"X: a\x00b\r\n\r\n",
    "a lone carriage return": HEAD + b"X: a\rContent-Length: 0\r\n\r\n",
    "two hosts": HEAD + b"Host: evil.example\r\nContent-Length: 0\r\n\r\n",
    "a target with a line break": b"GET /healthz\r\n/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": b"GET /healthz\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_a_request_with_two_ends_is_refused_and_nothing_behind_it_is_read(data: bytes) -> None:
    async with http_port() as (port, _):
        [status] = await statuses(data + SMUGGLED, port)
    assert status in (400, 501)


async def test_requests_that_are_in_order_may_follow_each_other() -> None:
    async with http_port() as (port, _):
        good = HEAD + b"Content-Length: 14\r\n\r\n" + b'{"name":"ada"}'
        last = SMUGGLED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert await statuses(good + SMUGGLED + last, port) == [200, 200, 200]


async def test_a_body_that_was_not_read_is_no_request() -> None:
    inside = SMUGGLED * 1_000
    async with http_port() as (port, _):
        assert await statuses(HEAD + b"Content-Length: %d\r\n\r\n" % len(inside) + inside, port) == [413]


UPGRADES = {
    "HTTP/2 by upgrade": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "HTTP/2 without settings": b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "a WebSocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    # ended the process once: hypercorn decodes it as ASCII
    "a WebSocket with an odd subprotocol": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: \xff\r\n",
}


@pytest.mark.parametrize("wish", UPGRADES.values(), ids=UPGRADES)
async def test_no_other_protocol_leads_past_a_proxy(wish: bytes) -> None:
    data = b"GET /ws HTTP/1.1\r\nHost: game.example\r\n" + wish + b"\r\n"
    behind = SMUGGLED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with http_port() as (port, _):
        assert await statuses(data, port) == [404]  # nothing is switched: it ends for want of a further request
        assert await statuses(data + behind, port) == [404, 200]


@pytest.mark.parametrize("host", [b"evil.example", b"a;script-src *", b"[::1", b"a@b:c", b"\xff\xfe", b""])
async def test_a_host_that_is_made_up_ends_up_in_no_policy(host: bytes) -> None:
    async with http_port() as (port, _):
        for path in (b"/", b"/config.json"):
            data = b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                answer = await converse(stream, data)
            head = answer.partition(b"\r\n\r\n")[0]
            assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
            assert b"script-src *" not in head
            assert b"evil.example" not in head


async def test_what_stands_behind_a_handshake_is_no_http_any_more() -> None:
    async with loopback_game() as game, await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
        raw = await upgraded(stream, request() + SMUGGLED)
        frames = await raw.frames()
    assert [opcode for opcode, _ in frames] == [CLOSE]
    assert frames[0][1][:2] == (1002).to_bytes(2, "big")


@pytest.fixture(params=[TransportKind.GATEWAY, TransportKind.PORTABLE])
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "TRANSPORT", request.param)


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(
    "changes",
    [
        {"Content_Length": "5", "Transfer_Encoding": "chunked"},
        {"Content_Length": "47"},
        {"Transfer_Encoding": "chunked"},
    ],
)
async def test_a_handshake_has_no_body(changes: dict[str, str]) -> None:
    async with loopback_game() as game:
        async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
            answer = await converse(stream, request(**changes) + SMUGGLED)
        assert re.findall(rb"HTTP/1\.1 (\d{3}) ", answer) == [b"400"]
        assert game.counters.crashes_total == 0
