"""The receiving side of RFC 6455, for servers and clients; the oracle in tests is wsproto.

The common case, a whole unfragmented frame in the bytes at hand, is unmasked where it lies and handed out. Everything
else, frames and messages that come in pieces, goes through an `assembly`, which exists only while it is needed. Text
is validated as it arrives, so that a bad byte is found before its message has ended (RFC 6455, 8.1).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from hotpath._frame_codec_c cimport CLOSE, CONTINUATION, NO_CODE, TEXT, frame_header, read_header, unmask

cdef enum:
    PROTOCOL_ERROR = 1002
    INVALID_PAYLOAD = 1007
    TOO_BIG = 1009
    FIRST_RESERVE_BYTES = 1024  # what a message that comes in pieces is given at first
    SPARE_FRAGMENTS = 65_536  # of a message, beside one a byte: empty ones could otherwise come for ever


cdef struct utf8:
    int due  # continuation bytes that must follow
    uint8_t low  # … the next of which is in low … high
    uint8_t high


cdef struct assembly:
    uint8_t[14] header
    int header_bytes
    # The frame whose payload is coming
    bint in_frame
    bint fin
    int opcode
    uint64_t left
    uint8_t[4] key
    int key_at
    # The control frame that is coming
    uint8_t[125] control
    int control_bytes
    # The data message that is coming
    int message_opcode  # 0 = none
    uint64_t fragments
    uint8_t* data
    Py_ssize_t size
    Py_ssize_t capacity
    utf8 text


cdef bint text_continues(utf8* text, const uint8_t* data, Py_ssize_t size) noexcept nogil:
    """Whether `data` can follow what `text` has seen, as UTF-8 (RFC 3629, section 4)."""
    cdef Py_ssize_t at = 0
    cdef uint64_t word
    cdef uint8_t byte
    while at < size:
        if not text.due:
            while at + 8 <= size:
                memcpy(&word, data + at, 8)
                if word & 0x8080808080808080ULL:
                    break
                at += 8
            if at == size:
                break
        byte = data[at]
        at += 1
        if text.due:
            if not text.low <= byte <= text.high:
                return False
            text.due -= 1
            text.low, text.high = 0x80, 0xBF
        elif byte >= 0x80:
            text.low, text.high = 0x80, 0xBF
            if 0xC2 <= byte <= 0xDF:
                text.due = 1
            elif 0xE0 <= byte <= 0xEF:
                text.due = 2
                if byte == 0xE0:
                    text.low = 0xA0  # not overlong
                elif byte == 0xED:
                    text.high = 0x9F  # no surrogates
            elif 0xF0 <= byte <= 0xF4:
                text.due = 3
                if byte == 0xF0:
                    text.low = 0x90  # not overlong
                elif byte == 0xF4:
                    text.high = 0x8F  # not above U+10FFFF
            else:
                return False
    return True


cdef bint is_text(const uint8_t* data, Py_ssize_t size) noexcept nogil:
    cdef utf8 text = utf8(0, 0, 0)
    return text_continues(&text, data, size) and not text.due


cdef bint is_close_code(int code) noexcept nogil:
    # 1012 … 1014 are in IANA's registry; 1004, 1005, 1006 and 1015 must not be sent.
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


cdef void violate(receiver* self, message* found, int code, const char* reason) noexcept nogil:
    release(self)
    self.failed = True
    found.kind, found.code, found.reason, found.size = VIOLATION, code, reason, 0


cdef void hand_out(receiver* self, message* found, int opcode, uint8_t* data, Py_ssize_t size) noexcept nogil:
    """A whole message; the text of a data message has been validated."""
    found.kind, found.data, found.size, found.code = opcode, data, size, 0
    if opcode == CLOSE:
        found.code = NO_CODE
        if size == 1:
            violate(self, found, PROTOCOL_ERROR, b"a close frame with half a code")
        elif size:
            found.code = data[0] << 8 | data[1]
            found.data, found.size = data + 2, size - 2
            if not is_close_code(found.code):
                violate(self, found, PROTOCOL_ERROR, b"a close code that must not be sent")
            elif not is_text(found.data, found.size):
                violate(self, found, INVALID_PAYLOAD, b"the reason of a close frame is not UTF-8")


cdef Py_ssize_t receive(
    receiver* self, const rules* rules, uint8_t* data, Py_ssize_t size, message* found
) noexcept nogil:
    cdef frame_header header
    cdef int header_bytes
    found.kind = NOTHING
    if self.failed:
        return size
    if self.unfinished != NULL:
        rest(self)
    if self.unfinished == NULL:
        header_bytes = read_header(rules.from_client, data, size, &header)
        if header_bytes < 0:
            violate(self, found, PROTOCOL_ERROR, header.fault)
            return size
        if (
            header_bytes > 0 and header.fin and header.opcode
            and header.length <= <uint64_t> (size - header_bytes)
            and (header.length <= <uint64_t> rules.max_message_bytes or header.opcode >= CLOSE)
        ):
            data += header_bytes
            size = <Py_ssize_t> header.length
            if header.key != NULL:
                unmask(data, size, header.key, 0)
            if header.opcode == TEXT and not is_text(data, size):
                violate(self, found, INVALID_PAYLOAD, b"a text message is not UTF-8")
            else:
                hand_out(self, found, header.opcode, data, size)
            return header_bytes + size
        self.unfinished = <assembly*> calloc(1, sizeof(assembly))
        if self.unfinished == NULL:
            violate(self, found, TOO_BIG, b"out of memory")
            return size
    return assemble(self, rules, data, size, found)


cdef Py_ssize_t assemble(
    receiver* self, const rules* rules, uint8_t* data, Py_ssize_t size, message* found
) noexcept nogil:
    """`receive` for what comes in pieces."""
    cdef assembly* parts = self.unfinished
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t piece
    while True:
        if not parts.in_frame:
            at += begin_frame(self, rules, data + at, size - at, found)
            if found.kind == VIOLATION or not parts.in_frame:
                return size if found.kind == VIOLATION else at
        piece = size - at
        if <uint64_t> piece > parts.left:
            piece = <Py_ssize_t> parts.left
        if not add(self, rules, data + at, piece, found):
            return size
        at += piece
        if parts.left:
            return at
        parts.in_frame = False
        if parts.opcode >= CLOSE:
            hand_out(self, found, parts.opcode, parts.control, parts.control_bytes)
            return at
        if parts.fin:
            if parts.message_opcode == TEXT and parts.text.due:
                violate(self, found, INVALID_PAYLOAD, b"a text message ends within a character")
                return size
            piece, parts.opcode, parts.message_opcode = parts.size, parts.message_opcode, 0
            hand_out(self, found, parts.opcode, parts.data, piece)
            return at


cdef Py_ssize_t begin_frame(
    receiver* self, const rules* rules, const uint8_t* data, Py_ssize_t size, message* found
) noexcept nogil:
    """Gather a frame header; returns how many bytes were used, and `in_frame` is set once it is whole."""
    cdef assembly* parts = self.unfinished
    cdef frame_header header
    cdef int before = parts.header_bytes
    cdef int header_bytes
    cdef Py_ssize_t more = min(size, 14 - before)
    memcpy(parts.header + before, data, more)
    header_bytes = read_header(rules.from_client, parts.header, before + more, &header)
    if header_bytes == 0:
        parts.header_bytes = before + <int> more
        return more
    if header_bytes < 0:
        violate(self, found, PROTOCOL_ERROR, header.fault)
        return size
    parts.header_bytes = 0
    parts.in_frame, parts.fin, parts.opcode, parts.left = True, header.fin, header.opcode, header.length
    parts.key_at = 0
    if header.key != NULL:
        memcpy(parts.key, header.key, 4)
    if header.opcode >= CLOSE:
        parts.control_bytes = 0
    elif header.opcode == CONTINUATION and not parts.message_opcode:
        violate(self, found, PROTOCOL_ERROR, b"a continuation of nothing")
    elif header.opcode != CONTINUATION and parts.message_opcode:
        violate(self, found, PROTOCOL_ERROR, b"a new message before the last one has ended")
    elif (
        header.length > <uint64_t> rules.max_message_bytes
        or parts.size > rules.max_message_bytes - <Py_ssize_t> header.length
    ):
        violate(self, found, TOO_BIG, b"the message is too big")
    elif parts.fragments > <uint64_t> rules.max_message_bytes + SPARE_FRAGMENTS:
        violate(self, found, TOO_BIG, b"a message without an end")
    else:
        parts.fragments += 1
        if header.opcode != CONTINUATION:
            parts.message_opcode = header.opcode
    return header_bytes - before


cdef bint add(
    receiver* self, const rules* rules, uint8_t* data, Py_ssize_t size, message* found
) noexcept nogil:
    """Take a piece of the present frame's payload; False after a violation."""
    cdef assembly* parts = self.unfinished
    cdef Py_ssize_t capacity
    cdef uint8_t* larger
    if rules.from_client:
        unmask(data, size, parts.key, parts.key_at)
        parts.key_at = (parts.key_at + <int> (size & 3)) & 3
    parts.left -= <uint64_t> size
    if parts.opcode >= CLOSE:
        memcpy(parts.control + parts.control_bytes, data, size)
        parts.control_bytes += <int> size
        return True
    if parts.message_opcode == TEXT and not text_continues(&parts.text, data, size):
        violate(self, found, INVALID_PAYLOAD, b"a text message is not UTF-8")
        return False
    if parts.size + size > parts.capacity:
        # Grown by what has come, never by what was announced.
        capacity = max(<Py_ssize_t> FIRST_RESERVE_BYTES, 2 * (parts.size + size))
        larger = <uint8_t*> realloc(parts.data, capacity)
        if larger == NULL:
            violate(self, found, TOO_BIG, b"out of memory")
            return False
        parts.data, parts.capacity = larger, capacity
    if size:
        memcpy(parts.data + parts.size, data, size)
    parts.size += size
    return True


cdef void rest(receiver* self) noexcept nogil:
    cdef assembly* parts = self.unfinished
    if parts == NULL or parts.in_frame or parts.header_bytes or parts.message_opcode:
        return
    release(self)


cdef void release(receiver* self) noexcept nogil:
    if self.unfinished != NULL:
        free(self.unfinished.data)
        free(self.unfinished)
        self.unfinished = NULL


cdef class Receiver:
    """The receiving half of one connection, for code that is not Cython.

    Args:
        from_client: what is received comes from a client.
        max_message_bytes: longer messages are a violation (1009).
    """

    cdef receiver _receiver
    cdef rules _rules

    def __cinit__(self, bint from_client, Py_ssize_t max_message_bytes):
        self._rules = rules(from_client, max_message_bytes)

    def __dealloc__(self):
        release(&self._receiver)

    def receive(self, data):
        """Every message that `data` completes, in order, as (kind, payload, code).

        After a VIOLATION, whose code is the one to close with, nothing more is found. Of a CLOSE the payload is the
        reason.
        """
        cdef bytes copy = PyBytes_FromStringAndSize(NULL, len(data))
        cdef uint8_t* at = <uint8_t*> PyBytes_AS_STRING(copy)
        cdef Py_ssize_t left = len(data)
        cdef const uint8_t[::1] view = data
        cdef Py_ssize_t used
        cdef message found
        messages = []
        if left:
            memcpy(at, &view[0], left)
        while left:
            used = receive(&self._receiver, &self._rules, at, left, &found)
            at += used
            left -= used
            if found.kind == VIOLATION:
                messages.append((VIOLATION, b"", found.code))
            elif found.kind != NOTHING:
                messages.append((found.kind, PyBytes_FromStringAndSize(<char*> found.data, found.size), found.code))
        rest(&self._receiver)
        return messages
