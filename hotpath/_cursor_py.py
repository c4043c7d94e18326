"""How far a lineage of operations has come, readable: part of the specification of `hotpath.player_state`."""


class Cursor:
    """How far one lineage of operations has come; the numbers only grow, and neither taken nor durable pass applied.

    Args:
        applied_seq: highest operation whose effect is committed, 0 … 2³² − 1; all three numbers start here.

    Raises:
        ValueError: out of range.
    """

    __slots__ = ("_applied_seq", "_durable_seq", "_taken_seq")

    def __init__(self, applied_seq: int = 0) -> None:
        if type(applied_seq) is not int or not 0 <= applied_seq < 2**32:
            raise ValueError(f"applied_seq must be an integer from 0 to {2**32 - 1}, not {applied_seq!r}")
        self._applied_seq = applied_seq
        self._durable_seq = self._taken_seq = self._applied_seq

    @property
    def applied_seq(self) -> int:
        """Highest operation that was applied."""
        return self._applied_seq

    @property
    def durable_seq(self) -> int:
        """Highest operation that is known to be committed."""
        return self._durable_seq

    @property
    def taken_seq(self) -> int:
        """Highest operation that has been handed to a flush."""
        return self._taken_seq

    def advance(self, seq: int) -> bool:
        """Consume operation `seq` (0 … 2³² − 1): True if it is new, False if it is a repeat and nothing moved."""
        if seq <= self._applied_seq:
            return False
        self._applied_seq = seq
        return True

    def take(self) -> None:
        """Everything applied up to now is in the hands of a flush."""
        self._taken_seq = self._applied_seq

    def confirm(self, seq: int) -> None:
        """Everything up to `seq` (0 … 2³² − 1) is committed; what was not applied here cannot be."""
        self._durable_seq = max(self._durable_seq, min(seq, self._applied_seq))
