"""A server that only answers: what a generator reaches against it is the generator's own ceiling.

`python -m loadtest.fixed_answers` prints its URL and serves until it is ended. One process, one epoll loop, no game:
every connection is a player with endless energy whose taps all count. It does what the client checks, and no more: any
frame but HELLO, TAP and close ends the connection.
"""

import selectors
import signal
import socket
import sys
from math import isqrt
from typing import Final

import msgspec

from gameserver.wire.codec import encode
from gameserver.wire.messages import Limits, State, Welcome, WelcomeBody
from gameserver.wire.ops import (
    MAX_CLIENT_FRAME_BYTES,
    MAX_TAPS_PER_FRAME,
    PING_AFTER_S,
    SUBPROTOCOL,
    Op,
)
from hotpath.tap_codec import decode_tap, encode_tapped
from loadtest.ws_client import RECEIVE_BYTES, Opcode, accept_key

ENERGY: Final = 1_000
BACKLOG: Final = 4_096


def server_frame(opcode: int, payload: bytes) -> bytes:
    """One final, unmasked frame of less than 64 KiB."""
    size = len(payload)
    if size <= 125:
        return bytes((0x80 | opcode, size)) + payload
    return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload


def client_payload(data: bytes) -> tuple[int, bytes, int]:
    """Opcode, payload and end of the first frame in `data`; end 0 while it is not whole.

    Raises:
        ValueError: a length this server does not expect of its clients.
    """
    if len(data) < 2:
        return 0, b"", 0
    size, begin = data[1] & 0x7F, 6
    if size == 126:
        size, begin = int.from_bytes(data[2:4], "big"), 8
    if size > MAX_CLIENT_FRAME_BYTES or not data[1] & 0x80:
        raise ValueError("too long, or not masked")
    end = begin + size
    if len(data) < end:
        return 0, b"", 0
    key = int.from_bytes((data[begin - 4 : begin] * (size // 4 + 1))[:size], "big")
    return data[0] & 0x0F, (int.from_bytes(data[begin:end], "big") ^ key).to_bytes(size, "big"), end


class Answerer:
    """One connection: bytes in, bytes to send out.

    Attributes:
        done: nothing more is to be answered; close once everything is sent.
    """

    def __init__(self) -> None:
        self.done = False
        self._upgraded = False
        self._data = b""
        self._xp = 0

    def answer(self, data: bytes) -> bytes:
        """What to send in answer to `data`.

        Raises:
            ValueError: the client is none of ours.
        """
        self._data += data
        answers = b""
        if not self._upgraded:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return b""
            self._upgraded, self._data = True, rest
            answers = _upgrade(head)
        while not self.done:
            opcode, payload, end = client_payload(self._data)
            if not end:
                break
            self._data = self._data[end:]
            answers += self._answer_frame(opcode, payload)
        return answers

    def _answer_frame(self, opcode: int, payload: bytes) -> bytes:
        if opcode == Opcode.CLOSE:
            self.done = True
            return server_frame(Opcode.CLOSE, payload)
        tap = decode_tap(payload)
        if tap is not None:
            seq, count, _ = tap
            self._xp += count
            tapped = encode_tapped(seq, count, self._xp, self._xp, _level(self._xp), ENERGY, 0, seq)
            return server_frame(Opcode.BINARY, tapped)
        if msgspec.msgpack.decode(payload)[0] == Op.HELLO:
            return server_frame(Opcode.BINARY, encode(_welcome(self._xp)))
        raise ValueError("neither HELLO nor TAP")


def _level(xp: int) -> int:
    return 1 + isqrt(xp // 100)


def _upgrade(head: bytes) -> bytes:
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    key = next((value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key"), None)
    if key is None:
        raise ValueError("no WebSocket request")
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    ).encode()


def _welcome(xp: int) -> Welcome:
    state = State(
        tokens_mpt=xp,
        xp=xp,
        level=_level(xp),
        rank="Novice",
        energy=ENERGY,
        energy_cap=ENERGY,
        energy_regen_mps=0,
        combo=0,
        generation=1,
        tap_level=1,
        multiplier_bp=10_000,
        streak_days=0,
        energy_cap_level=1,
        energy_regen_level=1,
        offline_level=0,
        double_until_ms=0,
    )
    limits = Limits(
        frame_bytes=MAX_CLIENT_FRAME_BYTES,
        taps_per_frame=MAX_TAPS_PER_FRAME,
        taps_per_s=MAX_TAPS_PER_FRAME,
        burst=MAX_TAPS_PER_FRAME,
    )
    return Welcome(
        body=WelcomeBody(
            session="",
            player="",
            applied_seq=0,
            durable_seq=0,
            channels={},
            now_ms=0,
            ping_s=PING_AFTER_S,
            limits=limits,
            state=state,
        )
    )


def serve(listener: socket.socket) -> None:
    """Answer everybody for ever; a client that is none of ours, or goes, is closed.

    Args:
        listener: bound, listening.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for ready, _ in selector.select():
                if ready.data is None:
                    client, _ = listener.accept()
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(client, selectors.EVENT_READ, (client, Answerer()))
                    continue
                client, answerer = ready.data
                if not _serve_once(client, answerer):
                    selector.unregister(client)
                    client.close()


def _serve_once(client: socket.socket, answerer: Answerer) -> bool:
    """Answer what has come; whether the connection goes on. Answers are smaller than any socket buffer."""
    try:
        data = client.recv(RECEIVE_BYTES)
        client.sendall(answerer.answer(data))
    except (OSError, ValueError, msgspec.DecodeError):
        return False
    return bool(data) and not answerer.done


def main() -> None:
    """Serve on a free port of the loopback interface until SIGTERM or SIGINT."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        sys.stdout.write(f"ws://127.0.0.1:{listener.getsockname()[1]}/ws\n")
        sys.stdout.flush()
        serve(listener)


if __name__ == "__main__":
    main()
