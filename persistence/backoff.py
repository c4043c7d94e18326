"""How long whoever cannot reach the database waits before asking again."""

import random

FIRST_S = 0.05
MAX_S = 2.0


def pause_s(attempt: int, max_s: float = MAX_S) -> float:
    """A wait with full jitter below a ceiling that doubles: nodes that lost one database do not return in step.

    Args:
        attempt: how many attempts have had no answer before this one, from 0.
        max_s: where the ceiling stops growing, in seconds.
    """
    ceiling_s = min(max_s, FIRST_S * 2 ** min(attempt, 10))
    return random.uniform(0, ceiling_s)  # noqa: S311 - jitter, not a secret
