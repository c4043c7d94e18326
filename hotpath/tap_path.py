"""From a TAP to its TAPPED: `Tally`, `Gate`, `TapLine`, `Seat`, `Notices`; described in `hotpath._tap_path_py`."""

from hotpath._tap_path_c import NOTICE_SLOTS, NOTICE_TICK_MS, QUIET_MS, Gate, Notices, Seat, Tally, TapLine

__all__ = ["NOTICE_SLOTS", "NOTICE_TICK_MS", "QUIET_MS", "Gate", "Notices", "Seat", "Tally", "TapLine"]
