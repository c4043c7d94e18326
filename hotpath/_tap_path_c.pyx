"""From a TAP to its TAPPED, as it runs; `_tap_path_py.py` is the specification."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from hotpath._player_state_c cimport Cursor, PlayerState, World
from hotpath._tap_codec_c cimport TAPPED_MAX_BYTES, tapped_frame, write_tapped
from hotpath._tap_signals_c cimport TapSignals


cdef extern from *:
    """
    #define prefetch(address) __builtin_prefetch(address)
    """
    void prefetch(const void* address) noexcept nogil


@cython.final
cdef class Tally:
    """What all players of a node did since the start."""


@cython.final
cdef class Gate:
    """Whether a tap may be handled at once."""

    def __init__(self, Gate outer=None):
        self._outer = outer

    cdef bint passable(self) noexcept:
        return self.open and (self._outer is None or self._outer.open)


@cython.final
cdef class TapLine:
    """What the TAPs of one lineage touch."""

    def __init__(
        self, PlayerState state not None, Cursor cursor not None, World world not None, Tally tally not None,
        TapSignals signals not None,
    ):
        self.state = state
        self.cursor = cursor
        self._world = world
        self._tally = tally
        self._signals = signals

    def answer(self, uint64_t seq, uint64_t count, int64_t now_ms):
        """Apply a TAP; returns its TAPPED frame."""
        cdef uint8_t[TAPPED_MAX_BYTES] out
        cdef Py_ssize_t size = self.write_answer(seq, count, now_ms, out)
        return PyBytes_FromStringAndSize(<char*> out, size)

    cdef Py_ssize_t write_answer(self, uint64_t seq, uint64_t count, int64_t now_ms, uint8_t* out) noexcept:
        cdef PlayerState state = self.state
        cdef tapped_frame tapped
        cdef int64_t accepted = 0
        if self.cursor.advance(<uint32_t> seq):
            self._signals.batch(<int64_t> count, now_ms, state)
            accepted = state.tap(<int64_t> count, now_ms, self._world)
            self._signals.refuse(<int64_t> count - accepted)
            self._tally.accepted_total += accepted
            self._tally.refused_total += <int64_t> count - accepted
        else:
            self._tally.repeated_frames_total += 1
        tapped.seq = seq
        tapped.accepted = <uint64_t> accepted
        tapped.tokens = <uint64_t> state.balance_mpt
        tapped.xp = <uint64_t> state.xp
        tapped.level = <uint64_t> state.level
        tapped.energy = <uint64_t> state.energy(now_ms)
        tapped.combo = <uint64_t> state.combo_at(now_ms)
        tapped.durable_seq = self.cursor.durable_seq
        return write_tapped(out, &tapped)


@cython.final
cdef class Notices:
    """The seats that are owed a notice of what is durable."""

    def __init__(self, int64_t uptime_ms):
        self._tick = uptime_ms // NOTICE_TICK_MS
        self._slots = [[] for _ in range(NOTICE_SLOTS)]

    cdef int add(self, Seat seat, int64_t due_ms) except -1:
        cdef int64_t tick = max(due_ms // NOTICE_TICK_MS + 1, self._tick + 1)
        (<list> self._slots[min(tick, self._tick + NOTICE_SLOTS - 1) % NOTICE_SLOTS]).append(seat)
        return 0

    def beat(self, int64_t uptime_ms):
        """Have every seat told that has been quiet for long enough."""
        cdef int64_t now_tick = uptime_ms // NOTICE_TICK_MS
        cdef int64_t tick
        cdef Seat seat
        cdef list due = []
        for tick in range(max(self._tick, now_tick - NOTICE_SLOTS) + 1, now_tick + 1):
            due += <list> self._slots[tick % NOTICE_SLOTS]
            self._slots[tick % NOTICE_SLOTS] = []
        self._tick = max(self._tick, now_tick)
        for seat in due:
            session = seat._session
            try:
                seat.notice(uptime_ms)
            except Exception as error:  # a session's bug ends that session only
                if session is not None:
                    session.crashed(error)


@cython.final
cdef class Seat:
    """A socket's place at its player."""

    def __init__(self, int64_t uptime_ms, Notices notices not None):
        self.heard_ms = self.operated_ms = uptime_ms
        self._notices = notices

    def take(self, TapLine line not None, Gate gate not None, actor, session):
        """The socket is attached."""
        self._line, self._gate, self._actor, self._session = line, gate, actor, session
        self.told_seq = self._durable_seq = line.cursor.durable_seq

    def leave(self):
        """The socket is detached, or the player is gone."""
        self._line = self._gate = self._actor = self._session = None

    def told(self, uint32_t durable_seq):
        """A frame that says what is durable is on its way."""
        self.told_seq = max(self.told_seq, durable_seq)

    def durable(self, uint32_t seq):
        """Every operation up to `seq` is committed."""
        self._durable_seq = seq
        if seq > self.told_seq and not self._noticed:
            self._noticed = True
            self._notices.add(self, self.operated_ms + QUIET_MS)

    cdef int notice(self, int64_t uptime_ms) except -1:
        self._noticed = False
        if self._session is None or self._durable_seq <= self.told_seq:
            return 0
        if uptime_ms < self.operated_ms + QUIET_MS:
            self._noticed = True
            return self._notices.add(self, self.operated_ms + QUIET_MS)
        self.told_seq = self._durable_seq
        self._session.tell_durable(self._durable_seq)
        return 0

    def tap(self, uint64_t seq, uint64_t count, int64_t now_ms):
        """The TAPPED frame of a TAP that may be handled at once, None where it has to queue."""
        cdef uint8_t[TAPPED_MAX_BYTES] out
        cdef Py_ssize_t size = self.write_frame(seq, count, now_ms, out)
        return PyBytes_FromStringAndSize(<char*> out, size) if size else None

    def announce_levels(self, int64_t now_ms):
        """Announce what the last tap reached; to be called behind its frame."""
        self.announce(now_ms)

    cdef Py_ssize_t write_frame(self, uint64_t seq, uint64_t count, int64_t now_ms, uint8_t* out) except -1:
        cdef TapLine line = self._line
        cdef Py_ssize_t size
        if line is None or self.blocked is not None or not self._gate.passable():
            return 0
        self.operated_ms = self.heard_ms
        self._level = line.state.level
        if seq > line.cursor.applied_seq and not line.state.awaiting_flush:
            self._actor.touched()
        size = line.write_answer(seq, count, now_ms, out)
        if line.state.level != self._level:
            self._raised = self._actor  # kept until it is announced, whatever becomes of the socket
        self.told_seq = line.cursor.durable_seq
        return size

    cdef void look_ahead(self, int depth) noexcept:
        cdef int i
        if depth == 0:
            prefetch(<void*> self)
            prefetch(<char*> <void*> self + 64)
        elif self._line is not None and depth == 1:
            prefetch(<void*> self._line)
            prefetch(<void*> self._gate)
        elif self._line is not None:
            prefetch(<void*> self._line.cursor)
            for i in range(0, 320, 64):
                prefetch(<char*> <void*> self._line.state + i)
            for i in range(0, 192, 64):
                prefetch(<char*> <void*> self._line._signals + i)

    cdef int announce(self, int64_t now_ms) except -1:
        if self._raised is not None:
            actor, self._raised = self._raised, None
            actor.announce_levels(self._level, now_ms)
        return 0
