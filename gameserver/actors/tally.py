"""What all players of a node did; turns only count, metrics read."""

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts since the start."""

    accepted_total: int = 0  #: taps that counted
    refused_total: int = 0  #: taps in excess of bucket or energy
    repeated_frames_total: int = 0  #: TAP frames that had been applied before
    levels_total: int = 0  #: levels reached
