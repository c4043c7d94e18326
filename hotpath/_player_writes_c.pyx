"""What of a player goes to a flush, as it runs; `_player_writes_py.py` is the specification, with the domain."""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from hotpath._player_state_c cimport COLUMNS, Cursor, PlayerState

cdef enum:
    BEFORE_COLUMNS = 3  # id, epoch, sum of the postings
    ROW_INTEGERS = 24  # BEFORE_COLUMNS + COLUMNS
    INTEGER_MAX_CHARS = 20  # of an int64 with its sign
    LINEAGE_FRAME = 6  # what stands round one: ,"\\\\x…"

cdef bytes digit_pairs = b"".join([b"%02d" % pair for pair in range(100)])
cdef char[200] DIGIT_PAIRS
memcpy(DIGIT_PAIRS, <const char*> digit_pairs, 200)
cdef char[16] HEX_DIGITS
memcpy(HEX_DIGITS, b"0123456789abcdef", 16)


@cython.final
@cython.no_gc  # nothing that it refers to refers to it, so it is part of no cycle
@cython.freelist(2048)  # about what is in flight at once
cdef class PlayerWrites:
    """Everything the turns of one player wrote since the last flush; committed whole or not at all."""

    def __init__(
        self, int64_t player_id, int64_t owner_epoch, tuple columns not None, int64_t minted_mpt, int64_t burned_mpt,
        dict cursors not None, tuple postings not None=(), tuple applied_grants not None=(), bint release=False,
        tuple answers not None=(), tuple effects not None=(),
    ):
        cdef Py_ssize_t i
        self.player_id = player_id
        self.owner_epoch = owner_epoch
        if len(columns) != COLUMNS:
            raise ValueError(f"a player has {COLUMNS} columns, not {len(columns)}")
        for i in range(COLUMNS):
            self.values[i] = columns[i]
        self.minted_mpt = minted_mpt
        self.burned_mpt = burned_mpt
        self.given = cursors
        self.postings = postings
        self.applied_grants = applied_grants
        self.release = release
        self.answers = answers
        self.effects = effects

    @property
    def columns(self):
        """The player's numbers, in the order of `COLUMN_NAMES`."""
        cdef Py_ssize_t i
        return tuple([self.values[i] for i in range(COLUMNS)])

    @property
    def cursors(self):
        """Lineage -> highest operation consumed; only those that moved."""
        if self.given is not None:
            return self.given
        found = {}
        if self.key is not None:
            found[self.key] = self.seq
        for key, _, seq in self.more or ():
            found[key] = seq
        return found

    def __repr__(self):
        return (
            f"PlayerWrites(answers={self.answers!r}, applied_grants={self.applied_grants!r}, "
            f"burned_mpt={self.burned_mpt!r}, columns={self.columns!r}, cursors={self.cursors!r}, "
            f"effects={self.effects!r}, minted_mpt={self.minted_mpt!r}, "
            f"owner_epoch={self.owner_epoch!r}, player_id={self.player_id!r}, postings={self.postings!r}, "
            f"release={self.release!r})"
        )

    def confirm(self):
        """They are committed: tell the cursors that a `Stretch` found moved, whoever is attached there, the answers."""
        if self.key is not None:
            self.cursor.confirm(self.seq)
            origin = self.lineage.origin
            if origin is not None:
                origin.durable(self.seq)
            for _, lineage, seq in self.more or ():
                (<Cursor?> lineage.cursor).confirm(seq)
                origin = lineage.origin
                if origin is not None:
                    origin.durable(seq)
        for answer in self.answers:
            answer.confirm()

    cdef void move(self, bytes key, object lineage, Cursor cursor):
        if self.key is None:
            self.key = key
            self.lineage = lineage
            self.cursor = cursor
            self.seq = cursor.applied_seq
        elif self.more is None:
            self.more = [(key, lineage, cursor.applied_seq)]
        else:
            self.more.append((key, lineage, cursor.applied_seq))


@cython.final
cdef class Stretch:
    """What a player does from one flush to the next."""

    def __init__(self, int64_t player_id, int64_t owner_epoch, PlayerState state not None, int64_t post_at_ms):
        self.player_id = player_id
        self.owner_epoch = owner_epoch
        self.post_at_ms = post_at_ms
        self.begin(state)
        self.lineages = {}

    def owes_ledger(self, PlayerState state not None):
        """Whether ledger entries are due: a level was reached, or a tap came since `post_at_ms`."""
        return state.level != self.level or state.last_tap_at_ms >= self.post_at_ms

    def close_if_changed(self, PlayerState state not None):
        """`close` where nothing goes with it; None, and it goes on, where neither numbers nor cursors have moved."""
        if state.revision == self.revision and not self.has_moved():
            return None
        return self.close(state)

    cpdef PlayerWrites close(
        self, PlayerState state, tuple postings=(), tuple applied_grants=(), bint release=False, int64_t burned_mpt=0,
        tuple answers=(), tuple effects=(),
    ):
        """End it here, and begin the next."""
        cdef PlayerWrites writes = PlayerWrites.__new__(PlayerWrites)
        cdef Cursor cursor
        writes.player_id = self.player_id
        writes.owner_epoch = self.owner_epoch
        state.copy_columns(writes.values)
        writes.minted_mpt = state.lifetime_mpt - self.lifetime_mpt
        writes.burned_mpt = burned_mpt
        writes.postings = postings
        writes.applied_grants = applied_grants
        writes.release = release
        writes.answers = answers
        writes.effects = effects
        for key, lineage in self.lineages.items():
            cursor = <Cursor?> lineage.cursor
            if cursor.applied_seq > cursor.taken_seq:
                writes.move(<bytes?> key, lineage, cursor)
        # from here on nothing can fail
        if writes.key is not None:
            writes.cursor.take()
            for _, lineage, _ in writes.more or ():
                (<Cursor> lineage.cursor).take()
        self.begin(state)
        return writes

    cdef void begin(self, PlayerState state) noexcept:
        self.lifetime_mpt = state.lifetime_mpt
        self.level = state.level
        self.revision = state.revision

    cdef bint has_moved(self) except -1:
        cdef Cursor cursor
        for lineage in self.lineages.values():
            cursor = <Cursor?> lineage.cursor
            if cursor.applied_seq > cursor.taken_seq:
                return True
        return False


cdef char* put_integer(char* at, int64_t value) noexcept nogil:
    """Write `value` in decimal; returns where it ends."""
    cdef char[INTEGER_MAX_CHARS] digits
    cdef int first = INTEGER_MAX_CHARS
    cdef uint64_t left, pair
    if value < 0:
        at[0] = c"-"
        at += 1
        left = <uint64_t> (-(value + 1)) + 1  # the least int64 has no counterpart
    else:
        left = <uint64_t> value
    while left >= 100:
        pair = left % 100
        left = left // 100
        first -= 2
        memcpy(&digits[first], &DIGIT_PAIRS[2 * pair], 2)
    if left >= 10:
        first -= 2
        memcpy(&digits[first], &DIGIT_PAIRS[2 * left], 2)
    else:
        first -= 1
        digits[first] = <char> (c"0" + left)
    memcpy(at, &digits[first], INTEGER_MAX_CHARS - first)
    return at + (INTEGER_MAX_CHARS - first)


cdef str integers_text(const int64_t* values, Py_ssize_t count, Py_ssize_t stride, char* buffer):
    """`{1,2,3}` of every `stride`-th integer; `buffer` has room for `text_bytes(count)`."""
    cdef char* at = buffer
    cdef Py_ssize_t i
    for i in range(count):
        at[0] = c"," if i else c"{"
        at = put_integer(at + 1, values[i * stride])
    if not count:
        at[0] = c"{"
        at += 1
    at[0] = c"}"
    return buffer[:<Py_ssize_t> at + 1 - <Py_ssize_t> buffer].decode("ascii")


cdef inline Py_ssize_t text_bytes(Py_ssize_t count) noexcept:
    return 2 + count * (INTEGER_MAX_CHARS + 1)


cdef void* allocated(Py_ssize_t size_bytes) except NULL:
    cdef void* memory = PyMem_Malloc(size_bytes)
    if memory == NULL:
        raise MemoryError
    return memory


def row_texts(writes):
    """A text per column: player ids, owner epochs, sums of the postings, then `COLUMN_NAMES`; in order of `writes`."""
    cdef list batch = list(writes)
    cdef Py_ssize_t count = len(batch)
    cdef Py_ssize_t i, column
    cdef PlayerWrites player
    cdef int64_t* row
    cdef int64_t* table = NULL
    cdef char* buffer = NULL
    try:
        table = <int64_t*> allocated(count * ROW_INTEGERS * sizeof(int64_t) + 1)
        buffer = <char*> allocated(text_bytes(count))
        for i in range(count):
            player = <PlayerWrites?> batch[i]
            row = table + i * ROW_INTEGERS
            row[0] = player.player_id
            row[1] = player.owner_epoch
            row[2] = sum([posting.amount_mpt for posting in player.postings]) if player.postings else 0
            memcpy(row + BEFORE_COLUMNS, player.values, sizeof(player.values))
        return tuple([integers_text(table + column, count, ROW_INTEGERS, buffer) for column in range(ROW_INTEGERS)])
    finally:
        PyMem_Free(table)
        PyMem_Free(buffer)


def cursor_texts(writes):
    """Player ids, lineages, seqs of all cursors that moved."""
    cdef list batch = list(writes)
    cdef PlayerWrites player
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t lineages_bytes = 2
    cdef Py_ssize_t i = 0
    cdef int64_t* numbers = NULL
    cdef char* lineages = NULL
    cdef char* buffer = NULL
    cdef char* at
    for item in batch:
        player = <PlayerWrites?> item
        if player.key is not None:
            count += 1
            lineages_bytes += 2 * len(player.key) + LINEAGE_FRAME
        if player.more is not None or player.given:
            for key in player.given or [key for key, _, _ in player.more]:
                count += 1
                lineages_bytes += 2 * len(<bytes?> key) + LINEAGE_FRAME
    try:
        numbers = <int64_t*> allocated(2 * count * sizeof(int64_t) + 1)
        lineages = <char*> allocated(lineages_bytes)
        buffer = <char*> allocated(text_bytes(count))
        at = lineages
        for player in batch:
            if player.key is not None:
                numbers[2 * i] = player.player_id
                numbers[2 * i + 1] = player.seq
                at = put_lineage(at, player.key, i)
                i += 1
            if player.more is not None or player.given:
                for key, seq in player.given.items() if player.given else [(key, seq) for key, _, seq in player.more]:
                    numbers[2 * i] = player.player_id
                    numbers[2 * i + 1] = seq
                    at = put_lineage(at, <bytes> key, i)
                    i += 1
        if not count:
            at[0] = c"{"
            at += 1
        at[0] = c"}"
        return (
            integers_text(numbers, count, 2, buffer),
            lineages[:<Py_ssize_t> at + 1 - <Py_ssize_t> lineages].decode("ascii"),
            integers_text(numbers + 1, count, 2, buffer),
        )
    finally:
        PyMem_Free(numbers)
        PyMem_Free(lineages)
        PyMem_Free(buffer)


cdef char* put_lineage(char* at, bytes lineage, Py_ssize_t index):
    """Write `{"\\\\x00ff"`, or with a comma before it; returns where it ends."""
    cdef unsigned char byte
    memcpy(at, b',"\\\\x' if index else b'{"\\\\x', 5)
    at += 5
    for byte in lineage:
        at[0] = HEX_DIGITS[byte >> 4]
        at[1] = HEX_DIGITS[byte & 15]
        at += 2
    at[0] = c'"'
    return at + 1


def any_postings(writes):
    """Whether one of them has ledger entries."""
    for player in writes:
        if (<PlayerWrites?> player).postings:
            return True
    return False


def any_beside_ledger(writes):
    """Whether one of them has rows beside its player, cursors and ledger, or is the last of its player."""
    cdef PlayerWrites player
    for item in writes:
        player = <PlayerWrites?> item
        if player.applied_grants or player.release or player.answers or player.effects:
            return True
    return False


def totals_mpt(writes):
    """Minted and burned by all of them."""
    cdef PlayerWrites player
    cdef int64_t minted_mpt = 0
    cdef int64_t burned_mpt = 0
    for item in writes:
        player = <PlayerWrites?> item
        minted_mpt += player.minted_mpt  # each at most MAX_MONEY_MPT, far fewer than 1 000 of them
        burned_mpt += player.burned_mpt
    return minted_mpt, burned_mpt
