"""One client's queue of operations, as its player's actor sees it.

A client draws a random 128-bit lineage, numbers its operations in it and re-sends what is not durable; the cursor
says how far the server has come. Cursor and effect commit together, so an operation counts exactly once (architecture
§4.5; wire protocol, "Operations").
"""

from gameserver.actors.messages import Origin
from gameserver.wire.messages import ErrorFrame, Result
from gameserver.wire.ops import RESULTS_KEPT, RESULTS_KEPT_BYTES
from hotpath.player_state import Cursor
from hotpath.tap_path import TapLine


class Lineage:
    """Cursor, stored answers and present socket of one queue of operations; `line` is there while a socket is.

    Args:
        applied_seq: the highest committed seq; 0 for an unknown lineage.
    """

    __slots__ = ("_answer_bytes", "_answers", "cursor", "line", "origin")

    def __init__(self, applied_seq: int) -> None:
        self.cursor = Cursor(applied_seq)
        self.origin: Origin | None = None
        self.line: TapLine | None = None
        self._answers: dict[int, tuple[Result | ErrorFrame, int]] | None = None
        self._answer_bytes = 0

    def keep(self, answer: Result | ErrorFrame, size_bytes: int) -> None:
        """Store the answer to an action, to be given again when it is repeated; the oldest make room."""
        if self._answers is None:
            self._answers = {}
        self._answers[answer.seq] = answer, size_bytes
        self._answer_bytes += size_bytes
        while self._answers and (len(self._answers) > RESULTS_KEPT or self._answer_bytes > RESULTS_KEPT_BYTES):
            _, dropped_bytes = self._answers.pop(next(iter(self._answers)))
            self._answer_bytes -= dropped_bytes

    def answer(self, seq: int) -> Result | ErrorFrame | None:
        """The stored answer to action `seq`; None if it is gone or `seq` was no action."""
        kept = self._answers.get(seq) if self._answers else None
        return kept[0] if kept else None
