"""What the checker reports: one broken promise each, in words."""

import enum
from dataclasses import dataclass

from tests.fault.history import LineageHistory


class Rule(enum.StrEnum):
    """The promises, by the name that reports use."""

    DURABLE_LOST = "durable and gone"  #: told durable, and the cursor is below
    LIVING_LOST = "lost"  #: the client lives, sent it again and again, and it is not applied
    UNANSWERED = "never answered"  #: the client lives and waited until the end
    FROM_NOWHERE = "from nowhere"  #: the cursor is above everything that was ever sent
    CURSOR_BACK = "cursor went back"  #: a WELCOME below what an earlier frame told durable
    OVERTAKEN = "overtaken"  #: a later operation ran though an earlier one was refused as retryable
    TAPS_LOST = "taps lost"
    TAPS_TWICE = "taps twice"
    TAP_SHORT = "tap counted in part"  #: the load leaves room for every tap
    NUMBERS_BACK = "numbers went back"  #: below what had been told durable
    ANSWERS_DIFFER = "answers differ"  #: of one hard operation
    HARD_GONE = "answered and then gone"  #: a hard operation
    EFFECT_MISSING = "effect missing"
    EFFECT_TWICE = "effect twice"
    EFFECT_REFUSED = "effect of a refused operation"
    GRANT_OPEN = "grant never applied"
    LEDGER = "ledger and balances disagree"
    NEGATIVE = "negative balance"
    UNSETTLED = "not settled"
    STOPPED = "sent away"
    DRAIN = "not drained"
    NO_FIGHT = "no fight"  #: lease checks were off, and the servers did not take players from each other
    DEAD_LETTER = "good writes refused"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    rule: Rule
    who: str  #: client and lineage, a player, or a part of the database
    promised: str
    found: str
    seq: int = 0  #: 0 = not about one operation

    def __str__(self) -> str:
        where = f"{self.who}, seq {self.seq}" if self.seq else self.who
        return f"{self.rule}: {where}: {self.promised}, but {self.found}"


def of_lineage(rule: Rule, lineage: LineageHistory, promised: str, found: str, *, seq: int = 0) -> Violation:
    """A violation of what was promised to one client."""
    who = f"client {lineage.client}, player {lineage.player}, lineage {lineage.lineage.hex()}"
    return Violation(rule, who, promised, found, seq)
