"""How much memory waits for the database, without looking at anybody who holds it.

A player who has something to write cannot be put away, so all of it counts: actor, place, numbers, cursors, and the
copy of them that a flush takes. That is the same for everyone, `PLAYER_BYTES`, and whoever only taps adds nothing to
it. What goes beside the row (ledger entries, used-up and given grants, stored answers, signals of who taps) is counted
by who enters it and taken off when its batch has ended: committed, fenced, or kept as a dead letter.

The weights are what CPython 3.11 allocates for one of each; `tests/unit/persistence/test_backlog.py` measures them.
"""

PLAYER_BYTES = 2_560
POSTING_BYTES = 264
EFFECT_BYTES = 240
SIGNALS_BYTES = 1_240  #: signals of who taps, kept; a suspicion is less
GRANT_BYTES = 48  #: the id of a used-up one
ANSWER_BYTES = 600  #: beside its frame, which is there twice: to be stored, and to be given


class Backlog:
    """What is held beside the rows of the players of a node, in bytes.

    Attributes:
        beside_bytes: all that was entered and has not ended.
        taken_bytes: all that batches have ever taken; whoever makes a batch sees by the difference what is in it.
    """

    __slots__ = ("beside_bytes", "taken_bytes")

    def __init__(self) -> None:
        self.beside_bytes = 0
        self.taken_bytes = 0
