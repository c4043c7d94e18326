"""All sockets of a node in one epoll instance, as it runs; what it promises stands in `gateway.py`."""

from collections import deque

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport Py_INCREF, PyObject
from libc.errno cimport errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcpy, memset

from hotpath._connection_c cimport (
    EPOLL_CTL_ADD,
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    IN_BYTES,
    Connection,
    Exchange,
    epoll_ctl,
    epoll_event,
    framed,
)

cdef extern from "sys/epoll.h" nogil:
    int epoll_create1(int flags)
    int epoll_wait(int epfd, epoll_event* events, int maxevents, int timeout)
    int EPOLL_CLOEXEC

cdef extern from "sys/eventfd.h" nogil:
    int eventfd(unsigned int initval, int flags)
    int EFD_CLOEXEC, EFD_NONBLOCK

cdef extern from "unistd.h" nogil:
    int close(int fd)
    ssize_t read(int fd, void* buf, size_t count)

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* now)
    int CLOCK_MONOTONIC

cdef enum:
    EVENTS_PER_LOOK = 16  # sockets served between two looks at the clock
    ROUND_US = 2_000  # after so long, what is ready waits for the next round


cdef int64_t monotonic_us() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t> now.tv_sec * 1_000_000 + now.tv_nsec // 1_000


cdef class Gateway(Exchange):
    """The sockets of a node."""

    def __init__(self, clock, watch, closed, failed, Py_ssize_t max_message_bytes):
        cdef epoll_event event
        self._clock = clock
        self._publications = deque()
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        self.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        event.events, event.data.fd = EPOLLIN, self.bell
        if self.epoll < 0 or self.bell < 0 or epoll_ctl(self.epoll, EPOLL_CTL_ADD, self.bell, &event) < 0:
            raise OSError(errno, "the gateway's epoll instance cannot be made")

    def __dealloc__(self):
        self.close()

    def close(self):
        """Close the gateway's own descriptors; every connection must be closed by then."""
        if self.epoll >= 0:
            close(self.epoll)
        if self.bell >= 0:
            close(self.bell)
        self.epoll = self.bell = -1

    def fileno(self):
        """The epoll descriptor: readable while there is something to do."""
        return self.epoll

    def adopt(self, int fd, open_session, peer, bytes received not None):
        """Take over a socket behind its opening handshake."""
        cdef Connection connection = Connection.__new__(Connection)
        cdef PyObject** table
        cdef int capacity = max(256, 2 * self.capacity, fd + 1)
        cdef epoll_event event
        if len(received) > IN_BYTES:
            raise ValueError(f"more than {IN_BYTES} bytes behind the handshake")
        if fd >= self.capacity:
            table = <PyObject**> realloc(self.table, capacity * sizeof(PyObject*))
            if table == NULL:
                raise MemoryError
            memset(table + self.capacity, 0, (capacity - self.capacity) * sizeof(PyObject*))
            self.table, self.capacity = table, capacity
        event.events, event.data.fd = EPOLLIN, fd
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &event) < 0:
            raise OSError(errno, "a socket cannot be watched")
        connection.fd, connection.interest, connection.exchange, connection.peer = fd, EPOLLIN, self, peer
        connection.session = open_session(connection, connection.abort)
        connection.seat = getattr(connection.session, "seat", None)
        Py_INCREF(connection)
        self.table[fd] = <PyObject*> connection
        self.connections += 1
        if received:
            connection.unhandled = received
            self.to_resume.append(connection)
            self.ring()
        return connection

    def open_connections(self):
        """Every connection that is not closed."""
        return [<object> self.table[fd] for fd in range(self.capacity) if self.table[fd] != NULL]

    def publish(self, bytes payload not None, connections, key=None):
        """Send one frame to many, some of them in every round."""
        self._publications.append((framed(payload), payload, key, iter(connections)))
        self.ring()

    def serve(self, int64_t wait_us):
        """Handle what is ready, and wait for more up to `wait_us`; returns how many sockets were served."""
        cdef int64_t started_us = monotonic_us()
        cdef int64_t left_us = wait_us
        cdef int timeout_ms, found
        cdef int served = 0
        self.serving, self.ran_python = True, False
        try:
            while True:
                if self._at == self._ready:
                    self._at = self._ready = 0
                    timeout_ms = 0 if left_us <= 0 or self._has_work() else <int> ((left_us + 999) // 1_000)
                    if timeout_ms:
                        with nogil:
                            found = epoll_wait(self.epoll, self._events, READY_AT_ONCE, timeout_ms)
                    else:
                        found = epoll_wait(self.epoll, self._events, READY_AT_ONCE, 0)
                    self.polls_total += 1
                    self._ready = max(found, 0)
                if self._has_work():
                    self.now_ms, self.uptime_ms = self._clock.now_ms(), self._clock.uptime_ms()
                    served += self._work(started_us + ROUND_US)
                left_us = started_us + wait_us - monotonic_us()
                if left_us <= 0 or self.ran_python:
                    return served
        finally:
            self.serving = False

    cdef bint _has_work(self) noexcept:
        return (
            self._at < self._ready or len(self.to_write) > 0 or len(self.to_resume) > 0
            or len(self._publications) > 0
        )

    cdef int _work(self, int64_t until_us) except -1:
        """One round: how many sockets it served. What it does not come to stays for the next."""
        cdef Connection connection
        cdef list some
        cdef bytes unhandled
        cdef int first = self._at
        cdef int served
        while self._at < self._ready:
            self._at += 1
            self._handle_event(self._events[self._at - 1].data.fd, self._events[self._at - 1].events)
            if (self._at - first) % EVENTS_PER_LOOK == 0 and monotonic_us() >= until_us:
                break
        served = self._at - first
        if self.to_resume:
            some, self.to_resume = self.to_resume, []
            for connection in some:
                unhandled, connection.unhandled = connection.unhandled, None
                if unhandled is not None and connection.exchange is not None:
                    memcpy(self.input, PyBytes_AS_STRING(unhandled), PyBytes_GET_SIZE(unhandled))
                    connection.handle(self.input, PyBytes_GET_SIZE(unhandled))
            served += <int> len(some)
        if self._publications:
            served += self._deliver_some()
        if self.to_write:
            some, self.to_write = self.to_write[:WRITES_AT_ONCE], self.to_write[WRITES_AT_ONCE:]
            for connection in some:
                connection.queued = False
                if connection.exchange is not None:
                    connection.handle(NULL, 0)
            served += <int> len(some)
        return served

    cdef int _handle_event(self, int fd, uint32_t events) except -1:
        cdef Connection connection
        cdef uint64_t rings
        if fd == self.bell:
            read(self.bell, &rings, sizeof(rings))
            self.rung = False
        elif fd < self.capacity and self.table[fd] != NULL:  # else it was dropped in this very round
            connection = <Connection> self.table[fd]
            if events & EPOLLOUT:
                connection.handle(NULL, 0)
            if events & (EPOLLIN | EPOLLHUP | EPOLLERR):
                connection.readable()
        return 0

    cdef int _deliver_some(self) except -1:
        cdef int left = DELIVERIES_AT_ONCE
        cdef Connection connection
        while self._publications and left:
            frame, payload, key, connections = self._publications[0]
            for connection in connections:
                try:
                    connection.deliver(frame, payload, key)
                except Exception as error:  # a bug in this connection must not reach the others
                    connection.crashed(error)
                left -= 1
                if not left:
                    break
            else:
                self._publications.popleft()
        return DELIVERIES_AT_ONCE - left
