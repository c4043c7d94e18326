"""From a TAP to its TAPPED: `Tally`, `Gate`, `TapLine`, `Seat`; described in `hotpath._tap_path_py`."""

from hotpath._tap_path_c import Gate, Seat, Tally, TapLine

__all__ = ["Gate", "Seat", "Tally", "TapLine"]
