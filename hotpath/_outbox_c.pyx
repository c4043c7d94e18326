"""The queue of frames to one socket, as it runs; `_outbox_py.py` is the specification."""

from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

cdef enum:
    FIRST_CAPACITY = 8


cdef Py_ssize_t size_of(frame) except -1:
    return len(frame)


cdef class Outbox:
    """Frames waiting for one socket."""

    def __cinit__(self, *args, **kwargs):
        self._max_frames = 0  # no bound until `bound` sets one

    def __init__(self, wake=None):
        self._wake = wake

    def __dealloc__(self):
        while self._count:
            Py_XDECREF(self._take())
        free(self._frames)

    def bound(self, clock, int max_frames, Py_ssize_t max_bytes, int64_t grace_ms):
        """Set the bounds."""
        self._clock = clock
        self._max_frames, self._max_bytes, self._grace_ms = max_frames, max_bytes, grace_ms

    def __len__(self):
        return self._count + (len(self._latest) if self._latest is not None else 0)

    @property
    def grace_until_ms(self):
        """How long a reader that is over the bound may stay so; 0 while it is within."""
        return self._over_since_ms + self._grace_ms if self._over_since_ms else 0

    @property
    def full(self):
        """Whether no grace is left."""
        return self._max_frames > 0 and (
            self._count > 2 * self._max_frames or self.queued_bytes > 2 * self._max_bytes
        )

    cpdef push(self, frame):
        """Queue a frame (str: a text frame); dropped when the end is already queued."""
        if self.closing is not None:
            return
        cdef Py_ssize_t size = size_of(frame)
        self._append(frame)
        self.queued_bytes += size
        if self._max_frames and not self._over_since_ms and self._is_over():
            self._over_since_ms = self._clock.uptime_ms()
        self.changed()

    def conflate(self, key, bytes frame not None):
        """Queue a frame of which only the latest with `key` matters; it comes after every other frame."""
        if self.closing is not None:
            return
        if self._latest is None:
            self._latest = {}
        self._latest[key] = frame
        self.changed()

    cpdef object pop(self):
        """The next frame to write, or None."""
        cdef PyObject* taken
        cdef object frame
        if not self._count:
            if self._latest:
                return self._latest.pop(next(iter(self._latest)))
            return None
        taken = self._take()
        frame = <object> taken
        Py_XDECREF(taken)
        self.queued_bytes -= size_of(frame)
        if self._over_since_ms and not self._is_over():
            self._over_since_ms = 0
        return frame

    def ping(self):
        """Ask for a WebSocket ping."""
        self.ping_due = True
        self.changed()

    def discard(self):
        """Forget what is queued: the reader does not read."""
        while self._count:
            Py_XDECREF(self._take())
        self._latest = None
        self.queued_bytes = 0
        self._over_since_ms = 0

    def end(self, int code, str reason not None, last):
        """Nothing follows any more but `last` and the close frame with `code` and `reason`."""
        if last is not None:
            self.push(last)
        self._latest = None
        self.closing = code, reason
        self.changed()

    cdef bint has_frames(self) noexcept:
        return self._count > 0 or self._latest is not None and len(self._latest) > 0

    cdef int changed(self) except -1:
        if self._wake is not None:
            self._wake()
        return 0

    cdef bint _is_over(self) noexcept:
        return self._count > self._max_frames or self.queued_bytes > self._max_bytes

    cdef int _append(self, frame) except -1:
        cdef int capacity = 2 * self._capacity if self._capacity else FIRST_CAPACITY
        cdef PyObject** frames
        cdef int i
        if self._count == self._capacity:
            frames = <PyObject**> malloc(capacity * sizeof(PyObject*))
            if frames == NULL:
                raise MemoryError
            for i in range(self._count):
                frames[i] = self._frames[(self._first + i) % self._capacity]
            free(self._frames)
            self._frames, self._first, self._capacity = frames, 0, capacity
        Py_INCREF(frame)
        self._frames[(self._first + self._count) % self._capacity] = <PyObject*> frame
        self._count += 1
        return 0

    cdef PyObject* _take(self) noexcept:
        cdef PyObject* frame = self._frames[self._first]
        self._count -= 1
        self._first += 1
        if self._first == self._capacity:
            self._first = 0
        if not self._count:
            free(self._frames)
            self._frames = NULL
            self._first = self._capacity = 0
        return frame
