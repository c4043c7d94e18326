"""One socket of a gateway; what it promises stands in `gateway.py`.

Input is handled where it was received, answers are written where they are sent from: no Python object is made for a
TAP that may be answered at once. What is borrowed from the two buffers is used up before the next receive.
"""

from hotpath._frame_codec_c import encode, encode_close

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeUTF8
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from hotpath._frame_codec_c cimport BINARY, CLOSE, PING, PONG, SERVER_HEADER_MAX_BYTES, TEXT, write_header
from hotpath._outbox_c cimport Outbox
from hotpath._tap_codec_c cimport TAPPED_MAX_BYTES, parse_tap, tap_frame
from hotpath._websocket_c cimport NOTHING, VIOLATION, message, receive, release, rest, rules

cdef extern from "sys/socket.h" nogil:
    ssize_t recv(int sockfd, void* buf, size_t len, int flags)
    ssize_t send(int sockfd, const void* buf, size_t len, int flags)
    int shutdown(int sockfd, int how)
    int MSG_NOSIGNAL, MSG_DONTWAIT, SHUT_WR

cdef extern from "unistd.h" nogil:
    int close(int fd)
    ssize_t write(int fd, const void* buf, size_t count)

cdef enum:  # the phases of a connection, in their order
    OPEN  # nobody has ended anything
    CLOSING  # our close frame is written, the peer's has not come
    WRITING_LAST  # the peer has ended its half or broken the protocol; what is owed is being written
    LINGERING  # both are done; our last frame may be on its way
    CLOSED

cdef enum:
    CLOSE_MS = 2_000  # for what is still owed, and for the peer's half of the close handshake
    LINGER_MS = 1_000  # a close with input unread resets, and may overtake our last frame
    LINGER_BYTES = 1_048_576
    LAST_WORDS_BYTES = 512  # kept free in the out-buffer: a ping, a pong and a close frame fit


cdef bytes framed(frame):
    """A whole frame, header included; str: a text frame."""
    return encode(TEXT, frame.encode()) if isinstance(frame, str) else encode(BINARY, frame)


cdef class Exchange:
    """What the connections of one gateway share."""

    def __cinit__(self, clock, watch, closed, failed, Py_ssize_t max_message_bytes):
        self.epoll = self.bell = -1
        self.input = <uint8_t*> malloc(IN_BYTES)
        self.output = <uint8_t*> malloc(OUT_BYTES)
        if self.input == NULL or self.output == NULL:
            raise MemoryError
        self.terms = rules(True, max_message_bytes)
        self.watch, self.closed, self.failed = watch, closed, failed
        self.to_write, self.to_resume = [], []

    def __dealloc__(self):
        free(self.table)
        free(self.input)
        free(self.output)

    cdef int ring(self) except -1:
        """Wake whoever waits for the epoll descriptor; within a round everything is seen anyway."""
        cdef uint64_t one = 1
        if not self.serving and not self.rung:
            self.rung = True
            write(self.bell, &one, sizeof(one))
        return 0


cdef class Connection(Outbox):
    """One socket, made by a gateway: also the outbox of its session."""

    def __dealloc__(self):
        release(&self.receiver)

    def abort(self):
        """Drop the socket without another word."""
        self.aborted = True
        if self.session is not None:  # else it is just being made
            self.drop()

    def tick(self, uptime_ms):
        """The peer has had its time to close."""
        return self.drop()

    def crashed(self, error):
        """A bug of ours: drop the socket."""
        if self.exchange is not None:
            self.exchange.failed(self, error)
        self.drop()

    cdef int changed(self) except -1:
        cdef Exchange exchange = self.exchange
        if exchange is not None and exchange.current is not self and not self.queued and self.unsent is None:
            self.queued = True
            exchange.to_write.append(self)
            exchange.ring()
        return 0

    # From the socket

    cdef int attend(self, uint32_t events) except -1:
        """What epoll reports, or 0: go on with what an earlier round left. Receives and sends at most once."""
        cdef Exchange exchange = self.exchange
        cdef bytes unhandled = self.unhandled
        try:
            exchange.current = self
            if not events and unhandled is not None:
                self.unhandled = None
                memcpy(exchange.input, PyBytes_AS_STRING(unhandled), PyBytes_GET_SIZE(unhandled))
                self.take_in(exchange.input, PyBytes_GET_SIZE(unhandled))
            elif events & ~EPOLLOUT and unhandled is None:
                self.receive_once()
            exchange.current = None
            self.flush()
        except Exception as error:  # a bug in this connection must not reach the others
            self.crashed(error)
        finally:
            exchange.current, exchange.output_bytes = None, 0
        return 0

    cdef int receive_once(self) except -1:
        cdef Exchange exchange = self.exchange
        cdef ssize_t size = recv(self.fd, exchange.input, IN_BYTES, MSG_DONTWAIT)
        if size > 0:
            exchange.received_bytes_total += size
            if self.phase < LINGERING:
                return self.take_in(exchange.input, size)
            self.discarded_bytes += size
            return self.drop() if self.discarded_bytes > LINGER_BYTES else 0
        if size < 0 or self.phase == LINGERING:
            return 0 if size < 0 and errno in (EAGAIN, EINTR) else self.drop()
        self.await_events(self.interest & ~EPOLLIN)  # the end of the stream would be told again and again
        return self.end_input(b"") if self.phase <= CLOSING else 0

    cdef int take_in(self, uint8_t* data, Py_ssize_t size) except -1:
        cdef Exchange exchange = self.exchange
        cdef message found
        cdef int messages = 0
        cdef Py_ssize_t at = 0
        if self.seat is not None:
            self.seat.heard_ms, self.seat.pinged = exchange.uptime_ms, False
        elif not self.session_gone:
            self.session.heard()
        while at < size and self.phase <= CLOSING:
            at += receive(&self.receiver, &exchange.terms, data + at, size - at, &found)
            if found.kind == NOTHING or found.kind == BINARY and self.answer_tap(found.data, found.size):
                continue
            self.take_message(&found)
            messages += 1
            if messages == MESSAGES_AT_ONCE and at < size:
                self.unhandled = PyBytes_FromStringAndSize(<char*> data + at, size - at)
                exchange.to_resume.append(self)
                break
        if self.phase != CLOSED:
            rest(&self.receiver)
        return 0

    cdef bint answer_tap(self, const uint8_t* data, Py_ssize_t size) except -1:
        """Answer a TAP without a Python object, where that may be."""
        cdef Exchange exchange = self.exchange
        cdef tap_frame tap
        cdef Py_ssize_t written
        cdef uint8_t* out
        if self.seat is None or self.unsent is not None or not parse_tap(data, size, &tap):
            return False
        if self.has_frames():
            self.fill()  # what was queued before it comes before it
        if self.unsent is not None or exchange.output_bytes + TAPPED_MAX_BYTES + 2 > OUT_BYTES - LAST_WORDS_BYTES:
            return False
        out = exchange.output + exchange.output_bytes
        written = self.seat.write_frame(tap.seq, tap.count, exchange.now_ms, out + 2)
        if not written:
            return False
        exchange.output_bytes += write_header(out, BINARY, written) + written
        exchange.tap_frames_total += 1
        exchange.taps_claimed_total += <int64_t> tap.count
        self.seat.announce(exchange.now_ms)
        return True

    cdef int take_message(self, message* found) except -1:
        if found.kind == PING:
            return self.pong(found.data, found.size)
        if found.kind == CLOSE:
            return self.end_input(encode_close(found.code, PyUnicode_DecodeUTF8(<char*> found.data, found.size, NULL)))
        if found.kind == VIOLATION:
            return self.end_input(encode_close(found.code, found.reason.decode()))
        if found.kind == PONG or self.session_gone:
            return 0
        self.exchange.ran_python = True
        session = self.session  # it may end its own connection
        try:
            if found.kind == BINARY:
                session.receive(PyBytes_FromStringAndSize(<char*> found.data, found.size))
            else:
                session.receive_text(PyUnicode_DecodeUTF8(<char*> found.data, found.size, NULL))
        except Exception as error:  # a session's bug ends that session only
            session.crashed(error)
        return 0

    cdef int pong(self, const uint8_t* data, Py_ssize_t size) except -1:
        # RFC 6455, 5.5.3: of several pings, the latest may be answered alone. So none of them queues.
        if self.unsent is None:
            self.fill()
        if self.phase == OPEN:
            self.pong_due = PyBytes_FromStringAndSize(<char*> data, size)
        return 0

    cdef int end_input(self, bytes last_frame) except -1:
        """Nothing counts any more that comes: write what is owed, then `last_frame` (b"": none), then close."""
        if self.phase == CLOSING:
            last_frame = None  # our own is written already, though perhaps not sent
        elif not last_frame and self.closing is not None:
            last_frame = encode_close(*self.closing)
        self.phase, self.last_frame = WRITING_LAST, last_frame
        self.exchange.watch.watch(self, self.exchange.uptime_ms + CLOSE_MS)
        self.changed()
        return self.tell_gone()

    # To the socket

    cdef int append(self, int opcode, const uint8_t* data, Py_ssize_t size) except -1:
        cdef Exchange exchange = self.exchange
        exchange.output_bytes += write_header(exchange.output + exchange.output_bytes, opcode, size)
        if size:
            memcpy(exchange.output + exchange.output_bytes, data, size)
        exchange.output_bytes += size
        return 0

    cdef int fill(self) except -1:
        """Move what the connection has to say into the out-buffer; a frame without room there becomes `unsent`."""
        cdef Exchange exchange = self.exchange
        cdef Py_ssize_t size
        cdef const char* text
        cdef bytes last
        if self.phase == CLOSING or self.phase == WRITING_LAST and self.last_frame is None:
            return 0  # nothing follows a close frame
        if self.ping_due:
            self.ping_due = False
            self.append(PING, NULL, 0)
        if self.pong_due is not None and exchange.output_bytes <= OUT_BYTES - LAST_WORDS_BYTES:
            self.append(PONG, <const uint8_t*> PyBytes_AS_STRING(self.pong_due), PyBytes_GET_SIZE(self.pong_due))
            self.pong_due = None
        while self.has_frames():
            frame = self.pop()
            if isinstance(frame, bytes):
                text, size = PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame)
            else:
                text = PyUnicode_AsUTF8AndSize(frame, &size)
            if exchange.output_bytes + SERVER_HEADER_MAX_BYTES + size > OUT_BYTES - LAST_WORDS_BYTES:
                self.unsent = PyBytes_FromStringAndSize(<char*> exchange.output, exchange.output_bytes) + framed(frame)
                self.unsent_at = exchange.output_bytes = 0
                return 0
            self.append(BINARY if isinstance(frame, bytes) else TEXT, <const uint8_t*> text, size)
        last = self.closing_words()
        if last is not None:
            memcpy(exchange.output + exchange.output_bytes, PyBytes_AS_STRING(last), PyBytes_GET_SIZE(last))
            exchange.output_bytes += PyBytes_GET_SIZE(last)
        return 0

    cdef bytes closing_words(self):
        """The close frame that is to be written now, once."""
        cdef bytes last = None
        if self.phase == WRITING_LAST and self.last_frame:
            last, self.last_frame = self.last_frame, None
        elif self.phase == OPEN and self.closing is not None:
            last, self.phase = encode_close(*self.closing), CLOSING
            self.exchange.watch.watch(self, self.exchange.uptime_ms + CLOSE_MS)
        return last

    cdef int flush(self) except -1:
        """Send once, whatever waits."""
        cdef Exchange exchange = self.exchange
        cdef const char* data
        cdef Py_ssize_t size
        cdef ssize_t sent
        if self.phase >= LINGERING:
            return 0
        if self.unsent is None:
            self.fill()
        if self.unsent is None:
            data, size = <const char*> exchange.output, exchange.output_bytes
        else:
            data, size = PyBytes_AS_STRING(self.unsent) + self.unsent_at, PyBytes_GET_SIZE(self.unsent) - self.unsent_at
        exchange.output_bytes = 0
        if size:
            sent = send(self.fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT)
            if sent < 0 and errno not in (EAGAIN, EINTR):
                return self.drop()
            sent = max(sent, 0)
            exchange.sent_bytes_total += sent
            if sent < size:
                if self.unsent is None:
                    self.unsent, self.unsent_at = PyBytes_FromStringAndSize(data + sent, size - sent), 0
                else:
                    self.unsent_at += sent
                return self.await_events(self.interest | EPOLLOUT)
            self.unsent = None
        self.await_events(self.interest & ~EPOLLOUT)
        if self.phase == WRITING_LAST and not (self.last_frame or self.has_frames()):
            # After an end of the stream there is nobody to tell; after a close frame, ours has to arrive.
            return self.linger() if self.last_frame is None else self.drop()
        if self.has_frames() or self.last_frame or self.phase == OPEN and self.closing is not None:
            self.changed()
        elif self.phase == OPEN and (self.ping_due or self.pong_due is not None):
            self.changed()
        return 0

    cdef int await_events(self, uint32_t interest) except -1:
        cdef epoll_event event
        if self.interest != interest:
            event.events, event.data.fd = interest, self.fd
            if epoll_ctl(self.exchange.epoll, EPOLL_CTL_MOD, self.fd, &event) < 0:
                raise OSError(errno, "a socket cannot be watched")
            self.interest = interest
        return 0

    cdef int linger(self) except -1:
        """Both have said what they had to say: end our half, and let the peer end its."""
        self.phase = LINGERING
        shutdown(self.fd, SHUT_WR)
        self.await_events(EPOLLIN)
        self.exchange.watch.watch(self, self.exchange.uptime_ms + LINGER_MS)
        return self.tell_gone()

    cdef int drop(self) except -1:
        """Close the descriptor, and tell everyone: each, whatever the others do, when all here is as it will stay."""
        cdef Exchange exchange = self.exchange
        if self.phase == CLOSED:
            return 0
        self.close_descriptor()
        try:
            self.tell_gone()
        except Exception as error:
            exchange.failed(self, error)
        try:
            exchange.closed(self)
        except Exception as error:
            exchange.failed(self, error)
        return self.forget()

    cdef int close_descriptor(self) except -1:
        self.phase = CLOSED
        close(self.fd)
        self.exchange.table[self.fd] = NULL
        self.exchange.connections -= 1
        return 0

    cdef int forget(self) except -1:
        self.discard()
        self.unsent = self.unhandled = None
        self.session = self.exchange = None
        Py_DECREF(self)
        return 0

    cdef int tell_gone(self) except -1:
        if not self.session_gone:
            self.session_gone, self.seat = True, None
            self.exchange.ran_python = True
            self.session.gone()
        return 0

    # From a publication

    cdef int deliver(self, bytes frame, bytes payload, key) except -1:
        """Send `frame` at once, or queue `payload`, which it frames, behind what waits."""
        cdef ssize_t sent
        if self.phase != OPEN or self.closing is not None:
            return 0
        self.exchange.deliveries_total += 1
        if self.unsent is None and not self.has_frames():
            sent = send(self.fd, PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame), MSG_NOSIGNAL | MSG_DONTWAIT)
            if sent < 0 and errno not in (EAGAIN, EINTR):
                return self.drop()
            if sent > 0:
                self.exchange.sent_bytes_total += sent
                if sent < PyBytes_GET_SIZE(frame):  # the same object for all who could not take it whole
                    self.unsent, self.unsent_at = frame, sent
                    self.await_events(self.interest | EPOLLOUT)
                return 0
        if key is None:
            self.push(payload)
        else:
            self.conflate(key, payload)
        self.exchange.ran_python = True
        session = self.session
        try:
            session.check_pace()
        except Exception as error:  # a session's bug ends that session only
            session.crashed(error)
        return 0
