"""One connection on trio-websocket: any platform, and TLS inside the process.

Two tasks of ours a connection, beside trio-websocket's own reader: one takes messages, always, so that pongs and
closes are never stuck behind our answers; one writes what the session's outbox holds, and at the end the close frame.

trio-websocket answers a close as soon as it reads it, before the messages that came ahead of it are answered, and does
not tell a peer whose bytes it cannot read. So no close frame of its is sent: whatever ended the connection, the writer
sends ours, behind everything that is still owed. `send_all` is not cancel-safe, so whoever gives up on a write gives up
on the connection.
"""

import contextlib
import functools
import ssl
from collections.abc import Callable, Hashable, Iterable, Sequence

import trio
import trio_websocket
import wsproto
from wsproto.frame_protocol import CloseReason, FrameProtocol

from gameserver.edge.terms import SocketSession, Terms, Upgrade
from gameserver.edge.transport import HANDSHAKE_DEADLINE_S, MAX_REFUSALS, Host
from gameserver.edge.upgrade import Refusal, announces_body
from gameserver.wire.ops import CloseCode
from hotpath.outbox import Outbox

CLOSE_DEADLINE_S = 2  #: for what is still owed, and for the peer's half of the close handshake
LINGER_S = 1
LINGER_BYTES = 1 << 20
RECEIVE_BYTES = 1 << 16
#: Received for one message that has not ended: empty fragments could otherwise be gathered for ever. This much beside …
UNFINISHED_BYTES = 1 << 20
#: … a message of the greatest length, each byte of which may come in a fragment with a head of six.
BYTES_PER_FRAGMENTED_BYTE = 7
CLOSE_FRAME = b"\x88"  #: first byte of a close frame (RFC 6455, 5.2: FIN and opcode 8)
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
#: What ends a connection without being anybody's bug.
QUIET = (
    trio_websocket.ConnectionClosed,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    wsproto.utilities.ProtocolError,
)
#: Makes frames of whole messages, between which it keeps nothing.
_encode = FrameProtocol(client=False, extensions=[])
PING = bytes(_encode.ping())


class _HeldStream(trio.abc.Stream):
    """A stream that trio-websocket can neither close nor send a close frame on, and that tells what it sees.

    trio-websocket closes the socket right behind a close frame. With input still unread the kernel then sends a reset,
    which can overtake that frame; so the closing, with a pause to read what still comes, stays with `Connection`.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._sending = trio.StrictFIFOLock()
        self.on_end: Callable[[], None] = lambda: None  #: it was closed, or nothing more can be received
        self.on_bytes: Callable[[int], None] = lambda count: None  #: so many bytes came  # noqa: ARG005 - a default
        self.ended = False  #: a close frame was sent, or a frame is left half sent: nothing may follow

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if data[:1] != CLOSE_FRAME:
            await self.write(data)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send one frame whole, unless none may follow."""
        async with self._sending:
            if self.ended:
                return
            self.ended = True
            await self._stream.send_all(data)
            self.ended = data[:1] == CLOSE_FRAME

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


class PortableTransport:
    """A task for every connection.

    Args:
        host: whom it works for.
        tls: for TLS inside the process; None = plain.
    """

    def __init__(self, host: Host, tls: ssl.SSLContext | None) -> None:
        self._host = host
        self._tls = tls
        self._accepting = trio.CancelScope()
        self._refusals = 0  #: connections that were not admitted and wait for their answer

    async def run(
        self, sockets: Sequence[trio.SocketListener], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled.

        Args:
            sockets: bound; owned and closed here.
            task_status: started once connections are taken.
        """
        listeners = [trio.SSLListener(each, self._tls) if self._tls else each for each in sockets]
        async with trio.open_nursery() as connections:
            with self._accepting:
                async with trio.open_nursery() as accepting:
                    serve = functools.partial(trio.serve_listeners, self._serve, handler_nursery=connections)
                    await accepting.start(serve, listeners)
                    task_status.started()

    def stop_accepting(self) -> None:
        """Take no more connections; those that are there go on."""
        self._accepting.cancel()

    def publish(self, frame: bytes, sessions: Iterable[SocketSession], key: Hashable | None = None) -> None:
        """Send one frame to many; see `Transport`."""
        for session in sessions:
            if key is None:
                session.outbox.push(frame)
            else:
                session.outbox.conflate(key, frame)
            session.check_pace()

    def statistics(self) -> None:
        """Nothing beyond what sessions and admission count."""

    def answered_taps(self) -> tuple[int, int]:
        """None: every frame goes to its session."""
        return 0, 0

    async def _serve(self, stream: Stream) -> None:
        host = self._host
        opened = False

        def open_session(outbox: Outbox, abort: Callable[[], None]) -> SocketSession:
            nonlocal opened
            opened = True
            host.admission.opened()
            return host.open_session(outbox, abort, peer)

        try:
            peer = _transport(stream).socket.getpeername()[0]
        except OSError:  # it went away
            await trio.aclose_forcefully(stream)
            return
        refusal = host.admission.admit(peer)
        if refusal is not None and self._refusals >= MAX_REFUSALS:
            await trio.aclose_forcefully(stream)
            return
        self._refusals += refusal is not None
        connection = Connection(stream, open_session, host.terms, refusal)
        try:
            await connection.serve()
        except* Exception as errors:  # noqa: BLE001 - one connection's bug must not reach the others
            host.failed(errors)
        finally:
            self._refusals -= refusal is not None
            if refusal is None:
                host.admission.release(peer, opened=opened)
            if connection.session is not None:
                host.closed(connection.session)


class Connection:
    """One socket and its session.

    Args:
        stream: the accepted byte stream; owned and closed here.
        open_session: makes the session.
        terms: what is demanded of the peer.
        refusal: decided beforehand: whatever is asked for, this is the answer.
    """

    def __init__(
        self,
        stream: Stream,
        open_session: Callable[[Outbox, Callable[[], None]], SocketSession],
        terms: Terms,
        refusal: Refusal | None = None,
    ) -> None:
        self.session: SocketSession | None = None
        self._stream = stream
        self._transport = _transport(stream)
        self._held = _HeldStream(stream)
        self._open_session = open_session
        self._terms = terms
        self._refusal = refusal
        self._to_write = trio.Event()
        self._scope = trio.CancelScope()
        self._input_ended = False
        self._peer_close = b""  #: the close frame that answers how the input ended, if any
        self._unfinished_bytes = 0
        self._max_unfinished_bytes = UNFINISHED_BYTES + BYTES_PER_FRAGMENTED_BYTE * terms.max_message_bytes

    async def serve(self) -> None:
        """Shake hands, run the session, close.

        Raises:
            ExceptionGroup: a bug of ours; the peer's faults end the connection quietly.

        Resources: the stream is closed when this returns, however it returns.
        """
        try:
            with self._scope:
                try:
                    await self._shake_hands_and_converse()
                except* QUIET:
                    pass
                except* UnicodeError:  # wsproto decodes header values unguarded
                    if self.session is not None:
                        raise
                    await self._last_words(BAD_REQUEST)
                finally:
                    if self.session is not None:
                        self.session.gone()
                await self._linger()
        finally:
            await trio.aclose_forcefully(self._stream)
            await trio.aclose_forcefully(self._transport)

    async def _shake_hands_and_converse(self) -> None:
        """Read and write until both have ended; whichever ends first gives the other a deadline."""
        socket = None
        async with trio.open_nursery() as writing:
            try:
                async with trio.open_nursery() as reading:  # trio-websocket's reader, and ours
                    with trio.move_on_after(HANDSHAKE_DEADLINE_S) as handshake:
                        socket = await self._shake_hands(reading, handshake)
                    if socket is not None:
                        self.session = session = self._open_session(Outbox(self._wake), self._scope.cancel)
                        self._held.on_bytes = functools.partial(self._heard, socket)
                        writing.start_soon(self._write, session, writing.cancel_scope)
                        await self._read(socket, session)
                    reading.cancel_scope.cancel()
            except* QUIET:  # its reader also stumbles over what is behind the end: a ping behind a message too big
                pass
            if socket is not None:
                self._end_input(socket.closed)
                _hurry(writing.cancel_scope)

    async def _shake_hands(
        self, nursery: trio.Nursery, handshake: trio.CancelScope
    ) -> trio_websocket.WebSocketConnection | None:
        if isinstance(self._stream, trio.SSLStream):
            await self._stream.do_handshake()
        self._held.on_end = handshake.cancel  # gone, or a request that is no handshake and has been answered
        request = await trio_websocket.wrap_server_stream(
            nursery,
            self._held,
            message_queue_size=0,  # whatever ends the input, each message before it has been taken
            max_message_size=self._terms.max_message_bytes,
            receive_buffer_size=RECEIVE_BYTES,
        )
        self._held.on_end = lambda: None
        origin = next((value.decode("latin-1") for name, value in request.headers if name.lower() == b"origin"), None)
        refusal = self._refusal or self._terms.refuse(
            Upgrade(request.path, tuple(request.proposed_subprotocols), origin, announces_body(request.headers))
        )
        if refusal is None:
            return await request.accept(subprotocol=self._terms.subprotocol)
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        if refusal.retry_after_s:
            headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
        await request.reject(refusal.status, extra_headers=headers, body=refusal.body.encode())
        return None

    async def _read(self, socket: trio_websocket.WebSocketConnection, session: SocketSession) -> None:
        with contextlib.suppress(trio_websocket.ConnectionClosed):
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

    def _end_input(self, why: trio_websocket.CloseReason | None) -> None:
        """Decide what the peer is told, where the session has not decided it: its own code, or what it did wrong."""
        self._input_ended = True
        if why is not None and why.code != CloseReason.ABNORMAL_CLOSURE:
            self._peer_close = bytes(_encode.close(why.code, why.reason))
        self._wake()

    async def _write(self, session: SocketSession, scope: trio.CancelScope) -> None:
        outbox = session.outbox
        while True:
            if outbox.ping_due:
                outbox.ping_due = False
                await self._held.write(PING)
            frame = outbox.pop()
            if frame is not None:
                await self._held.write(_encode.send_data(frame))
            elif outbox.closing is not None:
                await self._held.write(_encode.close(*outbox.closing))
                break
            elif self._input_ended:
                if self._peer_close:
                    await self._held.write(self._peer_close)
                break
            else:
                await self._to_write.wait()
                self._to_write = trio.Event()
        _hurry(scope)

    async def _last_words(self, data: bytes) -> None:
        with contextlib.suppress(*QUIET), trio.move_on_after(CLOSE_DEADLINE_S):
            await self._held.write(data)

    def _heard(self, socket: trio_websocket.WebSocketConnection, count_bytes: int) -> None:
        assert self.session is not None
        self.session.heard()
        # What came before has been parsed. With no fragment kept of it, it was control frames, and nothing grows.
        if not socket._message_parts:  # noqa: SLF001 - no public name for it
            self._unfinished_bytes = 0
        self._unfinished_bytes += count_bytes
        if self._unfinished_bytes > self._max_unfinished_bytes:
            self.session.close(CloseCode.TOO_BIG, "a message without an end")

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


def _hurry(scope: trio.CancelScope) -> None:
    scope.deadline = min(scope.deadline, trio.current_time() + CLOSE_DEADLINE_S)


def _transport(stream: Stream) -> trio.SocketStream:
    return stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
