CONTINUATION = 0
TEXT = 1
BINARY = 2
CLOSE = 8
PING = 9
PONG = 10
NOTHING = -1
VIOLATION = -2
NO_CODE = 1005

class Receiver:
    def __init__(self, from_client: bool, max_message_bytes: int) -> None: ...
    def receive(self, data: bytes | bytearray | memoryview) -> list[tuple[int, bytes, int]]: ...

def encode(opcode: int, payload: bytes) -> bytes: ...
def encode_close(code: int, reason: str) -> bytes: ...
def encode_masked(opcode: int, payload: bytes, key: int) -> bytes: ...
