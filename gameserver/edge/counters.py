"""What all sessions of a node did; hot code only counts, metrics read."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counts since the start."""

    frames_total: int = 0  #: frames received
    taps_claimed_total: int = 0  #: taps in valid TAP frames
    errors_sent_total: int = 0  #: ERROR frames
    malformed_total: int = 0  #: undecodable frames
    goodbyes_total: int = 0  #: GOODBYE frames
    slow_readers_total: int = 0  #: closed with 4008
    crashes_total: int = 0  #: sessions ended by a bug of ours
