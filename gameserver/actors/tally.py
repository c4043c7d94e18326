"""What all players of a node did, as metrics read it; the counting itself is `hotpath.tap_path.Tally`."""

from dataclasses import dataclass

from hotpath.tap_path import Tally


@dataclass(frozen=True, slots=True)
class TapStatistics:
    """Counts since the start."""

    accepted_total: int  #: taps that counted
    refused_total: int  #: taps in excess of bucket or energy
    repeated_frames_total: int  #: TAP frames that had been applied before
    levels_total: int  #: levels reached


@dataclass(slots=True)
class SuspicionTally:
    """Counts since the start; the actors count."""

    crossed_total: int = 0  #: times a player crossed the threshold
    limits_total: int = 0  #: of those, with a player who had no limit; the database spares whom operators have cleared


def tap_statistics(tally: Tally) -> TapStatistics:
    """The counts now."""
    return TapStatistics(tally.accepted_total, tally.refused_total, tally.repeated_frames_total, tally.levels_total)
