"""The queues of operations of a player's clients, as its actor sees them.

A client draws a random 128-bit lineage, numbers its operations in it and re-sends what is not durable; the cursor
says how far the server has come. Cursor and effect commit together, so an operation counts exactly once (architecture
§4.5; wire protocol, "Operations").

A soft operation is answered when it is applied, a hard one when it is committed: until then its answer is pending.
"""

from itertools import islice

import msgspec

from gameserver.actors.messages import Origin
from gameserver.errors import RateLimited
from gameserver.wire.codec import encode
from gameserver.wire.messages import ErrorFrame, Result
from gameserver.wire.ops import MAX_LINEAGES, RESULTS_KEPT, RESULTS_KEPT_BYTES
from hotpath.player_state import Cursor
from hotpath.tap_path import TapLine

ANSWERS_AT_REST = 16  #: of so many lineages without a socket answers stay in memory: those that lost theirs last
ROOM_MS = 600_000  #: after which there may be room for one lineage more: it is made when an idle player is loaded again


class Lineage:
    """Cursor, stored answers and present socket of one queue of operations; `line` is there while a socket is.

    Args:
        applied_seq: the highest committed seq; 0 for an unknown lineage.
    """

    __slots__ = ("_answer_bytes", "_answers", "cursor", "line", "origin", "pending")

    def __init__(self, applied_seq: int) -> None:
        self.cursor = Cursor(applied_seq)
        self.origin: Origin | None = None
        self.line: TapLine | None = None
        self.pending: dict[int, PendingAnswer] | None = None  #: by seq; most lineages never have one
        self._answers: dict[int, tuple[Result | ErrorFrame, int]] | None = None
        self._answer_bytes = 0

    def keep(self, answer: Result | ErrorFrame) -> None:
        """Store the answer to an action, to be given again when it is repeated; the oldest make room."""
        if self._answers is None:
            self._answers = {}
        size_bytes = size_of(answer)
        self._answers[answer.seq] = answer, size_bytes
        self._answer_bytes += size_bytes
        while self._answers and (len(self._answers) > RESULTS_KEPT or self._answer_bytes > RESULTS_KEPT_BYTES):
            _, dropped_bytes = self._answers.pop(next(iter(self._answers)))
            self._answer_bytes -= dropped_bytes

    def forget_answers(self) -> None:
        """Have the memory back; what a repeat of a hard operation gets is in the database too."""
        self._answers, self._answer_bytes = None, 0

    def answer(self, seq: int) -> Result | ErrorFrame | None:
        """The stored answer to action `seq`; None if it is gone or `seq` was no action."""
        kept = self._answers.get(seq) if self._answers else None
        return kept[0] if kept else None

    def give(self, answer: Result | ErrorFrame) -> None:
        """Send an answer to the present socket, with what is durable now."""
        if self.origin is not None:
            if isinstance(answer, Result):
                answer = Result(answer.seq, answer.result, self.cursor.durable_seq)
            self.origin.reply(answer)


class Lineages(dict[bytes, Lineage]):
    """Those of one player by their names, with a socket or a cursor; the last to lose its socket is the last of them.

    A client may draw as many as it likes, and none with a cursor can be forgotten while its client may still send what
    it has applied. So there is a bound at which a player gets no new one.
    """

    __slots__ = ()

    def find(self, key: bytes) -> Lineage:
        """The lineage `key` (16 bytes), a new one where it is not known; it is not put in here.

        Raises:
            RateLimited: it is not known, and there are too many.
        """
        known = self.get(key)
        if known is None and len(self) >= MAX_LINEAGES:
            raise RateLimited(
                f"this player has {MAX_LINEAGES} lineages of operations already; go on with one of them",
                retry_after_ms=ROOM_MS,
            )
        return known or Lineage(0)

    def rest(self, key: bytes) -> None:
        """Lineage `key` has no socket any more: forget it if it was never used; answers of many are not kept."""
        lineage = self.pop(key)
        if not lineage.cursor.applied_seq:
            return
        self[key] = lineage
        at_rest = (other for other in reversed(self.values()) if other.origin is None)
        for other in islice(at_rest, ANSWERS_AT_REST, ANSWERS_AT_REST + 1):
            other.forget_answers()


def size_of(answer: Result | ErrorFrame) -> int:
    """What it counts against the bound of stored answers, in bytes."""
    if isinstance(answer, ErrorFrame):
        return len(answer.message)
    return len(answer.result) if isinstance(answer.result, msgspec.Raw) else len(encode(answer))


class PendingAnswer:
    """The answer to a hard operation that has been applied and not committed: stored with it, given after it.

    Args:
        key: of the lineage, 16 bytes.
        lineage: whose operation it answers.
        answer: given, with its `durable_seq` brought up to date, to whoever is attached then and asked for it.
    """

    __slots__ = ("_answer", "_lineage", "encoded", "lineage", "origin", "seq")

    def __init__(self, key: bytes, lineage: Lineage, answer: Result | ErrorFrame) -> None:
        self.lineage = key
        self.seq = answer.seq
        self.encoded = encode(answer)  #: the frame, as it is stored
        self.origin = lineage.origin  #: who has asked last
        self._lineage = lineage
        self._answer = answer
        if lineage.pending is None:
            lineage.pending = {}
        lineage.pending[self.seq] = self

    def __repr__(self) -> str:
        return f"PendingAnswer(lineage={self.lineage!r}, seq={self.seq}, encoded={self.encoded!r})"

    def confirm(self) -> None:
        """It is committed."""
        assert self._lineage.pending is not None
        del self._lineage.pending[self.seq]
        self._lineage.keep(self._answer)
        if self.origin is self._lineage.origin:
            self._lineage.give(self._answer)
