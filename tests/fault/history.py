"""What clients saw: every operation they sent, every answer, every promise of durability, every death.

Clients write it, the checker reads it; nothing here knows sockets, databases or clocks. Times are seconds of whatever
clock the writer keeps to, and only compared with each other.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

TAP = "tap"  #: the name under which taps are recorded beside the actions

LOOK_S = 3.0  #: after a fight: the next renewal of the lease, and the flush that ends what was old

#: Actions whose answer may only come after the commit, and whose answer is stored with the effect.
HARD_ACTIONS = frozenset({"upgrade.buy", "boost.use", "transfer.send"})


@dataclass(slots=True)
class Operation:
    """One numbered operation of a lineage."""

    seq: int
    name: str  #: `TAP` or the action's
    args: Mapping[str, Any] = field(default_factory=dict)
    count: int = 0  #: taps in it
    sent_s: float = 0.0  #: first time on a wire; 0 = never
    sendings: int = 0

    @property
    def hard(self) -> bool:
        """Whether its answer is a promise for ever."""
        return self.name in HARD_ACTIONS


@dataclass(frozen=True, slots=True)
class Welcomed:
    """A socket got its WELCOME."""

    at_s: float
    applied_seq: int
    durable_seq: int
    xp: int


@dataclass(frozen=True, slots=True)
class Tapped:
    """A TAP was answered."""

    at_s: float
    seq: int
    accepted: int
    xp: int
    durable_seq: int


@dataclass(frozen=True, slots=True)
class Resulted:
    """An ACTION was answered with RESULT."""

    at_s: float
    seq: int
    result: Any
    durable_seq: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation was answered with ERROR."""

    at_s: float
    seq: int
    code: int
    name: str
    message: str
    retry_after_ms: int  #: 0 = final

    @property
    def final(self) -> bool:
        """Whether the operation is consumed by it."""
        return self.retry_after_ms == 0


@dataclass(frozen=True, slots=True)
class ToldDurable:
    """A DURABLE frame came."""

    at_s: float
    durable_seq: int


@dataclass(frozen=True, slots=True)
class SentAgain:
    """An operation was sent once more."""

    at_s: float
    seq: int


Event = Welcomed | Tapped | Resulted | Refused | ToldDurable | SentAgain


@dataclass(slots=True)
class LineageHistory:
    """One queue of operations, over all its sockets."""

    client: str  #: who reports call it
    player: str  #: public id
    lineage: bytes
    operations: dict[int, Operation] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)  #: in the order in which they came
    goodbyes: Counter[int] = field(default_factory=Counter)  #: close codes that the server announced
    died_s: float | None = None  #: the client is gone for good, with its queue
    died_with_server: bool = False  #: and the server that it spoke with, at the same instant

    @property
    def lives(self) -> bool:
        """Whether everything is still going to be sent again until it is durable."""
        return self.died_s is None

    @property
    def last_sent_seq(self) -> int:
        """The highest number that was ever on a wire."""
        return max((operation.seq for operation in self.operations.values() if operation.sendings), default=0)

    @property
    def durable_seq(self) -> int:
        """The highest number that was ever told to be durable."""
        return max((durable_seq_of(event) for event in self.events), default=0)

    def answers(self) -> dict[int, list[Tapped | Resulted | Refused]]:
        """Final answers by seq, in the order in which they came."""
        found: dict[int, list[Tapped | Resulted | Refused]] = {}
        for event in self.events:
            if isinstance(event, Tapped | Resulted) or (isinstance(event, Refused) and event.final):
                found.setdefault(event.seq, []).append(event)
        return found


def durable_seq_of(event: Event) -> int:
    """Up to where `event` says that everything is durable; 0 where it says nothing."""
    return 0 if isinstance(event, Refused | SentAgain) else event.durable_seq


@dataclass(slots=True)
class History:
    """All lineages of a run."""

    lineages: list[LineageHistory] = field(default_factory=list)
    #: from when to when lease checks were off: a server cannot know then that what it remembers of a player is old
    fights_s: list[tuple[float, float]] = field(default_factory=list)

    def new_lineage(self, client: str, player: str, lineage: bytes) -> LineageHistory:
        """Begin the history of one."""
        made = LineageHistory(client, player, lineage)
        self.lineages.append(made)
        return made

    @property
    def fight_s(self) -> float:
        """How long all fights lasted."""
        return sum(to_s - from_s for from_s, to_s in self.fights_s)

    def fought_at(self, at_s: float) -> bool:
        """Whether lease checks were off, or a server may not have looked yet who is still its own."""
        return any(from_s <= at_s <= to_s + LOOK_S for from_s, to_s in self.fights_s)

    def of_player(self, player: str) -> Iterator[LineageHistory]:
        """Those of one player."""
        return (lineage for lineage in self.lineages if lineage.player == player)


@dataclass(frozen=True, slots=True)
class LossWindow:
    """What answered operations were lost with a client and a server that died together: no promise was broken."""

    lost_operations: int
    window_s: float  #: from the first sending of the oldest of them to the deaths


def loss_windows(history: History, cursors: Mapping[tuple[str, bytes], int]) -> list[LossWindow]:
    """One for each lineage whose client died together with its server.

    Args:
        history: of the run.
        cursors: (player, lineage) → highest committed seq.
    """
    windows = []
    for lineage in history.lineages:
        if lineage.died_s is None or not lineage.died_with_server:
            continue
        committed = cursors.get((lineage.player, lineage.lineage), 0)
        lost = [lineage.operations[seq] for seq in lineage.answers() if seq > committed and seq in lineage.operations]
        oldest_s = min((operation.sent_s for operation in lost), default=lineage.died_s)
        windows.append(LossWindow(len(lost), lineage.died_s - oldest_s))
    return windows
