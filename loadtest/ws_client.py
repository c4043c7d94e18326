"""The client side of RFC 6455, as little of it as a load generator needs.

General WebSocket libraries cost a generator several times what the exchange itself costs, and then the figures are
theirs. Here a message is one `sendall` of one frame and, nearly always, one `recv`. Below are frames as bytes, without
a socket (`client_frame`, `FrameReader`); above them `WebSocket`, which blocks. It uses the standard `socket` module as
it finds it: in a process that gevent has patched it blocks only its greenlet.

Left out, because nothing here needs it: extensions, fragmented sending, and masking keys that cannot be guessed (they
protect proxies from pages that choose their payload; a random number is enough for the server to do its work).
"""

import base64
import contextlib
import enum
import hashlib
import os
import random
import socket
import ssl
import struct
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

MAX_MESSAGE_BYTES: Final = 1 << 20  #: more from a server is a fault, not a message
MAX_CONTROL_BYTES: Final = 125  #: RFC 6455 §5.5
MAX_RESPONSE_BYTES: Final = 16 * 1024  #: status line and headers of the answer to the upgrade
RECEIVE_BYTES: Final = 64 * 1024
CLOSE_WAIT_S: Final = 2.0  #: for the server's half of the close handshake
ABNORMAL: Final = 1006  #: RFC 6455 §7.1.5: ended without a close frame
NO_STATUS: Final = 1005  #: RFC 6455 §7.1.5: a close frame without a code
_ACCEPT_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3

_draw_bits = random.getrandbits


class Opcode(enum.IntEnum):
    """RFC 6455 §5.2."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


_OPCODES: Final = frozenset(Opcode)


class Message(NamedTuple):
    """A whole data message, or a control frame."""

    opcode: int
    payload: bytes


class ProtocolError(Exception):
    """The server broke RFC 6455, or answered the upgrade otherwise than asked."""


class Closed(Exception):
    """The connection is over.

    Args:
        code: of the server's close frame or GOODBYE; 1006 if it ended without one.
        reason: the server's words.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


def client_frame(opcode: int, payload: bytes) -> bytes:
    """One final, masked frame.

    Args:
        opcode: see `Opcode`.
        payload: all of the message.
    """
    key = _draw_bits(32)
    size = len(payload)
    if size <= 125:
        header = struct.pack(">BBI", 0x80 | opcode, 0x80 | size, key)
    elif size <= 0xFFFF:
        header = struct.pack(">BBHI", 0x80 | opcode, 0x80 | 126, size, key)
    else:
        header = struct.pack(">BBQI", 0x80 | opcode, 0x80 | 127, size, key)
    # XOR with the key repeated, as one number (RFC 6455 §5.3): far less work than byte by byte.
    repeated = (key.to_bytes(4, "big") * (size // 4 + 1))[:size]
    return header + (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


class FrameReader:
    """Bytes of a server in, messages out; fragments are put together, control frames come between them.

    After a `ProtocolError` the reader is of no more use.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._fragments: list[bytes] = []
        self._fragments_bytes = 0
        self._fragmented_opcode = 0

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        self._buffer += data

    def next_message(self) -> Message | None:
        """Take the next message out; None until more is fed.

        Raises:
            ProtocolError: what came is no frame that a server may send.
        """
        while (frame := self._next_frame()) is not None:
            is_final, opcode, payload = frame
            if opcode & 0x8:
                return Message(opcode, payload)
            if opcode == Opcode.CONTINUATION:
                if not self._fragmented_opcode:
                    raise ProtocolError("a continuation of nothing")
            elif self._fragmented_opcode:
                raise ProtocolError("a new message inside a fragmented one")
            elif is_final:
                return Message(opcode, payload)
            else:
                self._fragmented_opcode = opcode
            self._fragments.append(payload)
            self._fragments_bytes += len(payload)
            if self._fragments_bytes > MAX_MESSAGE_BYTES:
                raise ProtocolError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")
            if is_final:
                whole = Message(self._fragmented_opcode, b"".join(self._fragments))
                self._fragments, self._fragments_bytes, self._fragmented_opcode = [], 0, 0
                return whole
        return None

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, size = buffer[0], buffer[1]
        is_final, opcode, begin = bool(first & 0x80), first & 0x0F, 2
        if first & 0x70 or opcode not in _OPCODES:
            raise ProtocolError(f"a frame begins with {first:#04x}, and no extension was agreed")
        if size & 0x80:
            raise ProtocolError("a server's frame is masked")
        if opcode & 0x8 and (size > MAX_CONTROL_BYTES or not is_final):
            raise ProtocolError("a control frame is long or fragmented")
        if size >= 126:
            shape, least = (">H", 126) if size == 126 else (">Q", 0x10000)
            begin += struct.calcsize(shape)
            if len(buffer) < begin:
                return None
            (size,) = struct.unpack_from(shape, buffer, 2)
            if size < least:
                raise ProtocolError("a length is not in its shortest form")
            if size > MAX_MESSAGE_BYTES:
                raise ProtocolError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")
        end = begin + size
        if len(buffer) < end:
            return None
        payload = bytes(buffer[begin:end])
        del buffer[:end]
        return is_final, opcode, payload


class WebSocket:
    """A connection; made by `open`.

    Resources: the socket stays open until `close` or `drop`, or until `receive` raises `Closed`.
    """

    def __init__(self, stream: socket.socket, reader: FrameReader) -> None:
        self._stream = stream
        self._reader = reader

    @classmethod
    def open(cls, url: str, *, subprotocol: str, timeout_s: float) -> Self:
        """Connect and upgrade.

        Args:
            url: ws:// or wss://, with path.
            subprotocol: the one to offer, and to insist on.
            timeout_s: longest wait for anything from now on.

        Raises:
            OSError: no connection, or it broke; TimeoutError among them.
            ProtocolError: the server did not upgrade as asked.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        host = parts.hostname or ""
        stream = socket.create_connection((host, parts.port or (443 if secure else 80)), timeout=timeout_s)
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if secure:
                stream = ssl.create_default_context().wrap_socket(stream, server_hostname=host)
            key = base64.b64encode(os.urandom(16))
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            stream.sendall(upgrade_request(target, parts.netloc, key, subprotocol))
            reader = FrameReader()
            reader.feed(_read_upgrade(stream, key, subprotocol))
        except BaseException:
            stream.close()
            raise
        return cls(stream, reader)

    def send(self, payload: bytes) -> None:
        """Send a binary message.

        Raises:
            OSError: the connection broke.
        """
        self._stream.sendall(client_frame(Opcode.BINARY, payload))

    def receive(self) -> bytes:
        """The next binary message; pings are answered on the way.

        Raises:
            Closed: the server has closed.
            ProtocolError: the server broke the protocol, or sent text.
            OSError: the connection broke; TimeoutError when nothing came in time.
        """
        while True:
            while (message := self._reader.next_message()) is None:
                data = self._stream.recv(RECEIVE_BYTES)
                if not data:
                    self.drop()
                    raise Closed(ABNORMAL, "the connection ended")
                self._reader.feed(data)
            opcode, payload = message
            if opcode == Opcode.BINARY:
                return payload
            if opcode == Opcode.PING:
                self._stream.sendall(client_frame(Opcode.PONG, payload))
            elif opcode == Opcode.CLOSE:
                with contextlib.suppress(OSError):
                    self._stream.sendall(client_frame(Opcode.CLOSE, payload[:2]))
                self.drop()
                raise Closed(*read_close(payload))
            elif opcode == Opcode.TEXT:
                self.drop()
                raise ProtocolError("a text message, which this protocol does not have")

    def receive_within(self, wait_s: float) -> bytes | None:
        """As `receive`, but None when no message came in time.

        Args:
            wait_s: longest wait for anything, above 0.
        """
        usual_s = self._stream.gettimeout()
        self._stream.settimeout(wait_s)
        try:
            return self.receive()
        except TimeoutError:
            return None  # the beginning of a frame stays where it is
        finally:
            if self._stream.fileno() >= 0:  # the server may have closed
                self._stream.settimeout(usual_s)

    def close(self, code: int = 1000) -> None:
        """Close as RFC 6455 §7 says: our close frame, the server's, the socket. Never raises."""
        with contextlib.suppress(OSError, Closed, ProtocolError):
            self._stream.settimeout(CLOSE_WAIT_S)
            self._stream.sendall(client_frame(Opcode.CLOSE, struct.pack(">H", code)))
            while True:
                self.receive()
        self.drop()

    def drop(self) -> None:
        """Be gone without a word, as a phone in a tunnel is."""
        self._stream.close()


def read_close(payload: bytes) -> tuple[int, str]:
    """Code and reason of a close frame (RFC 6455 §5.5.1).

    Raises:
        ProtocolError: it has half a code, or a reason that is no UTF-8.
    """
    if not payload:
        return NO_STATUS, ""
    if len(payload) == 1:
        raise ProtocolError("a close frame with half a code")
    try:
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError("the reason of a close frame is no UTF-8") from None


def upgrade_request(target: str, host: str, key: bytes, subprotocol: str) -> bytes:
    """The opening request (RFC 6455 §4.1).

    Args:
        target: path and query.
        host: name and port as in the URL.
        key: 16 random bytes in base64.
        subprotocol: the one to offer.
    """
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    ).encode()


def accept_key(key: bytes) -> str:
    """What a server makes of the client's key (RFC 6455 §4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID, usedforsecurity=False).digest()).decode()


def _read_upgrade(stream: socket.socket, key: bytes, subprotocol: str) -> bytes:
    """Read and check the answer to the opening request; returns what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(RECEIVE_BYTES)
        if not more:
            raise ProtocolError("the server ended the connection instead of upgrading it")
        data += more
        if len(data) > MAX_RESPONSE_BYTES and b"\r\n\r\n" not in data:
            raise ProtocolError("the answer to the upgrade has no end")
    head, rest = data.split(b"\r\n\r\n", 1)
    status, *lines = head.decode("latin-1").split("\r\n")
    if status.split(" ")[:2] != ["HTTP/1.1", "101"]:
        raise ProtocolError(f"the server answered the upgrade with: {status}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    wanted = {"sec-websocket-accept": accept_key(key), "sec-websocket-protocol": subprotocol}
    for name, value in wanted.items():
        if headers.get(name) != value:
            raise ProtocolError(f"{name} is {headers.get(name)!r}, not {value!r}")
    if "sec-websocket-extensions" in headers:
        raise ProtocolError("the server chose an extension that nobody offered")
    return rest
