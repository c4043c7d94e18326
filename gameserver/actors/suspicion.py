"""What a player's taps tell of who taps: counted with every batch, weighed seldom, kept from activation to activation.

The counters are the tap path's (`hotpath.tap_signals`), the weighing is the game's (`gameserver.game.suspicion`). Here
stands when: at most once a minute while income is posted anyway, and when the player leaves. A crossing of the
threshold is told once, with the flush; what comes of it is the database's to judge (`persistence.suspicion_store`).
"""

from typing import Final

from gameserver.actors.tally import SuspicionTally
from gameserver.game.suspicion import LIMIT_SCORE, REARM_SCORE, Verdict, judge
from hotpath.tap_signals import COUNTER_NAMES, HOUR_MS, TapSignals
from persistence.records import Effect, KeptSignals, LoadedPlayer, Suspected

LOOK_EVERY_MS: Final = 60_000
KEEP_EVERY_MS: Final = HOUR_MS  #: while the player stays; so much of the counting a crash may lose
SPREAD_MS: Final = 7_919  #: so far apart are players whose ids follow each other, though they were loaded together


class Suspicion:
    """A player's signals, and what has been made of them.

    Args:
        loaded: what the claim brought.
        tally: the node's.
        now_ms: the present.
    """

    __slots__ = ("_keep_at_ms", "_kept_batch_ms", "_limited", "_look_at_ms", "_over", "_tally", "signals")

    def __init__(self, loaded: LoadedPlayer, tally: SuspicionTally, now_ms: int) -> None:
        kept = loaded.signals
        self.signals = _signals_of(kept, loaded.columns.last_tap_at_ms)
        self._over = kept is not None and kept.over_limit
        self._limited = loaded.shadow_limited
        self._tally = tally
        self._look_at_ms = 0
        self._keep_at_ms = now_ms + KEEP_EVERY_MS - loaded.id * SPREAD_MS % KEEP_EVERY_MS
        self._kept_batch_ms = self.signals.last_batch_ms

    def is_due(self, now_ms: int) -> bool:
        """Whether it is time to look."""
        return now_ms >= self._look_at_ms

    def look(self, now_ms: int, *, leaving: bool) -> tuple[Effect, ...]:
        """Weigh the signals; returns what is to be written of them.

        Args:
            now_ms: the present.
            leaving: the player is put away: everything is to be kept.
        """
        self._look_at_ms = now_ms + LOOK_EVERY_MS
        if self.signals.last_batch_ms == self._kept_batch_ms:
            return ()
        verdict = judge(self.signals)
        crossed = verdict.score >= LIMIT_SCORE and not self._over
        self._over = crossed or (self._over and verdict.score >= REARM_SCORE)
        effects: tuple[Effect, ...] = (self._cross(verdict, now_ms),) if crossed else ()
        if crossed or leaving or now_ms >= self._keep_at_ms:
            self._keep_at_ms = now_ms + KEEP_EVERY_MS
            self._kept_batch_ms = self.signals.last_batch_ms
            signs = {str(sign): points for sign, points in verdict.signs.items()}
            effects += (KeptSignals(self.signals.counters(), verdict.score, signs, self._over, now_ms),)
        return effects

    def _cross(self, verdict: Verdict, now_ms: int) -> Suspected:
        self._tally.crossed_total += 1
        self._tally.limits_total += not self._limited
        self._limited = True
        return Suspected(verdict.score, {str(sign): points for sign, points in verdict.signs.items()}, now_ms)


def _signals_of(kept: KeptSignals | None, last_tap_at_ms: int) -> TapSignals:
    """The counters that go on; of a player never counted before, all that is known is the last tap."""
    if kept is None:
        return TapSignals(last_batch_ms=last_tap_at_ms, awake_since_ms=last_tap_at_ms)
    counters = dict(zip(COUNTER_NAMES, kept.counters, strict=True))
    counters["last_batch_ms"] = max(counters["last_batch_ms"], last_tap_at_ms)  # what came after they were kept
    return TapSignals(**counters)
