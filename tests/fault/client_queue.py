"""The numbered operations of one lineage, kept until they are answered and durable; after docs/client.md.

Pure: it is told what came and asked what is to be sent. Its twin is the page's `client/queue.js`; what it keeps to is
the wire protocol, "Operations".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fault.history import TAP, LineageHistory, Operation

IN_FLIGHT = 32  #: operations sent and not answered


@dataclass(slots=True)
class Queued:
    """An operation that is not forgotten yet."""

    operation: Operation
    answered: bool = False
    sent: bool = False  #: on the present socket


@dataclass(slots=True)
class ClientQueue:
    """One lineage's queue.

    Args:
        history: where its operations are recorded; its lineage is the queue's.
    """

    history: LineageHistory
    durable_seq: int = 0
    applied_seq: int = 0  #: of the last WELCOME
    blocked: bool = False  #: a retryable error was answered; nothing is sent until `unblock`
    _next_seq: int = 1
    _queued: list[Queued] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._queued)

    @property
    def unanswered_taps(self) -> int:
        """Taps that no answer has come for."""
        return sum(item.operation.count for item in self._queued if not item.answered)

    @property
    def undurable_taps(self) -> int:
        """Taps that would be sent again if the server lost what it has not committed."""
        return sum(item.operation.count for item in self._queued)

    @property
    def unanswered_actions(self) -> int:
        """Actions that no answer has come for."""
        return sum(item.operation.name != TAP and not item.answered for item in self._queued)

    @property
    def awaits_answers(self) -> bool:
        """Whether something on this socket is unanswered."""
        return any(item.sent and not item.answered for item in self._queued)

    def add(self, name: str, *, count: int = 0, args: Mapping[str, Any] | None = None) -> Operation:
        """Number a new operation."""
        operation = Operation(self._next_seq, name, args or {}, count)
        self._next_seq += 1
        self.history.operations[operation.seq] = operation
        self._queued.append(Queued(operation))
        return operation

    def due(self) -> list[Operation]:
        """What is to be sent now, in order; it counts as sent from now on."""
        if self.blocked:
            return []
        in_flight = sum(item.sent and not item.answered for item in self._queued)
        found: list[Operation] = []
        for item in self._queued:
            if in_flight + len(found) >= IN_FLIGHT:
                break
            if not item.sent:
                item.sent = True
                found.append(item.operation)
        return found

    def answered(self, seq: int) -> None:
        """A final answer to `seq` came."""
        for item in self._queued:
            if item.operation.seq == seq:
                item.answered = True

    def told_durable(self, durable_seq: int) -> None:
        """Forget what is both durable and answered."""
        self.durable_seq = max(self.durable_seq, durable_seq)
        self._queued = [item for item in self._queued if not item.answered or item.operation.seq > self.durable_seq]

    def resume(self, applied_seq: int, durable_seq: int) -> None:
        """After WELCOME: what is above `applied_seq` is sent again, and each action that was never answered."""
        self.applied_seq = applied_seq
        self.blocked = False
        for item in self._queued:
            if item.operation.seq > applied_seq:
                item.answered = False
            elif item.operation.name == TAP:
                item.answered = True
            item.sent = item.answered
        self.told_durable(durable_seq)

    def go_back(self, seq: int) -> bool:
        """A retryable error for `seq`: from it on, everything unanswered is to be sent again after a pause.

        Returns:
            False where it is the echo of a block that is known: a later operation of it.
        """
        if not any(item.operation.seq == seq and item.sent and not item.answered for item in self._queued):
            return False
        self.blocked = True
        for item in self._queued:
            if item.operation.seq >= seq and not item.answered:
                item.sent = False
        return True

    def unblock(self) -> None:
        """The pause is over."""
        self.blocked = False

    def answered_already(self) -> list[Operation]:
        """What may be sent once more without overtaking anything: for clients that repeat themselves."""
        return [item.operation for item in self._queued if item.sent and item.answered]
