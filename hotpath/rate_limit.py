"""Sliding-window rate limit in constant memory; described in `hotpath._rate_limit_py`."""

from hotpath._rate_limit_c import MAX_LIMIT, MAX_WINDOW_MS, SlidingWindow

__all__ = ["MAX_LIMIT", "MAX_WINDOW_MS", "SlidingWindow"]
