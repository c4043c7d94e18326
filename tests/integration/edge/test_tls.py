"""TLS inside the process, with a certificate made for the test."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
import trio

from gameserver.settings import TransportKind
from tests.fakes import loopback_game as loopback_game_module
from tests.fakes.game_client import ACTION, ERROR, connect
from tests.fakes.loopback_game import loopback_game
from tests.fakes.raw_websocket import TEXT, close_codes, converse, frame, request, upgraded


@pytest.fixture(params=[TransportKind.AUTO], autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> TransportKind:
    """TLS inside the process chooses the portable transport."""
    kind: TransportKind = request.param
    monkeypatch.setattr(loopback_game_module, "TRANSPORT", kind)
    return kind


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [openssl, *arguments, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
    )
    return cert, key


@pytest.fixture
def server_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def client_tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])


async def tls_stream(port: int, tls: ssl.SSLContext, *, https_compatible: bool = False) -> trio.abc.Stream:
    transport = await trio.open_tcp_stream("127.0.0.1", port)
    stream = trio.SSLStream(transport, tls, server_hostname="127.0.0.1", https_compatible=https_compatible)
    await stream.do_handshake()
    return stream


async def test_a_player_plays_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with loopback_game(tls=server_tls) as game, connect(game.port, tls=client_tls) as client:
        await client.hello(game.token())
        assert (await client.tap(7))[2] == 7
        await client.send(ACTION, 2, "no.such", {})
        await client.expect(ERROR)


@pytest.mark.parametrize("https_compatible", [False, True])
async def test_close_frames_arrive_over_tls(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, https_compatible: bool
) -> None:
    async with loopback_game(tls=server_tls) as game:
        for data, code in ((frame(TEXT, b"x"), 1003), (frame(2, bytes(60_000)), 1009), (frame(3), 1002)):
            stream = await tls_stream(game.port, client_tls, https_compatible=https_compatible)
            raw = await upgraded(stream)
            await raw.send(data)
            assert close_codes(await raw.frames()) == [code]
            await trio.aclose_forcefully(stream)
        assert game.counters.crashes_total == 0


async def test_a_refusal_arrives_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with loopback_game(tls=server_tls) as game:
        stream = await tls_stream(game.port, client_tls)
        assert b" 404 " in await converse(stream, request("/"))
        await trio.aclose_forcefully(stream)


async def test_who_does_not_speak_tls_is_let_go(server_tls: ssl.SSLContext) -> None:
    async with loopback_game(tls=server_tls) as game:
        for data in (request(), bytes(range(256)) * 20, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600)):
            async with await trio.open_tcp_stream("127.0.0.1", game.port) as stream:
                await stream.send_all(data)
                await stream.send_eof()
                with trio.fail_after(10):
                    while await stream.receive_some():
                        pass
        assert game.counters.crashes_total == 0


async def test_a_peer_that_vanishes_over_tls_leaves_nothing(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with loopback_game(tls=server_tls) as game:
        for _ in range(3):
            async with connect(game.port, tls=client_tls) as client:
                await client.hello(game.token())
        with trio.fail_after(5):
            while game.listener.statistics().live:
                await trio.lowlevel.checkpoint()
        assert game.counters.crashes_total == 0
