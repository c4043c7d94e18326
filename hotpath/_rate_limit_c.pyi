from typing import Final, final

MAX_LIMIT: Final[int]
MAX_WINDOW_MS: Final[int]

@final
class SlidingWindow:
    def __init__(self, limit: int, window_ms: int) -> None: ...
    def acquire(self, now_ms: int) -> int: ...
