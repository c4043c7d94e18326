"""One connection on trio-websocket: any platform, and TLS inside the process.

Two tasks of ours a connection, beside trio-websocket's own reader: one takes messages, always, so that pongs and
closes are never stuck behind our answers; one writes what the session's outbox holds. `send_all` is not cancel-safe,
so whoever gives up on a write gives up on the connection.
"""

import contextlib
from collections.abc import Callable, Collection

import trio
import trio_websocket
import wsproto
from wsproto.frame_protocol import FrameProtocol

from gameserver.edge.session import Session
from gameserver.edge.upgrade import check_upgrade
from gameserver.wire.ops import MAX_CLIENT_FRAME_BYTES, SUBPROTOCOL, CloseCode
from hotpath.outbox import Outbox

HANDSHAKE_DEADLINE_S = 5
CLOSE_DEADLINE_S = 2  #: for the peer's half of the close handshake
LINGER_S = 1
LINGER_BYTES = 1 << 20
QUEUED_MESSAGES = 16
UNFINISHED_BYTES = 1 << 20  #: received without a whole message: empty fragments could otherwise be gathered for ever
CLOSE_FRAME = b"\x88"  #: first byte of a close frame (RFC 6455, 5.2: FIN and opcode 8)
PING = bytes(FrameProtocol(client=False, extensions=[]).ping())
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
#: Close codes that wsproto finds for bytes it cannot read.
PEER_FAULTS = (CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_PAYLOAD)
#: What ends a connection without being anybody's bug.
QUIET = (
    trio_websocket.ConnectionClosed,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    wsproto.utilities.ProtocolError,
)


class _HeldStream(trio.abc.Stream):
    """A stream that whoever uses it cannot close, and that tells what it sees.

    trio-websocket closes the socket right behind a close frame. With input still unread the kernel then sends a reset,
    which can overtake that frame; so the closing, with a pause to read what still comes, stays with `Connection`.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._sending = trio.StrictFIFOLock()
        self.on_end: Callable[[], None] = lambda: None  #: it was closed, or nothing more can be received
        self.on_bytes: Callable[[int], None] = lambda count: None  #: so many bytes came  # noqa: ARG005 - a default
        self.may_close = True  #: no close frame was sent yet, and no frame was left half sent

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        async with self._sending:
            may_close, self.may_close = self.may_close, False
            await self._stream.send_all(data)
            self.may_close = may_close and data[:1] != CLOSE_FRAME  # one frame a call

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.on_end()
            raise
        if data:
            self.on_bytes(len(data))
        else:
            self.on_end()
        return data

    async def aclose(self) -> None:
        self.on_end()
        await trio.lowlevel.checkpoint()


class Connection:
    """One socket and its session.

    Args:
        stream: the accepted byte stream; owned and closed here.
        open_session: makes the session: (outbox, abort) → session.
        allowed_origins: Origin headers that may connect; empty = any.
    """

    def __init__(
        self,
        stream: Stream,
        open_session: Callable[[Outbox, Callable[[], None]], Session],
        allowed_origins: Collection[str],
    ) -> None:
        self.session: Session | None = None
        self._stream = stream
        self._transport = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
        self._held = _HeldStream(stream)
        self._open_session = open_session
        self._allowed_origins = allowed_origins
        self._to_write = trio.Event()
        self._scope = trio.CancelScope()
        self._unfinished_bytes = 0

    async def serve(self) -> None:
        """Shake hands, run the session, close.

        Raises:
            ExceptionGroup: a bug of ours; the peer's faults end the connection quietly.

        Resources: the stream is closed when this returns, however it returns.
        """
        try:
            with self._scope:
                try:
                    async with trio.open_nursery() as nursery:
                        with trio.move_on_after(HANDSHAKE_DEADLINE_S) as handshake:
                            socket = await self._shake_hands(nursery, handshake)
                        if not handshake.cancelled_caught and socket is not None:
                            await self._converse(socket)
                        nursery.cancel_scope.cancel()
                except* QUIET:
                    pass
                except* UnicodeError:  # wsproto decodes header values unguarded
                    if self.session is not None:
                        raise
                    await self._last_words(BAD_REQUEST)
                await self._linger()
        finally:
            await trio.aclose_forcefully(self._stream)
            await trio.aclose_forcefully(self._transport)

    async def _shake_hands(
        self, nursery: trio.Nursery, handshake: trio.CancelScope
    ) -> trio_websocket.WebSocketConnection | None:
        if isinstance(self._stream, trio.SSLStream):
            await self._stream.do_handshake()
        self._held.on_end = handshake.cancel  # gone, or a request that is no handshake and has been answered
        request = await trio_websocket.wrap_server_stream(
            nursery, self._held, message_queue_size=QUEUED_MESSAGES, max_message_size=MAX_CLIENT_FRAME_BYTES
        )
        self._held.on_end = lambda: None
        origin = next((value.decode("latin-1") for name, value in request.headers if name.lower() == b"origin"), None)
        refusal = check_upgrade(request.path, request.proposed_subprotocols, origin, self._allowed_origins)
        if refusal is None:
            return await request.accept(subprotocol=SUBPROTOCOL)
        body = refusal.body.encode()
        await request.reject(refusal.status, extra_headers=[(b"content-type", b"text/plain")], body=body)
        return None

    async def _converse(self, socket: trio_websocket.WebSocketConnection) -> None:
        self.session = session = self._open_session(Outbox(self._wake), self._scope.cancel)
        self._held.on_bytes = self._heard
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, socket, session, nursery)
                try:
                    while True:
                        message = await socket.get_message()
                        self._unfinished_bytes = 0
                        try:
                            if isinstance(message, bytes):
                                session.receive(message)
                            else:
                                session.receive_text(message)
                        except Exception as error:  # noqa: BLE001 - contained to this session
                            session.crashed(error)
                except trio_websocket.ConnectionClosed:
                    # If the close is ours, the writer is busy with it; if it is the peer's, nothing need be written.
                    if session.outbox.closing is None:
                        nursery.cancel_scope.cancel()
            why = socket.closed
            if why is not None and why.code in PEER_FAULTS and self._held.may_close:
                # What wsproto cannot read it reports as if the peer had closed; the peer has to be told.
                close = FrameProtocol(client=False, extensions=[]).close(why.code, why.reason)
                await self._last_words(bytes(close))
        finally:
            session.gone()

    async def _last_words(self, data: bytes) -> None:
        with contextlib.suppress(*QUIET), trio.move_on_after(CLOSE_DEADLINE_S):
            await self._held.send_all(data)

    def _heard(self, count_bytes: int) -> None:
        assert self.session is not None
        self.session.heard()
        self._unfinished_bytes += count_bytes
        if self._unfinished_bytes > UNFINISHED_BYTES:
            self.session.close(CloseCode.TOO_BIG, "a message without an end")

    async def _write(self, socket: trio_websocket.WebSocketConnection, session: Session, nursery: trio.Nursery) -> None:
        outbox = session.outbox
        try:
            while True:
                if outbox.ping_due:
                    outbox.ping_due = False
                    await self._held.send_all(PING)
                frame = outbox.pop()
                if frame is not None:
                    await socket.send_message(frame)
                elif outbox.closing is not None:
                    with trio.move_on_after(CLOSE_DEADLINE_S):
                        await socket.aclose(*outbox.closing)
                    break
                else:
                    await self._to_write.wait()
                    self._to_write = trio.Event()
        except QUIET:
            pass
        nursery.cancel_scope.cancel()

    async def _linger(self) -> None:
        """Let our last frame arrive: end our half, read what the peer still sends, for a while."""
        with contextlib.suppress(*QUIET), trio.move_on_after(LINGER_S):
            if isinstance(self._stream, trio.SSLStream):
                with contextlib.suppress(trio.BrokenResourceError):
                    await self._stream.unwrap()
            await self._transport.send_eof()
            rest = LINGER_BYTES
            while rest > 0 and (data := await self._transport.receive_some()):
                rest -= len(data)

    def _wake(self) -> None:
        self._to_write.set()
