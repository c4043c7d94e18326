# cython: overflowcheck=False
"""Some ten thousand WebSocket clients in one epoll and one thread: how they come, greet, receive, send and go.

A connection goes ABSENT → CONNECTING → UPGRADING → GREETING → OPEN; plain servers know no HELLO and skip GREETING.
Whatever ends it makes it ABSENT again. What is asked and answered is the swarm's (`_swarm_c.pyx`).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, ECONNRESET, EINPROGRESS, EINTR, ENOMEM, ETIMEDOUT, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from hotpath._frame_codec_c cimport BINARY, CLIENT_HEADER_MAX_BYTES, CLOSE, PING, PONG, write_masked
from hotpath._websocket_c cimport VIOLATION, message, receive, release
from loadtest._histogram_c cimport Histogram
from loadtest._linux cimport *

cdef enum:
    ABNORMAL = 1006  # RFC 6455, 7.1.5: ended without a close frame
    EVENTS = 512  # of one epoll round
    INBOUND_BYTES = 1 << 18
    OUTBOUND_BYTES = 24 << 18  # 48 bytes of request for every message of at least 2 bytes
    RESPONSE_MAX_BYTES = 4096
    MAX_MESSAGE_BYTES = 1 << 22
    SLOW_RECEIVE_BYTES = 4096

cdef uint32_t TIMER = 0xFFFFFFFF
cdef uint64_t SLICE_NS = 50_000_000  # between two looks for signals


cdef class Connections:
    """See `_connections_c.pyi`."""

    def __cinit__(
        self, str host, int port, bytes upgrade, list hellos, int connections,
        *, bint plain=False, int sources=1, uint32_t ring=16,
    ):
        cdef epoll_event event
        cdef uint32_t number = 0
        self.timer = self._epoll = -1
        if connections < 1 or not 1 <= sources <= 250:
            raise ValueError("connections from 1, sources from 1 to 250")
        if not plain and len(hellos) < connections:
            raise ValueError(f"{connections} connections need as many HELLO payloads, not {len(hellos)}")
        self.size, self._sources, self.plain = connections, <uint32_t> sources, plain
        self._upgrade, self._hellos = upgrade, [bytes(hello) for hello in hellos]
        self._upgrade_at, self._upgrade_bytes = <const uint8_t*> PyBytes_AS_STRING(upgrade), len(upgrade)
        for part in host.split("."):
            number = number << 8 | <uint32_t> int(part)
        memset(&self._address, 0, sizeof(self._address))
        self._address.sin_family = AF_INET
        self._address.sin_port = htons(port)
        self._address.sin_addr.s_addr = htonl(number)
        self._rules.from_client, self._rules.max_message_bytes = False, MAX_MESSAGE_BYTES
        self.welcome = Histogram()
        self.connections = <connection*> calloc(connections, sizeof(connection))
        self.order = <int*> malloc(connections * sizeof(int))
        self._inbound, self._outbound = <uint8_t*> malloc(INBOUND_BYTES), <uint8_t*> malloc(OUTBOUND_BYTES)
        if self.connections == NULL or self.order == NULL or self._inbound == NULL or self._outbound == NULL:
            raise MemoryError
        self._random = clock_ns(CLOCK_MONOTONIC) | 1
        for i in range(connections):
            self.connections[i].descriptor, self.connections[i].next_thinker = -1, -1
            self.order[i] = i
        for i in range(connections - 1, 0, -1):
            j = <int> (self.draw() % <uint32_t> (i + 1))
            self.order[i], self.order[j] = self.order[j], self.order[i]
        self._next = connections
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        self.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        # Edge-triggered: an expiry wakes, and needs no read.
        event.events, event.data.u32 = <uint32_t> EPOLLIN | <uint32_t> EPOLLET, TIMER
        if self._epoll < 0 or self.timer < 0 or epoll_ctl(self._epoll, EPOLL_CTL_ADD, self.timer, &event) < 0:
            raise OSError(errno, "no epoll")

    def __dealloc__(self):
        if self.connections != NULL:
            for i in range(self.size):
                if self.connections[i].descriptor >= 0:
                    close(self.connections[i].descriptor)
                free(self.connections[i].unsent)
                release(&self.connections[i].frames)
        if self._epoll >= 0:
            close(self._epoll)
        if self.timer >= 0:
            close(self.timer)
        free(self.connections)
        free(self.order)
        free(self._inbound)
        free(self._outbound)

    @property
    def open(self):
        return self._open

    def connect(self, *, int at_once, double deadline_s, double per_s=0.0):
        cdef uint64_t from_ns = clock_ns(CLOCK_MONOTONIC)
        self._next, self._pending_limit = 0, at_once
        self._interval_ns, self._due_ns = 1e9 / per_s if per_s else 0.0, <double> from_ns
        self.last_welcome_ns = from_ns
        for i in range(self.size):
            self.connections[i].has_failed = False
        self.run_towards(UNTIL_CONNECTED, deadline_s)
        for i in range(self.size):
            if ABSENT < self.connections[i].state < OPEN:
                self.failed(&self.connections[i], ETIMEDOUT)
        self._next = self.size
        return <double> (self.last_welcome_ns - from_ns) / 1e9

    def drop(self, double share):
        cdef int dropped = 0
        for i in range(self.size):
            if self.connections[self.order[i]].state != ABSENT and dropped < share * self.size:
                self.end(&self.connections[self.order[i]], 0)
                dropped += 1
        return dropped

    def slow_down(self, double share):
        cdef int slow = 0
        cdef int room = SLOW_RECEIVE_BYTES
        cdef connection* c
        for i in range(self.size):
            c = &self.connections[self.order[i]]
            if c.state == OPEN and slow < share * self.size:
                setsockopt(c.descriptor, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room))
                c.is_slow = True
                self.watch(c, EPOLLRDHUP)
                slow += 1
        return slow

    def leave(self):
        cdef uint8_t[CLIENT_HEADER_MAX_BYTES + 2] frame
        cdef connection* c
        for i in range(self.size):
            c = &self.connections[i]
            if c.state == OPEN:
                self.put(c, frame, write_masked(frame, CLOSE, <const uint8_t*> b"\x03\xe8", 2, self.draw()))
            if c.state != ABSENT:
                self.end(c, 0)

    def endings(self):
        return {
            "failed": sum([self.connections[i].has_failed for i in range(self.size)]),
            "http_status": {i: self.http_status[i] for i in range(600) if self.http_status[i]},
            "system_errors": {i: self.system_errors[i] for i in range(200) if self.system_errors[i]},
            "close_codes": {i: self.close_codes[i] for i in range(5000) if self.close_codes[i]},
        }

    # ---- the loop

    cdef run_towards(self, int goal, double seconds):
        cdef uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + <uint64_t> (seconds * 1e9)
        cdef uint64_t now_ns = clock_ns(CLOCK_MONOTONIC)
        while now_ns < until_ns and not self.reached(goal):
            with nogil:
                self.drive(min(until_ns, now_ns + SLICE_NS), goal)
            PyErr_CheckSignals()
            now_ns = clock_ns(CLOCK_MONOTONIC)

    cdef bint reached(self, int goal) noexcept nogil:
        if goal == UNTIL_CONNECTED:
            return self._next == self.size and not self._pending
        return goal == UNTIL_ANSWERED and self.all_answered()

    cdef void drive(self, uint64_t until_ns, int goal) noexcept nogil:
        cdef epoll_event[EVENTS] events
        cdef connection* c
        cdef uint64_t now_ns
        cdef int timeout_ms, ready
        while not self.reached(goal):
            now_ns = clock_ns(CLOCK_MONOTONIC)
            if now_ns >= until_ns:
                return
            timeout_ms = min(<int> ((until_ns - now_ns) // 1_000_000) + 1, self.before_wait(now_ns))
            while self._next < self.size and self._pending < self._pending_limit and self._due_ns <= <double> now_ns:
                c = &self.connections[self._next]
                self._next += 1
                if c.state == ABSENT:
                    self._due_ns += self._interval_ns
                    self.begin(c, now_ns)
            if self._next < self.size and self._interval_ns:
                timeout_ms = min(timeout_ms, 1)
            ready = epoll_wait(self._epoll, events, EVENTS, timeout_ms)
            for i in range(ready):
                if events[i].data.u32 == TIMER:
                    continue
                c = &self.connections[events[i].data.u32]
                if c.is_slow and c.state == OPEN:
                    if events[i].events & <uint32_t> (EPOLLERR | EPOLLHUP | EPOLLRDHUP):
                        self.end(c, ABNORMAL)
                    continue
                if events[i].events & <uint32_t> EPOLLOUT or c.state == CONNECTING:
                    self.writable(c)
                if events[i].events & <uint32_t> (EPOLLIN | EPOLLERR | EPOLLHUP) and c.state >= UPGRADING:
                    self.readable(c)

    cdef int before_wait(self, uint64_t now_ns) noexcept nogil:
        return 1000

    cdef bint all_answered(self) noexcept nogil:
        return True

    cdef Py_ssize_t heard(self, connection* c, message* found, uint64_t now_ns, uint8_t* out) noexcept nogil:
        return 0

    cdef void gone(self, connection* c) noexcept nogil:
        pass

    # ---- coming

    cdef void begin(self, connection* c, uint64_t now_ns) noexcept nogil:
        cdef epoll_event event
        cdef sockaddr_in source
        cdef int one = 1
        cdef uint32_t index = <uint32_t> (c - self.connections)
        c.descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if c.descriptor < 0:
            self.failed(c, errno)
            return
        setsockopt(c.descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
        if self._sources > 1:
            memset(&source, 0, sizeof(source))
            source.sin_family = AF_INET
            source.sin_addr.s_addr = htonl(<uint32_t> 0x7F000001 + index % self._sources)
            setsockopt(c.descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one))
            if bind(c.descriptor, <sockaddr*> &source, sizeof(source)) < 0:
                self.failed(c, errno)
                return
        if connect(c.descriptor, <sockaddr*> &self._address, sizeof(self._address)) < 0 and errno != EINPROGRESS:
            self.failed(c, errno)
            return
        c.state, c.watched, c.began_ns, c.is_slow = CONNECTING, EPOLLOUT, now_ns, False
        event.events, event.data.u32 = EPOLLOUT, index
        epoll_ctl(self._epoll, EPOLL_CTL_ADD, c.descriptor, &event)
        self._pending += 1

    cdef void upgraded(self, connection* c) noexcept nogil:
        """Read the answer to the upgrade, and not a byte of what follows it."""
        cdef Py_ssize_t size = recv(c.descriptor, self._inbound, RESPONSE_MAX_BYTES, MSG_PEEK)
        cdef const uint8_t* at = self._inbound
        cdef const uint8_t* end = self._inbound + size
        cdef int status = 0
        if size <= 0:
            if size == 0 or errno != EAGAIN:
                self.failed(c, ECONNRESET if size == 0 else errno)
            return
        while end - at >= 4 and memcmp(at, b"\r\n\r\n", 4):
            at += 1
        if end - at < 4:
            return
        for i in range(9, 12):  # HTTP/1.1 101 …
            status = status * 10 + (self._inbound[i] - 48) % 10
        recv(c.descriptor, self._inbound, at + 4 - self._inbound, 0)
        if 0 < status < 600:
            self.http_status[status] += 1
        if status != 101:
            self.failed(c, 0)
        elif self.plain:
            self.opened(c, clock_ns(CLOCK_MONOTONIC))
        else:
            c.state = GREETING
            self.greet(c)

    cdef void greet(self, connection* c) noexcept nogil:
        cdef const uint8_t* hello
        cdef Py_ssize_t size
        cdef uint8_t* frame
        with gil:
            payload = <bytes> self._hellos[c - self.connections]
            hello, size = <const uint8_t*> PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)
        frame = <uint8_t*> malloc(CLIENT_HEADER_MAX_BYTES + size)
        if frame == NULL:
            self.failed(c, ENOMEM)
            return
        self.put(c, frame, write_masked(frame, BINARY, hello, size, self.draw()))
        free(frame)

    cdef void opened(self, connection* c, uint64_t now_ns) noexcept nogil:
        c.state, c.outstanding, c.oldest = OPEN, 0, c.seq + 1
        self._open += 1
        self._pending -= 1
        self.welcome.put(now_ns - c.began_ns)
        self.last_welcome_ns = now_ns

    # ---- receiving and sending

    cdef void readable(self, connection* c) noexcept nogil:
        cdef Py_ssize_t size
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t out = 0
        cdef uint64_t now_ns
        cdef message found
        if c.state == UPGRADING:
            self.upgraded(c)
            return
        size = recv(c.descriptor, self._inbound, INBOUND_BYTES, 0)
        if size <= 0:
            if size == 0 or (errno != EAGAIN and errno != EINTR):
                self.end(c, ABNORMAL)
            return
        now_ns = clock_ns(CLOCK_MONOTONIC)
        while at < size and c.state != ABSENT:
            at += receive(&c.frames, &self._rules, self._inbound + at, size - at, &found)
            if found.kind == CLOSE or found.kind == VIOLATION:
                self.end(c, found.code)
            elif found.kind == PING:
                out += write_masked(self._outbound + out, PONG, found.data, found.size, self.draw())
            elif found.kind == BINARY:
                out += self.heard(c, &found, now_ns, self._outbound + out)
        if out and c.state != ABSENT:
            self.put(c, self._outbound, out)

    cdef void put(self, connection* c, const uint8_t* data, Py_ssize_t size) noexcept nogil:
        """Send, and keep what the kernel does not take."""
        cdef Py_ssize_t sent = 0
        cdef uint8_t* larger
        if not c.unsent_bytes:
            sent = send(c.descriptor, data, size, MSG_NOSIGNAL)
            if sent == size:
                return
            if sent < 0:
                if errno != EAGAIN:
                    self.end(c, ABNORMAL)
                    return
                sent = 0
            self.watch(c, EPOLLIN | EPOLLOUT)
        size -= sent
        if c.unsent_bytes + size > c.unsent_room:
            larger = <uint8_t*> realloc(c.unsent, 2 * (c.unsent_bytes + size))
            if larger == NULL:
                self.failed(c, ENOMEM)
                return
            c.unsent, c.unsent_room = larger, 2 * (c.unsent_bytes + size)
        memcpy(c.unsent + c.unsent_bytes, data + sent, size)
        c.unsent_bytes += size

    cdef void writable(self, connection* c) noexcept nogil:
        cdef int error = 0
        cdef unsigned int size = sizeof(error)
        cdef Py_ssize_t sent
        if c.state == CONNECTING:
            getsockopt(c.descriptor, SOL_SOCKET, SO_ERROR, &error, &size)
            if error:
                self.failed(c, error)
                return
            c.state = UPGRADING
            self.watch(c, EPOLLIN)
            self.put(c, self._upgrade_at, self._upgrade_bytes)
        elif c.unsent_bytes:
            sent = send(c.descriptor, c.unsent, c.unsent_bytes, MSG_NOSIGNAL)
            if sent < 0:
                if errno != EAGAIN:
                    self.end(c, ABNORMAL)
                return
            c.unsent_bytes -= sent
            memmove(c.unsent, c.unsent + sent, c.unsent_bytes)
            if not c.unsent_bytes:
                self.watch(c, EPOLLIN)

    cdef void watch(self, connection* c, uint32_t events) noexcept nogil:
        cdef epoll_event event
        if c.watched != events:
            c.watched = event.events = events
            event.data.u32 = <uint32_t> (c - self.connections)
            epoll_ctl(self._epoll, EPOLL_CTL_MOD, c.descriptor, &event)

    # ---- going

    cdef void end(self, connection* c, int close_code) noexcept nogil:
        """It is over; `close_code` as the server said it, ABNORMAL if it said none, 0 if the end is ours."""
        if c.state == OPEN:
            self._open -= 1
            self.gone(c)
        elif c.state != ABSENT:
            self._pending -= 1
            c.has_failed = True
        if 0 < close_code < 5000:
            self.close_codes[close_code] += 1
        if c.descriptor >= 0:
            close(c.descriptor)
        release(&c.frames)
        c.frames.failed = False
        c.descriptor, c.state, c.unsent_bytes = -1, ABSENT, 0

    cdef void failed(self, connection* c, int error) noexcept nogil:
        """It did not come into being, for a reason of the system's; 0 = for another."""
        if 0 < error < 200:
            self.system_errors[error] += 1
        self.end(c, 0)
        c.has_failed = True

    cdef uint32_t draw(self) noexcept nogil:
        """Random enough to mask and to choose."""
        self._random ^= self._random << 13
        self._random ^= self._random >> 7
        self._random ^= self._random << 17
        return <uint32_t> (self._random >> 32)
