import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.fixed_answers import Answerer, client_payload
from loadtest.player import Player
from loadtest.ws_client import Opcode, client_frame

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def running_server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "loadtest.fixed_answers"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_players_are_content_with_it_and_it_ends_when_told() -> None:
    with running_server() as (process, url):
        players = [Player(url, f"token-{number}") for number in range(3)]
        for player in players:
            player.connect()
            player.hello()
        for count in (1, 100, 37):
            for player in players:
                player.tap(count, 500)
        for player in players:
            assert player.unfinished == 0
            player.leave()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("size", [0, 1, 125, 126, 4096])
def test_it_reads_the_frames_of_its_client(size: int) -> None:
    payload = os.urandom(size)
    data = client_frame(Opcode.BINARY, payload)
    assert client_payload(data + b"more") == (Opcode.BINARY, payload, len(data))
    assert [client_payload(data[:end])[2] for end in range(min(len(data), 12))] == [0] * min(len(data), 12)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n" + client_frame(Opcode.BINARY, b"\x93\x04\x01\x01"),
        b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n" + client_frame(Opcode.BINARY, bytes(4097)),
        b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n\x82\x01x",
    ],
)
def test_it_has_no_answer_for_others(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"WebSocket|HELLO|long"):
        Answerer().answer(data)
