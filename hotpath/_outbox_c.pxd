"""The queue of frames to one socket, for transports written in C. Meaning: `_outbox_py.py`."""

from cpython.ref cimport PyObject
from libc.stdint cimport int64_t


cdef class Outbox:
    cdef PyObject** _frames  # a ring of strong references; NULL while there is none, so an idle one holds no memory
    cdef int _first
    cdef int _count
    cdef int _capacity
    cdef readonly Py_ssize_t queued_bytes
    cdef dict _latest
    cdef object _wake
    cdef object _clock
    cdef int _max_frames
    cdef Py_ssize_t _max_bytes
    cdef int64_t _grace_ms
    cdef int64_t _over_since_ms
    cdef readonly object closing
    cdef public bint ping_due

    cdef bint has_frames(self) noexcept
    # A new reference, or None. The caller has the frame then, whatever becomes of it.
    cpdef object pop(self)
    cpdef push(self, frame)
    # There is something to do for whoever writes to the socket.
    cdef int changed(self) except -1
    cdef bint _is_over(self) noexcept
    cdef int _append(self, frame) except -1
    cdef PyObject* _take(self) noexcept
