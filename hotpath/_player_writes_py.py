r"""What of a player goes to a flush, readable: the specification of `hotpath.player_writes`.

A `Stretch` is what a player did between two flushes, a `PlayerWrites` one closed stretch: a copy of the player's
numbers and what moved with them. A batch of those becomes one text per column, in PostgreSQL's own form of an array
(PostgreSQL manual, "Array Input and Output Syntax"; in SQL: `$1::text::bigint[]`): the driver looks at every element
of an array before it encodes it, which was most of the cost of a flush.

Domain in which the twins are equal: states and cursors as the constructors of their classes allow, everything else that
should be an int is one of 64 bits, lineages are bytes. Outside it the C one raises and changes nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from hotpath._player_state_py import Cursor, PlayerState


class PlayerWrites:
    """Everything the turns of one player wrote since the last flush; committed whole or not at all.

    Args:
        player_id: the row.
        owner_epoch: fencing token: nothing is written where the row has another one.
        columns: the player's numbers, in the order of `COLUMN_NAMES`.
        minted_mpt: gross minted by these turns, unposted included.
        burned_mpt: sunk by them.
        cursors: lineage → highest operation consumed; only those that moved. What is no lineage and no operation is
            not looked at here, but by who makes texts of it, and by PostgreSQL.
        postings: ledger entries.
        applied_grants: ids of `player_grants` rows used up.
        release: last flush of a passivating actor: clears `owner_node`.
        answers: of operations that are answered once they are committed; each has a `confirm()`.
        effects: rows of other tables.
    """

    __slots__ = (
        "_moved",
        "answers",
        "applied_grants",
        "burned_mpt",
        "columns",
        "cursors",
        "effects",
        "minted_mpt",
        "owner_epoch",
        "player_id",
        "postings",
        "release",
    )

    def __init__(
        self,
        player_id: int,
        owner_epoch: int,
        columns: tuple[int, ...],
        minted_mpt: int,
        burned_mpt: int,
        cursors: dict[bytes, int],
        postings: tuple[Any, ...] = (),
        applied_grants: tuple[int, ...] = (),
        release: bool = False,
        answers: tuple[Any, ...] = (),
        effects: tuple[Any, ...] = (),
    ) -> None:
        self.player_id = player_id
        self.owner_epoch = owner_epoch
        self.columns = columns
        self.minted_mpt = minted_mpt
        self.burned_mpt = burned_mpt
        self.cursors = cursors
        self.postings = postings
        self.applied_grants = applied_grants
        self.release = release
        self.answers = answers
        self.effects = effects
        self._moved: dict[bytes, Any] = {}

    def __repr__(self) -> str:
        names = [name for name in PlayerWrites.__slots__ if name != "_moved"]
        return f"PlayerWrites({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def confirm(self) -> None:
        """They are committed: tell the cursors that a `Stretch` found moved, whoever is attached there, the answers."""
        for key, lineage in self._moved.items():
            seq = self.cursors[key]
            lineage.cursor.confirm(seq)
            if lineage.origin is not None:
                lineage.origin.durable(seq)
        for answer in self.answers:
            answer.confirm()


class Stretch:
    """What a player does from one flush to the next.

    Args:
        player_id: the player.
        owner_epoch: fencing token of this activation.
        state: as it is in the database.
        post_at_ms: when its income is to be posted, by the time of a tap; may be set.
    """

    __slots__ = ("_level", "_lifetime_mpt", "_owner_epoch", "_player_id", "_revision", "lineages", "post_at_ms")

    def __init__(self, player_id: int, owner_epoch: int, state: PlayerState, post_at_ms: int) -> None:
        self._player_id = player_id
        self._owner_epoch = owner_epoch
        self.post_at_ms = post_at_ms
        self._begin(state)
        #: whose cursors may move; each has a `cursor`, and an `origin` that is None or to be told what is durable
        self.lineages: dict[bytes, Any] = {}

    @property
    def level(self) -> int:
        """The player's level when it began."""
        return self._level

    def owes_ledger(self, state: PlayerState) -> bool:
        """Whether ledger entries are due: a level was reached, or a tap came since `post_at_ms`."""
        return state.level != self._level or state.last_tap_at_ms >= self.post_at_ms

    def close_if_changed(self, state: PlayerState) -> PlayerWrites | None:
        """`close` where nothing goes with it; None, and it goes on, where neither numbers nor cursors have moved."""
        if state.revision == self._revision and not self._moved():
            return None
        return self.close(state)

    def close(
        self,
        state: PlayerState,
        postings: tuple[Any, ...] = (),
        applied_grants: tuple[int, ...] = (),
        release: bool = False,
        burned_mpt: int = 0,
        answers: tuple[Any, ...] = (),
        effects: tuple[Any, ...] = (),
    ) -> PlayerWrites:
        """End it here, and begin the next.

        Args:
            state: the player now; what `postings` move to the ledger is no longer unposted.
            postings: ledger entries to be written with it.
            applied_grants: ids of `player_grants` rows used up.
            release: the player is given up.
            burned_mpt: what the postings sink.
            answers: of operations that are answered once they are committed.
            effects: rows of other tables.
        """
        moved = self._moved()
        writes = PlayerWrites(
            self._player_id,
            self._owner_epoch,
            state.columns(),
            state.lifetime_mpt - self._lifetime_mpt,
            burned_mpt,
            moved,
            postings,
            applied_grants,
            release,
            answers,
            effects,
        )
        writes._moved = {key: self.lineages[key] for key in moved}  # noqa: SLF001 - they are one
        for lineage in writes._moved.values():  # noqa: SLF001
            lineage.cursor.take()
        self._begin(state)
        return writes

    def _begin(self, state: PlayerState) -> None:
        self._lifetime_mpt = state.lifetime_mpt
        self._level = state.level
        self._revision = state.revision

    def _moved(self) -> dict[bytes, int]:
        cursors: dict[bytes, Cursor] = {key: lineage.cursor for key, lineage in self.lineages.items()}
        return {key: cursor.applied_seq for key, cursor in cursors.items() if cursor.applied_seq > cursor.taken_seq}


def row_texts(writes: Sequence[PlayerWrites]) -> tuple[str, ...]:
    """A text per column: player ids, owner epochs, sums of the postings, then `COLUMN_NAMES`.

    Args:
        writes: at least one; the columns are in their order.

    Raises:
        TypeError: something is not what it should be, by a bug of ours.
        OverflowError: something does not fit into 64 bits.
    """
    rows = [(w.player_id, w.owner_epoch, sum([p.amount_mpt for p in w.postings]), *w.columns) for w in writes]
    return tuple(_array(map(str, column)) for column in zip(*rows, strict=True))


def cursor_texts(writes: Sequence[PlayerWrites]) -> tuple[str, str, str]:
    r"""Player ids, lineages, seqs of all cursors that moved.

    A lineage is `"\\x00ff"`: the backslash of a `bytea` is doubled because it escapes inside an array's quotes.

    Raises:
        TypeError: something is not what it should be, by a bug of ours.
        OverflowError: something does not fit into 64 bits.
    """
    moved = [(w.player_id, lineage, seq) for w in writes for lineage, seq in w.cursors.items()]
    return (
        _array(str(player_id) for player_id, _, _ in moved),
        _array(f'"\\\\x{lineage.hex()}"' for _, lineage, _ in moved),
        _array(str(seq) for _, _, seq in moved),
    )


def any_postings(writes: Sequence[PlayerWrites]) -> bool:
    """Whether one of them has ledger entries."""
    return any(w.postings for w in writes)


def any_beside_ledger(writes: Sequence[PlayerWrites]) -> bool:
    """Whether one of them has rows beside its player, cursors and ledger: grants, answers, effects, or is the last."""
    return any(w.applied_grants or w.release or w.answers or w.effects for w in writes)


def totals_mpt(writes: Sequence[PlayerWrites]) -> tuple[int, int]:
    """Minted and burned by all of them."""
    return sum(w.minted_mpt for w in writes), sum(w.burned_mpt for w in writes)


def _array(elements: Iterable[str]) -> str:
    return f"{{{','.join(elements)}}}"
