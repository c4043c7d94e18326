"""What a tap changes: `PlayerState`, `World`, `Cursor`; described in `hotpath._player_state_py`."""

from hotpath._player_state_c import COLUMN_NAMES, FIELD_RANGES, MAX_COMBO, UPGRADE_COLUMNS, Cursor, PlayerState, World

__all__ = ["COLUMN_NAMES", "FIELD_RANGES", "MAX_COMBO", "UPGRADE_COLUMNS", "Cursor", "PlayerState", "World"]
