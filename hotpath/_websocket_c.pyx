"""RFC 6455 framing, receiving and sending side, for servers and clients; the oracle in tests is wsproto.

The common case, a whole unfragmented frame in the bytes at hand, is unmasked where it lies and handed out. Everything
else, frames and messages that come in pieces, goes through an `assembly`, which exists only while it is needed. Text
is validated as it arrives, so that a bad byte is found before its message has ended (RFC 6455, 8.1).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

cdef enum:
    PROTOCOL_ERROR = 1002
    INVALID_PAYLOAD = 1007
    TOO_BIG = 1009
    FIRST_RESERVE_BYTES = 1024  # what a message that comes in pieces is given at first


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
    uint8_t* data
    Py_ssize_t size
    Py_ssize_t capacity
    utf8 text


cdef struct frame_header:
    bint fin
    int opcode
    uint64_t length
    const uint8_t* key  # NULL = not masked
    const char* fault
    int code


cdef int read_header(
    const rules* rules, const uint8_t* data, Py_ssize_t size, frame_header* header
) noexcept nogil:
    """Read a frame header: how many bytes it has, 0 if there are too few, -1 for a violation (`header.fault`)."""
    cdef int at = 2
    cdef int length7
    header.code = PROTOCOL_ERROR
    if size < 1:
        return 0
    header.fin = data[0] >> 7
    header.opcode = data[0] & 15
    if data[0] & 0x70:
        header.fault = b"a reserved bit is set"
        return -1
    if 3 <= header.opcode <= 7 or header.opcode >= 11:
        header.fault = b"a reserved opcode"
        return -1
    if header.opcode >= CLOSE and not header.fin:
        header.fault = b"a fragmented control frame"
        return -1
    if size < 2:
        return 0
    if (data[1] >> 7) != rules.from_client:
        header.fault = b"frames from a client must be masked" if rules.from_client else b"a masked frame from a server"
        return -1
    length7 = data[1] & 127
    if header.opcode >= CLOSE and length7 > CONTROL_MAX_BYTES:
        header.fault = b"a control frame of more than 125 bytes"
        return -1
    header.length = length7
    if length7 == 126:
        if size < 4:
            return 0
        header.length = <uint64_t> data[2] << 8 | data[3]
        at = 4
        if header.length < 126:
            header.fault = b"a length that is not in its shortest form"
            return -1
    elif length7 == 127:
        if size < 10:
            return 0
        header.length = 0
        for at in range(2, 10):
            header.length = header.length << 8 | data[at]
        at = 10
        if header.length >> 63 or header.length < 65536:
            header.fault = b"a length that is not in its shortest form or has its highest bit set"
            return -1
    header.key = NULL
    if rules.from_client:
        if size < at + 4:
            return 0
        header.key = data + at
        at += 4
    return at


cdef void unmask(uint8_t* data, Py_ssize_t size, const uint8_t* key, int key_at) noexcept nogil:
    """XOR `data` with the key, beginning at byte `key_at` of the key; memcpy keeps wide access legal at any address."""
    cdef uint8_t[8] turned
    cdef uint64_t wide, word
    cdef Py_ssize_t at = 0
    cdef int i
    for i in range(8):
        turned[i] = key[(key_at + i) & 3]
    memcpy(&wide, turned, 8)
    while at + 8 <= size:
        memcpy(&word, data + at, 8)
        word ^= wide
        memcpy(data + at, &word, 8)
        at += 8
    while at < size:
        data[at] ^= turned[at & 7]
        at += 1


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
        header_bytes = read_header(rules, data, size, &header)
        if header_bytes < 0:
            violate(self, found, header.code, header.fault)
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
    header_bytes = read_header(rules, parts.header, before + more, &header)
    if header_bytes == 0:
        parts.header_bytes = before + <int> more
        return more
    if header_bytes < 0:
        violate(self, found, header.code, header.fault)
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
    elif header.opcode != CONTINUATION:
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


cdef Py_ssize_t write_length(uint8_t* out, int mask_bit, Py_ssize_t size) noexcept nogil:
    """The second byte and what follows of it; returns where the header goes on."""
    cdef int i
    if size < 126:
        out[1] = <uint8_t> (mask_bit | size)
        return 2
    if size < 65536:
        out[1] = <uint8_t> (mask_bit | 126)
        out[2], out[3] = <uint8_t> (size >> 8), <uint8_t> (size & 0xFF)
        return 4
    out[1] = <uint8_t> (mask_bit | 127)
    for i in range(8):
        out[9 - i] = <uint8_t> (size >> (8 * i) & 0xFF)
    return 10


cdef Py_ssize_t write_header(uint8_t* out, int opcode, Py_ssize_t payload_bytes) noexcept nogil:
    out[0] = <uint8_t> (0x80 | opcode)
    return write_length(out, 0, payload_bytes)


cdef Py_ssize_t write_masked(
    uint8_t* out, int opcode, const uint8_t* payload, Py_ssize_t size, uint32_t key
) noexcept nogil:
    cdef Py_ssize_t at
    out[0] = <uint8_t> (0x80 | opcode)
    at = write_length(out, 0x80, size)
    memcpy(out + at, &key, 4)
    memcpy(out + at + 4, payload, size)
    unmask(out + at + 4, size, out + at, 0)
    return at + 4 + size


cdef Py_ssize_t write_close(uint8_t* out, int code, const uint8_t* reason, Py_ssize_t size) noexcept nogil:
    if code == NO_CODE:
        return 0
    out[0], out[1] = <uint8_t> (code >> 8), <uint8_t> (code & 0xFF)
    if size > CONTROL_MAX_BYTES - 2:
        size = CONTROL_MAX_BYTES - 2
        while size and reason[size] & 0xC0 == 0x80:
            size -= 1
    memcpy(out + 2, reason, size)
    return 2 + size


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


def encode(int opcode, bytes payload not None):
    """A server's unfragmented frame."""
    cdef uint8_t[SERVER_HEADER_MAX_BYTES] header
    cdef Py_ssize_t size = write_header(header, opcode, len(payload))
    return PyBytes_FromStringAndSize(<char*> header, size) + payload


def encode_close(int code, str reason not None):
    """A server's close frame; NO_CODE sends none, a reason of more than 123 bytes is cut."""
    cdef uint8_t[CONTROL_MAX_BYTES] payload
    cdef bytes text = reason.encode()
    cdef Py_ssize_t size = write_close(payload, code, <const uint8_t*> PyBytes_AS_STRING(text), len(text))
    return encode(CLOSE, PyBytes_FromStringAndSize(<char*> payload, size))


def encode_masked(int opcode, bytes payload not None, uint32_t key):
    """A client's unfragmented frame, masked with the four bytes of `key` as they lie in memory."""
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, CLIENT_HEADER_MAX_BYTES + len(payload))
    cdef const uint8_t* start = <const uint8_t*> PyBytes_AS_STRING(payload)
    cdef Py_ssize_t size = write_masked(<uint8_t*> PyBytes_AS_STRING(frame), opcode, start, len(payload), key)
    return frame[:size]
