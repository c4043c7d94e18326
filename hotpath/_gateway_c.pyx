"""All sockets of a node in one epoll instance, as it runs; what it promises stands in `gateway.py`."""

from collections import deque

from cpython.ref cimport Py_INCREF, PyObject
from libc.errno cimport errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from hotpath._connection_c cimport (
    EPOLL_CTL_ADD,
    EPOLLIN,
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
    int nanosleep(const timespec* duration, timespec* left)
    int CLOCK_MONOTONIC

cdef extern from *:
    """
    #define prefetch(address) __builtin_prefetch(address)
    """
    void prefetch(const void* address) noexcept nogil

cdef enum:
    EVENTS_PER_LOOK = 16  # sockets served between two looks at the clock
    RATE_WINDOW_US = 4_000
    CACHE_LINE_BYTES = 64
    # Waking up for one socket costs more than serving it. Where many come, they are let come together, as network
    # cards do it with their interrupts; where few come, nobody waits.
    TOGETHER = 8  # sockets
    PAUSE_MAX_US = 500


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
        """Take over a socket behind its opening handshake; from here on it is closed here, whatever happens."""
        cdef Connection connection = Connection.__new__(Connection)
        try:
            self._watch(fd, len(received))
        except BaseException:
            close(fd)
            raise
        connection.fd, connection.interest, connection.exchange, connection.peer = fd, EPOLLIN, self, peer
        Py_INCREF(connection)
        self.table[fd] = <PyObject*> connection
        self.connections += 1
        try:
            connection.session = open_session(connection, connection.abort)
        except BaseException:
            connection.close_descriptor()
            connection.forget()
            raise
        connection.seat = getattr(connection.session, "seat", None)
        if connection.aborted:
            connection.drop()
            return connection
        if received:
            connection.unhandled = received
            self.to_resume.append(connection)
            self.ring()
        return connection

    cdef int _watch(self, int fd, Py_ssize_t received_bytes) except -1:
        """Make room in the table, and have epoll report what comes."""
        cdef PyObject** table
        cdef int capacity = max(256, 2 * self.capacity, fd + 1)
        cdef epoll_event event
        if received_bytes > IN_BYTES:
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
        return 0

    def open_connections(self):
        """Every connection that is not closed."""
        return [<object> self.table[fd] for fd in range(self.capacity) if self.table[fd] != NULL]

    def publish(self, bytes payload not None, connections, key=None):
        """Send one frame to many, some of them in every round."""
        self._publications.append((framed(payload), payload, key, iter(connections)))
        self.ring()

    def serve(self, int64_t wait_us, int64_t work_us):
        """Handle what is ready for up to `work_us`, and wait for more up to `wait_us`; returns how many were served."""
        cdef int64_t started_us = monotonic_us()
        cdef int64_t left_us = wait_us
        cdef int served = 0
        self.serving, self.ran_python = True, False
        try:
            while True:
                if self._at == self._ready:
                    self._poll(0 if self._has_work() else left_us)
                if self._has_work():
                    self.now_ms, self.uptime_ms = self._clock.now_ms(), self._clock.uptime_ms()
                    served += self._work(started_us + work_us)
                left_us = started_us + wait_us - monotonic_us()
                if left_us <= 0 or self.ran_python:
                    return served
        finally:
            self.serving = False

    cdef int _poll(self, int64_t wait_us) except -1:
        cdef int timeout_ms = <int> ((wait_us + 999) // 1_000) if wait_us > 0 else 0
        cdef timespec pause
        cdef int found
        self._at = 0
        if timeout_ms:
            pause.tv_sec, pause.tv_nsec = 0, 1_000 * self._pause_us(wait_us)
            with nogil:
                if pause.tv_nsec:
                    nanosleep(&pause, NULL)
                found = epoll_wait(self.epoll, self._events, READY_AT_ONCE, timeout_ms)
        else:
            found = epoll_wait(self.epoll, self._events, READY_AT_ONCE, 0)
        self.polls_total += 1
        self._ready = max(found, 0)
        self._arrived += self._ready
        return 0

    cdef int64_t _pause_us(self, int64_t wait_us) noexcept:
        """How long to let sockets become ready together; 0 where few come, or where they do so by themselves."""
        cdef int64_t now_us = monotonic_us()
        cdef int64_t window_us = now_us - self._window_began_us
        cdef int64_t pause_us
        if window_us >= RATE_WINDOW_US:
            self._apart_us = window_us // self._arrived if self._arrived else window_us
            self._window_began_us, self._arrived = now_us, 0
        pause_us = min(<int64_t> PAUSE_MAX_US, (TOGETHER - self._ready) * self._apart_us)
        return pause_us if 0 < pause_us <= wait_us and 2 * self._apart_us <= PAUSE_MAX_US else 0

    cdef bint _has_work(self) noexcept:
        return (
            self._at < self._ready or len(self.to_write) > 0 or len(self.to_resume) > 0
            or len(self._publications) > 0
        )

    cdef int _work(self, int64_t until_us) except -1:
        """One round: how many sockets it served. What it does not come to stays for the next."""
        cdef Connection connection
        cdef list some
        cdef int first = self._at
        cdef int served
        while self._at < self._ready:
            self._look_ahead()
            self._at += 1
            self._handle_event(self._events[self._at - 1].data.fd, self._events[self._at - 1].events)
            if (self.ran_python or (self._at - first) % EVENTS_PER_LOOK == 0) and monotonic_us() >= until_us:
                break
        served = self._at - first
        some, self.to_resume = self.to_resume, []
        for number, connection in enumerate(some, 1):
            if connection.exchange is not None:
                connection.attend(0)
            served += 1
            if monotonic_us() >= until_us:
                self.to_resume = some[number:] + self.to_resume
                break
        if self._publications:
            served += self._deliver_some()
        if self.to_write:
            some, self.to_write = self.to_write[:WRITES_AT_ONCE], self.to_write[WRITES_AT_ONCE:]
            for connection in some:
                connection.queued = False
                if connection.exchange is not None and connection.unhandled is None:
                    connection.attend(0)
            served += <int> len(some)
        return served

    cdef void _look_ahead(self) noexcept:
        """Have what the next sockets' taps touch in the cache when they come: each step follows one pointer more."""
        cdef Connection connection
        cdef int ahead, fd, i
        for ahead in range(1, 5):
            if self._at + ahead >= self._ready:
                return
            fd = self._events[self._at + ahead].data.fd
            if fd >= self.capacity or self.table[fd] == NULL:
                continue
            if ahead == 4:
                for i in range(0, 384, CACHE_LINE_BYTES):
                    prefetch(<char*> self.table[fd] + i)
                continue
            connection = <Connection> self.table[fd]
            if connection.seat is not None:
                connection.seat.look_ahead(3 - ahead)
        return

    cdef int _handle_event(self, int fd, uint32_t events) except -1:
        cdef Connection connection
        cdef uint64_t rings
        if fd == self.bell:
            read(self.bell, &rings, sizeof(rings))
            self.rung = False
        elif fd < self.capacity and self.table[fd] != NULL:  # else it was dropped in this very round
            connection = <Connection> self.table[fd]  # a reference of ours: the table's goes if it is dropped
            connection.attend(events)
        return 0

    cdef int _deliver_some(self) except -1:
        cdef int left = DELIVERIES_AT_ONCE
        cdef Connection connection
        while self._publications and left:
            frame, payload, key, connections = self._publications[0]
            try:
                for connection in connections:
                    connection.deliver(frame, payload, key)
                    left -= 1
                    if not left:
                        break
                else:
                    self._publications.popleft()
            except Exception as error:  # of whoever published: its collection broke, or holds what is no connection
                self._publications.popleft()
                self.failed(None, error)
        return DELIVERIES_AT_ONCE - left
