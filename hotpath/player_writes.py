"""What of a player goes to a flush, and a batch of it as texts for PostgreSQL; described in `_player_writes_py`."""

from hotpath._player_writes_c import (
    PlayerWrites,
    Stretch,
    any_beside_ledger,
    any_postings,
    cursor_texts,
    row_texts,
    totals_mpt,
)

__all__ = [
    "PlayerWrites",
    "Stretch",
    "any_beside_ledger",
    "any_postings",
    "cursor_texts",
    "row_texts",
    "totals_mpt",
]
