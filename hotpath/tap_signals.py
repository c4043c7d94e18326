"""What batches of taps tell of who taps: `TapSignals`; described in `hotpath._tap_signals_py`."""

from hotpath._tap_signals_c import (
    BATCHES_KEPT,
    CLIENT_BATCH_TAPS,
    COUNTER_NAMES,
    COUNTER_RANGES,
    FRAME_TAPS,
    GAPS_KEPT,
    HOUR_MS,
    HOURS_KEPT,
    MAX_GAP_MS,
    MIN_GAP_MS,
    QUICK_REFILL_MS,
    REFILL_PAUSE_MS,
    REFILLS_KEPT,
    REST_MS,
    TapSignals,
)

__all__ = [
    "BATCHES_KEPT",
    "CLIENT_BATCH_TAPS",
    "COUNTER_NAMES",
    "COUNTER_RANGES",
    "FRAME_TAPS",
    "GAPS_KEPT",
    "HOURS_KEPT",
    "HOUR_MS",
    "MAX_GAP_MS",
    "MIN_GAP_MS",
    "QUICK_REFILL_MS",
    "REFILLS_KEPT",
    "REFILL_PAUSE_MS",
    "REST_MS",
    "TapSignals",
]
