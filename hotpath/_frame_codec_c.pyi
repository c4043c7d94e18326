CONTINUATION: int
TEXT: int
BINARY: int
CLOSE: int
PING: int
PONG: int
CONTROL_MAX_BYTES: int
SERVER_HEADER_MAX_BYTES: int
CLIENT_HEADER_MAX_BYTES: int
NO_CODE: int

def encode(opcode: int, payload: bytes) -> bytes: ...
def encode_close(code: int, reason: str) -> bytes: ...
def encode_masked(opcode: int, payload: bytes, key: int) -> bytes: ...
