"""How much a player's taps look like a machine's (game rules, "Suspicion").

A score and nothing else: what follows from it is reviewed by a person before anybody is banned. Each sign is worth so
many of 10 000 points; `LIMIT_SCORE` and more is over the threshold. The signs that no person shows reach it alone, the
others only together. What the values were chosen by is measured in tests/simulation, and told in docs/security.md.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hotpath.tap_signals import HOUR_MS, HOURS_KEPT, TapSignals

TOP_SCORE: Final = 10_000
LIMIT_SCORE: Final = 6_000  #: from here on the player is over the threshold …
REARM_SCORE: Final = 3_000  #: … and not again before the score has been below this

MIN_GAPS: Final = 256  #: fewer tell nothing of a rhythm: about four minutes of tapping
MIN_BATCHES: Final = 64
MIN_REFILLS: Final = 6
RESTLESS_MS: Final = 24 * HOUR_MS
PPM: Final = 1_000_000


class Sign(StrEnum):
    """What was noticed."""

    RHYTHM = "rhythm"  #: gaps between batches vary less than fingers and networks let them
    PACE = "pace"  #: taps follow each other more evenly than fingers can
    CAPPED = "capped"  #: batches exactly as large as a client or the protocol lets them be
    RESTLESS = "restless"  #: a day and more without a pause of four hours, nearly every hour of it
    REFILL = "refill"  #: the first tap within two seconds of full energy, again and again
    EXCESS = "excess"  #: taps beyond what bucket and energy allow; our client does not make them


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the signals come to."""

    score: int  #: 0 … `TOP_SCORE`
    signs: dict[Sign, int]  #: points of each sign that has any


def judge(signals: TapSignals) -> Verdict:
    """Weigh a player's signals.

    Args:
        signals: as counted up to now.
    """
    points = {
        Sign.RHYTHM: _evenness(signals.gaps, signals.gaps_sum, signals.gaps_squares, even_ppm=16, uneven_ppm=64),
        Sign.PACE: _evenness(signals.paces, signals.paces_sum, signals.paces_squares, even_ppm=100, uneven_ppm=484),
        Sign.CAPPED: _between(signals.capped, signals.batches, 1_000, 5_000, 7_000, at_least=MIN_BATCHES),
        Sign.RESTLESS: _restlessness(signals),
        Sign.REFILL: _between(signals.quick_refills, signals.refills, 3_000, 7_000, 7_000, at_least=MIN_REFILLS),
        Sign.EXCESS: _between(signals.refused, signals.claimed, 2_000, 6_000, 3_000, at_least=MIN_BATCHES),
    }
    signs = {sign: found for sign, found in points.items() if found}
    return Verdict(min(TOP_SCORE, sum(signs.values())), signs)


def _between(part: int, whole: int, from_bp: int, to_bp: int, top: int, *, at_least: int) -> int:
    """Points by a share: none up to `from_bp`, `top` from `to_bp` on, evenly between; none of fewer than `at_least`."""
    if whole < at_least:
        return 0
    share_bp = part * 10_000 // whole
    return min(top, max(0, share_bp - from_bp) * top // (to_bp - from_bp))


def _evenness(count: int, total: int, squares: int, *, even_ppm: int, uneven_ppm: int) -> int:
    """Points by the squared coefficient of variation, variance : mean², in millionths: 7 000 of `even_ppm` and less."""
    if count < MIN_GAPS or total == 0:
        return 0
    cv2_ppm = max(0, count * squares - total * total) * PPM // (total * total)
    return min(7_000, max(0, uneven_ppm - cv2_ppm) * 7_000 // (uneven_ppm - even_ppm))


def _restlessness(signals: TapSignals) -> int:
    """Points from 24 h without a pause of 4 h on: few where many hours had no batch, as nights and work have."""
    awake_ms = signals.last_batch_ms - signals.awake_since_ms
    if awake_ms < RESTLESS_MS:
        return 0
    hours = min(HOURS_KEPT, awake_ms // HOUR_MS)
    busy = (signals.hours & ((1 << hours) - 1)).bit_count()
    return 1_500 + _between(busy, hours, 7_500, 9_500, 5_500, at_least=1)
