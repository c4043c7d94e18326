# cython: overflowcheck=False
"""What the swarm asks, and what it makes of the answers; `swarm.py` says when.

An answer is matched with its request by the seq it says; where the server says none that counts (`plain`), answers come
in order. A latency begins when its request was due: in an open loop by the schedule, so that a server or a generator
that stalls is not hidden. It counts if its request was due while the swarm was counting, also when the answer comes
later; an answer counts towards the throughput if it comes while the swarm is counting.
"""

from libc.stdint cimport UINT64_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

cimport cython

from hotpath._frame_codec_c cimport BINARY, write_masked
from hotpath._tap_codec_c cimport TAP_MAX_BYTES, parse_tapped, tap_frame, tapped_frame, write_tap
from hotpath._websocket_c cimport message
from loadtest._connections_c cimport GREETING, OPEN, UNTIL_ANSWERED, UNTIL_TIME, Connections, connection
from loadtest._histogram_c cimport Histogram
from loadtest._linux cimport CLOCK_MONOTONIC, CLOCK_REALTIME, TFD_TIMER_ABSTIME, clock_ns, itimerspec, timerfd_settime
from loadtest._replies cimport find_number, op_of, read_whole

cdef enum:
    WELCOME_OP = 64
    RESULT_OP = 66
    ERROR_OP = 67
    GOODBYE_OP = 71
    SENDS_PER_ROUND = 64  # of the open loop, before answers are read again
    REQUEST_MAX_BYTES = 48
    WHEEL_SLOTS = 8192

cdef uint64_t TICK_NS = 50_000  # the open loop sleeps at least so long: what is due together costs one wake-up
cdef uint64_t WHEEL_STEP_NS = 1_000_000


cdef Py_ssize_t write_action(uint8_t* out, uint32_t seq, bint reads) noexcept nogil:
    """`[3, seq, "state.get" or "noop", {}]`."""
    cdef Py_ssize_t size = 9 if reads else 4
    cdef int i
    out[0], out[1], out[2] = 0x94, 3, 0xCE
    for i in range(4):
        out[3 + i] = <uint8_t> (seq >> (24 - 8 * i) & 0xFF)
    out[7] = <uint8_t> (0xA0 | size)
    memcpy(out + 8, <const char*> b"state.get" if reads else <const char*> b"noop", size)
    out[8 + size] = 0x80
    return 9 + size


@cython.final
cdef class Swarm(Connections):
    """See `_swarm_c.pyi`."""

    def __cinit__(
        self, str host, int port, bytes upgrade, list hellos, int connections,
        *, bint plain=False, int sources=1, uint32_t ring=16,
    ):
        if ring < 1 or ring & (ring - 1):
            raise ValueError("the ring is a power of two")
        self.latency, self.send_lag = Histogram(), Histogram()
        self._ring = ring
        self._asked_ns = <uint64_t*> calloc(<size_t> connections * ring, sizeof(uint64_t))
        self._thinkers = <int*> malloc(WHEEL_SLOTS * sizeof(int))
        if self._asked_ns == NULL or self._thinkers == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._asked_ns)
        free(self._thinkers)

    def start_load(
        self, *, uint32_t window=0, double rate_per_s=0.0, double think_s=0.0, double action_share=0.0,
        uint64_t taps=1, bint listens=False, int stamp_at=-1,
    ):
        cdef uint64_t now_ns
        if (window > 0) + (rate_per_s > 0) + listens != 1:
            raise ValueError("either a window or a rate or listening")
        if window > self._ring or (think_s and window != 1) or not 1 <= taps <= 100:
            raise ValueError("a window as large as the ring at most, and 1 with think times; 1 to 100 taps a frame")
        self._load.window, self._load.listens, self._load.stamp_at = window, listens, stamp_at
        self._load.interval_ns = 1e9 / rate_per_s if rate_per_s else 0.0
        self._load.think_ns = think_s * 1e9
        self._load.action_threshold = <uint64_t> (action_share * 4294967296.0)
        self._load.taps = taps
        self._schedule_from_ns, self._scheduled = clock_ns(CLOCK_MONOTONIC), 0
        self._wheel_step = self._schedule_from_ns // WHEEL_STEP_NS
        for i in range(WHEEL_SLOTS):
            self._thinkers[i] = -1
        for i in range(self.size):
            self.connections[i].is_thinking = False
        for i in range(self.size if window else 0):
            now_ns = clock_ns(CLOCK_MONOTONIC)
            for _ in range(window):
                if self.connections[i].state != OPEN or self.connections[i].is_slow:
                    break
                if self._load.think_ns:
                    self.think(&self.connections[i], now_ns)
                else:
                    self.ask_now(&self.connections[i], now_ns)

    def stop_load(self):
        self._load.window, self._load.interval_ns, self._load.think_ns, self._load.listens = 0, 0.0, 0.0, False

    def start_counting(self):
        memset(&self._counts, 0, sizeof(self._counts))
        memset(self._error_codes, 0, sizeof(self._error_codes))
        self.latency.clear()
        self.send_lag.clear()
        self._counted_from_ns, self._counted_to_ns, self._counting = clock_ns(CLOCK_MONOTONIC), UINT64_MAX, True

    def stop_counting(self):
        self._counted_to_ns, self._counting = clock_ns(CLOCK_MONOTONIC), False
        return <double> (self._counted_to_ns - self._counted_from_ns) / 1e9

    def run(self, double seconds):
        self.run_towards(UNTIL_TIME, seconds)

    def drain(self, double seconds):
        cdef uint64_t now_ns
        cdef uint64_t unanswered = 0
        self.run_towards(UNTIL_ANSWERED, seconds)
        now_ns = clock_ns(CLOCK_MONOTONIC)
        for i in range(self.size * <int> self._ring):
            if self._asked_ns[i]:
                if self._counted_from_ns <= self._asked_ns[i] < self._counted_to_ns:
                    self.latency.put(now_ns - self._asked_ns[i])  # it would have taken at least this long
                    unanswered += 1
                self._asked_ns[i] = 0
        for i in range(self.size):
            self.connections[i].outstanding, self.connections[i].oldest = 0, self.connections[i].seq + 1
        self._outstanding = 0
        return unanswered

    def counts(self):
        return {
            **self._counts,
            "error_codes": {i: self._error_codes[i] for i in range(256) if self._error_codes[i]},
        }

    # ---- what comes

    cdef bint all_answered(self) noexcept nogil:
        return not self._outstanding

    cdef uint64_t* asked(self, connection* c, uint32_t seq) noexcept nogil:
        return self._asked_ns + (c - self.connections) * <Py_ssize_t> self._ring + (seq & (self._ring - 1))

    cdef Py_ssize_t heard(self, connection* c, message* found, uint64_t now_ns, uint8_t* out) noexcept nogil:
        cdef tapped_frame tapped
        cdef uint64_t seq = 0
        cdef uint64_t code = 0
        cdef Py_ssize_t at
        cdef int op
        if self._load.listens and c.state == OPEN:
            self.deliver(found)
            return 0
        if parse_tapped(found.data, found.size, &tapped):
            if self._counting:
                self._counts.taps_answered += 1
                self._counts.taps_accepted += tapped.accepted
            return self.answered(c, c.oldest if self.plain else <uint32_t> tapped.seq, now_ns, out)
        if self.plain:
            return self.answered(c, c.oldest, now_ns, out)
        op = op_of(found.data, found.size)
        at = read_whole(found.data, found.size, 2, &seq)
        if op == WELCOME_OP and c.state == GREETING:
            if find_number(found.data, found.size, b"\xabapplied_seq", 12, &seq) and seq > c.seq:
                c.seq = <uint32_t> seq
            self.opened(c, now_ns)
        elif op == RESULT_OP:
            self._counts.results += self._counting
            return self.answered(c, <uint32_t> seq, now_ns, out)
        elif op == ERROR_OP:
            read_whole(found.data, found.size, at, &code)
            self._error_codes[code & 255] += 1
            self._counts.errors += 1
            if seq:
                return self.answered(c, <uint32_t> seq, now_ns, out)
        elif not WELCOME_OP <= op <= GOODBYE_OP:
            self._counts.unreadable += 1
        return 0

    cdef void deliver(self, message* found) noexcept nogil:
        cdef uint64_t stamp_us = 0
        cdef uint64_t now_us
        cdef int i
        if not self._counting:
            return
        self._counts.deliveries += 1
        self._counts.delivered_bytes += <uint64_t> found.size
        if self._load.stamp_at >= 0 and self._load.stamp_at + 8 <= found.size:
            for i in range(8):
                stamp_us = stamp_us << 8 | found.data[self._load.stamp_at + i]
            now_us = clock_ns(CLOCK_REALTIME) // 1000
            self.latency.put((now_us - stamp_us) * 1000 if now_us > stamp_us else 0)

    cdef Py_ssize_t answered(self, connection* c, uint32_t seq, uint64_t now_ns, uint8_t* out) noexcept nogil:
        """The request `seq` has its answer; returns how many bytes of a next request were written to `out`."""
        cdef uint64_t* asked_ns = self.asked(c, seq)
        if not asked_ns[0] or c.seq - seq >= self._ring:
            self._counts.unmatched += 1
            return 0
        if self._counting:
            self._counts.answered += 1
        if self._counted_from_ns <= asked_ns[0] < self._counted_to_ns:
            self.latency.put(now_ns - asked_ns[0])
        asked_ns[0] = 0
        c.oldest = seq + 1
        c.outstanding -= 1
        self._outstanding -= 1
        if not self._load.window:
            return 0
        if self._load.think_ns:
            self.think(c, now_ns)
            return 0
        return self.ask(c, now_ns, out)

    cdef void gone(self, connection* c) noexcept nogil:
        self._counts.lost += c.outstanding
        self._outstanding -= c.outstanding
        memset(self.asked(c, 0), 0, self._ring * sizeof(uint64_t))

    # ---- what goes

    cdef Py_ssize_t ask(self, connection* c, uint64_t due_ns, uint8_t* out) noexcept nogil:
        """Write the next request to `out`; returns its size, 0 if too many are without an answer."""
        cdef uint8_t[TAP_MAX_BYTES] payload
        cdef tap_frame tap
        cdef Py_ssize_t size
        cdef uint64_t* asked_ns = self.asked(c, c.seq + 1)
        if asked_ns[0]:
            self._counts.unsent += 1
            return 0
        c.seq += 1
        asked_ns[0] = due_ns
        c.outstanding += 1
        self._outstanding += 1
        self._counts.sent += self._counting
        if self._load.action_threshold and self.draw() < self._load.action_threshold:
            size = write_action(payload, c.seq, self.draw() & 1)
        else:
            tap.seq, tap.count, tap.dt_ms = c.seq, self._load.taps, 100
            size = write_tap(payload, &tap)
        return write_masked(out, BINARY, payload, size, self.draw())

    cdef void ask_now(self, connection* c, uint64_t due_ns) noexcept nogil:
        cdef uint8_t[REQUEST_MAX_BYTES] frame
        cdef Py_ssize_t size = self.ask(c, due_ns, frame)
        if size:
            self.put(c, frame, size)

    cdef int before_wait(self, uint64_t now_ns) noexcept nogil:
        cdef itimerspec due
        cdef uint64_t due_ns
        if self._load.interval_ns:
            due_ns = self.follow_schedule(now_ns)
            if due_ns <= now_ns:
                return 0
            memset(&due, 0, sizeof(due))
            due_ns = max(due_ns, now_ns + TICK_NS)
            due.it_value.tv_sec = <long> (due_ns // 1_000_000_000)
            due.it_value.tv_nsec = <long> (due_ns % 1_000_000_000)
            timerfd_settime(self.timer, TFD_TIMER_ABSTIME, &due, NULL)
        elif self._load.think_ns:
            self.turn_wheel(now_ns)
            return 1
        return 1000

    cdef uint64_t follow_schedule(self, uint64_t now_ns) noexcept nogil:
        """Send what the open loop has due, a round's worth at most; returns when the next is due."""
        cdef uint64_t due_ns
        cdef connection* c
        for _ in range(SENDS_PER_ROUND):
            due_ns = self._schedule_from_ns + <uint64_t> (<double> self._scheduled * self._load.interval_ns)
            if due_ns > now_ns:
                return due_ns
            c = &self.connections[self.order[self._scheduled % <uint64_t> self.size]]
            self._scheduled += 1
            if self._counting:
                self.send_lag.put(clock_ns(CLOCK_MONOTONIC) - due_ns)
            if c.state == OPEN and not c.is_slow:
                self.ask_now(c, due_ns)
            else:
                self._counts.unsent += 1
        return 0

    cdef void think(self, connection* c, uint64_t now_ns) noexcept nogil:
        """Let it ask again after half to one and a half think times."""
        cdef int* slot
        if c.is_thinking:
            return
        c.due_ns = now_ns + <uint64_t> (self._load.think_ns * (0.5 + <double> self.draw() / 4294967296.0))
        slot = &self._thinkers[c.due_ns // WHEEL_STEP_NS % WHEEL_SLOTS]
        c.next_thinker, slot[0], c.is_thinking = slot[0], <int> (c - self.connections), True

    cdef void turn_wheel(self, uint64_t now_ns) noexcept nogil:
        cdef connection* c
        cdef int at
        cdef int* slot
        while self._wheel_step < now_ns // WHEEL_STEP_NS:
            slot = &self._thinkers[self._wheel_step % WHEEL_SLOTS]
            at, slot[0] = slot[0], -1
            while at >= 0:
                c = &self.connections[at]
                at = c.next_thinker
                if c.due_ns > now_ns:  # of a later turn
                    c.next_thinker, slot[0] = slot[0], <int> (c - self.connections)
                    continue
                c.is_thinking = False
                if c.state == OPEN and not c.is_slow:
                    self.ask_now(c, c.due_ns)
            self._wheel_step += 1
