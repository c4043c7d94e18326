"""The command that other suites are pointed at: says where it listens, and ends when it is told to."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from gameserver.settings import TransportKind
from tests.fakes.echo_client import BYE, CLOSED, frame
from tests.fakes.raw_websocket import TEXT, request, upgraded

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_a_signal_and_ends_cleanly(transport: TransportKind, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.conformance_echo", "--transport", transport, "--port", "0"]
    process = await trio.lowlevel.open_process(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(20):
            line = b""
            while not line.endswith(b"\n"):
                part = await process.stdout.receive_some()
                assert part, await read_all(process.stderr)
                line += part
            assert line.decode().startswith(f"{transport} transport echoes at ws://127.0.0.1:")
            port = int(line.rpartition(b":")[2].rstrip(b"/\n"))
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                raw = await upgraded(stream, request("/", sec_websocket_protocol=None))
                await raw.send(frame(TEXT, b"hello") + BYE)
                assert await raw.frames() == [(TEXT, b"hello"), CLOSED]
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:  # one is open when the end comes
                await upgraded(stream, request("/", sec_websocket_protocol=None))
                process.send_signal(how)
                assert (await process.wait(), await read_all(process.stdout), await read_all(process.stderr)) == (
                    0,
                    b"",
                    b"",
                )
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        await process.stdout.aclose()
        await process.stderr.aclose()


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything until its end."""
    return b"".join([bytes(part) async for part in stream])
