"""The opening handshake (RFC 6455, section 4.2) without a socket: bytes in, one answer out. HTTP is h11's."""

import base64
import binascii
import hashlib

import h11

from gameserver.edge.terms import Terms, Upgrade
from gameserver.edge.upgrade import Refusal, announces_body

MAX_HEAD_BYTES = 8_192
KEY_BYTES = 16
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  #: RFC 6455, 1.3
VERSION = b"13"
REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    426: "Upgrade Required",
    503: "Service Unavailable",
}


class Handshake:
    """One opening handshake.

    Args:
        terms: what is demanded of the peer.
        refusal: decided beforehand: whatever is asked for, this is the answer.
    """

    def __init__(self, terms: Terms, refusal: Refusal | None) -> None:
        self._terms = terms
        self._refusal = refusal
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.accepted = False

    @property
    def surplus(self) -> bytes:
        """What came behind the request: the first frames."""
        return bytes(self._http.trailing_data[0])

    def receive(self, data: bytes) -> bytes | None:
        """Take in bytes; returns the whole answer once the request is complete, None before.

        After an answer with `accepted` the connection speaks WebSocket; after any other it is to be closed.
        """
        try:
            self._http.receive_data(data)
            request = self._http.next_event()
        except h11.RemoteProtocolError:
            return refusal_response(self._refusal or Refusal(400, "This is no request as HTTP/1.1 has them."))
        if not isinstance(request, h11.Request):
            return None
        refusal = self._refusal or self._fault(request) or self._judge(request)
        if refusal is not None:
            return refusal_response(refusal)
        self.accepted = True
        return self._acceptance(_header(request, b"sec-websocket-key"))

    def _fault(self, request: h11.Request) -> Refusal | None:
        """What is wrong with it as a WebSocket handshake."""
        if request.method != b"GET" or request.http_version < b"1.1":
            return Refusal(400, "A WebSocket handshake is a GET of HTTP/1.1.")
        if not _header(request, b"host").isascii():
            return Refusal(400, "The Host header names no host.")
        if b"websocket" not in _tokens(request, b"upgrade") or b"upgrade" not in _tokens(request, b"connection"):
            return Refusal(400, "This is a WebSocket: ask for an upgrade.")
        if _header(request, b"sec-websocket-version") != VERSION:
            return Refusal(426, f"The WebSocket version spoken here is {VERSION.decode()}.")
        try:
            key = base64.b64decode(_header(request, b"sec-websocket-key"), validate=True)
        except binascii.Error:
            key = b""
        return None if len(key) == KEY_BYTES else Refusal(400, "Sec-WebSocket-Key must be 16 bytes in base64.")

    def _judge(self, request: h11.Request) -> Refusal | None:
        offered = _header(request, b"sec-websocket-protocol").decode("latin-1")
        origin = _header(request, b"origin").decode("latin-1")
        return self._terms.refuse(
            Upgrade(
                path=request.target.decode("latin-1"),
                subprotocols=tuple(part.strip() for part in offered.split(",") if part.strip()),
                origin=origin or None,
                has_body=announces_body(request.headers),
            )
        )

    def _acceptance(self, key: bytes) -> bytes:
        proof = base64.b64encode(hashlib.sha1(key + GUID).digest())  # noqa: S324 - what the RFC asks for
        subprotocol = self._terms.subprotocol
        chosen = f"sec-websocket-protocol: {subprotocol}\r\n".encode() if subprotocol else b""
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-accept: " + proof + b"\r\n" + chosen + b"\r\n"
        )


def refusal_response(refusal: Refusal) -> bytes:
    """The whole HTTP response to whoever does not get a WebSocket."""
    body = refusal.body.encode()
    head = [
        f"HTTP/1.1 {refusal.status} {REASONS[refusal.status]}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    if refusal.retry_after_s:
        head.append(f"retry-after: {refusal.retry_after_s}")
    if refusal.status == 426:
        head.append(f"upgrade: websocket\r\nsec-websocket-version: {VERSION.decode()}")
    return "\r\n".join([*head, "", ""]).encode() + body


def _header(request: h11.Request, name: bytes) -> bytes:
    """The value of a header, b"" without it; of one that is repeated, all values as the list they are."""
    return b", ".join([value for field, value in request.headers if field == name])


def _tokens(request: h11.Request, name: bytes) -> set[bytes]:
    return {token.strip().lower() for token in _header(request, name).split(b",")}
