"""Opening handshakes over a real socket: what is refused, how, and that nothing is left behind."""

import pytest
import trio
from structlog.testing import capture_logs

from gameserver.edge import gateway, portable
from gameserver.edge.upgrade import check_upgrade
from tests.fakes.game_client import SUBPROTOCOL, connect
from tests.fakes.loopback_game import loopback_game
from tests.fakes.raw_websocket import converse, request, upgraded


async def answer_to(data: bytes, origins: tuple[str, ...] = ()) -> tuple[int, bytes]:
    """Status and body of the server's answer to `data`."""
    async with loopback_game(origins=origins) as game:
        async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
            answer = await converse(stream, data)
        assert game.counters.crashes_total == 0
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


@pytest.mark.parametrize("path", ["/", "/ws/", "/wss", "/ws2?x=/ws"])
async def test_another_path_is_404(path: str) -> None:
    status, body = await answer_to(request(path))
    assert status == 404
    assert b"/ws" in body


async def test_a_query_is_ignored() -> None:
    async with loopback_game() as game, connect(game.port, path="/ws?room=1") as client:
        await client.hello(game.token())


@pytest.mark.parametrize("offered", [None, "chat", "ppj.v2.msgpack, chat", "PPJ.V1.MSGPACK", ""])
async def test_no_or_no_known_subprotocol_is_400_and_names_the_supported_one(offered: str | None) -> None:
    status, body = await answer_to(request(Sec_WebSocket_Protocol=offered))
    assert status == 400
    assert SUBPROTOCOL.encode() in body


async def test_ours_is_chosen_among_several() -> None:
    async with loopback_game() as game, connect(game.port, subprotocols=["chat", SUBPROTOCOL]) as client:
        assert client.socket.subprotocol == SUBPROTOCOL


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://game.example", 101),
        ("https://game.example/", 101),
        ("https://evil.example", 403),
        ("null", 403),
        ("https://game.example.evil.example", 403),
        ("https://gam\xe9.example", 403),
    ],
)
async def test_origins_are_checked_where_a_list_is_set(origin: str, status: int) -> None:
    data = request(Origin=origin)
    if status == 101:
        async with (
            loopback_game(origins=["https://game.example"]) as game,
            await trio.open_tcp_stream("127.0.0.1", game.port) as stream,
        ):
            await stream.send_all(data)
            assert b" 101 " in await stream.receive_some()
    else:
        assert (await answer_to(data, ("https://game.example",)))[0] == status


async def test_a_client_without_an_origin_is_no_browser_and_may_come() -> None:
    async with loopback_game(origins=["https://game.example"]) as game, connect(game.port) as client:
        await client.hello(game.token())


def test_without_a_list_any_origin_may_come() -> None:
    assert check_upgrade("/ws", [SUBPROTOCOL], "https://evil.example", ()) is None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(method="POST"), 400),
        (request(Upgrade=None), 400),
        (request(Connection="close"), 400),
        (request(Sec_WebSocket_Key=None), 400),
        (request(Sec_WebSocket_Version="8"), 426),
        (request(Host=None), 400),
        (request(Host="\xff\xfe"), 400),
        (request(Host="xn--ls8h\xe9"), 400),
        (request(Sec_WebSocket_Protocol="\xe9"), 400),
        (request(Connection="Upgr\xe4de"), 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), 400),
        (b"hello\r\n\r\n", 400),
        (b"GET /ws HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET /ws HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 400),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, int) else "",
)
async def test_what_is_no_handshake_is_refused_and_no_bug_of_ours(data: bytes, status: int) -> None:
    with capture_logs() as logs:
        assert (await answer_to(data))[0] == status
    assert logs == []


async def test_who_does_not_shake_hands_in_time_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    for transport in (gateway, portable):
        monkeypatch.setattr(transport, "HANDSHAKE_DEADLINE_S", 0.05)
    async with loopback_game() as game:
        for data in (b"", b"GET /ws HT", request()[:-2]):
            async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
                assert await converse(stream, data) == b""
        assert game.admission.statistics().admitted_total == 3
        with trio.fail_after(5):
            while game.admission.statistics().sockets:
                await trio.lowlevel.checkpoint()


async def test_who_goes_before_the_handshake_costs_nothing() -> None:
    async with loopback_game() as game:
        for _ in range(20):
            stream = await trio.open_tcp_stream("127.0.0.1", game.port)
            await stream.send_all(b"GET /ws HTTP/1.1\r\n")
            await stream.aclose()
        with trio.fail_after(2):  # well before the handshake's own deadline
            while game.admission.statistics().admitted_total < 20 or game.admission.statistics().sockets:
                await trio.lowlevel.checkpoint()


async def test_a_socket_that_was_upgraded_is_closed_with_the_server() -> None:
    async with loopback_game() as game:
        stream = await trio.open_tcp_stream("127.0.0.1", game.port)
        raw = await upgraded(stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(game.listener.drain)
            frames = await raw.frames()
            await stream.aclose()
        assert [opcode for opcode, _ in frames] == [2, 8]
