"""One timing wheel serves thousands of deadlines: pings, idling, hello deadlines, passivation.

Theory: a deadline is put into the slot of its tick and looked at only when that tick passes. Whoever owns the
deadline may move it later without telling the wheel: when the tick passes, the owner says when to look again. So
activity costs nothing, and there is no task and no timer per connection or actor (a hashed wheel, as in Varghese and
Lauck, with lazy re-arming).
"""

from typing import Generic, TypeVar

T = TypeVar("T")


class TimingWheel(Generic[T]):
    """Items that come due, to the precision of one tick.

    Args:
        now_ms: the present.
        tick_ms: width of a slot; an item is handed out at most this much late.
        slots: how many ticks the wheel spans; an item due later than that is handed out early, at the span's end, and
            is expected to be scheduled again by its owner.
    """

    __slots__ = ("_due_tick", "_slots", "_tick_ms")

    def __init__(self, now_ms: int, *, tick_ms: int = 100, slots: int = 1024) -> None:
        self._tick_ms = tick_ms
        self._slots: list[list[T]] = [[] for _ in range(slots)]
        self._due_tick = now_ms // tick_ms

    def schedule(self, item: T, due_ms: int) -> None:
        """Hand `item` out once `due_ms` has passed; a past deadline comes with the next tick."""
        last = self._due_tick + len(self._slots) - 1
        tick = min(max(due_ms // self._tick_ms + 1, self._due_tick + 1), last)
        self._slots[tick % len(self._slots)].append(item)

    def advance(self, now_ms: int) -> list[T]:
        """Take out and return every item that has come due; each may be scheduled again at once."""
        now_tick = now_ms // self._tick_ms
        due: list[T] = []
        for tick in range(max(self._due_tick, now_tick - len(self._slots)) + 1, now_tick + 1):
            index = tick % len(self._slots)
            due += self._slots[index]
            self._slots[index] = []
        # Only now may items be scheduled again: in the middle of a jump they would fall into slots yet to be looked at.
        self._due_tick = max(self._due_tick, now_tick)
        return due

    def __len__(self) -> int:
        return sum(map(len, self._slots))
