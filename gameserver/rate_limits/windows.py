"""The windows of one limit, by whom they count for; memory is bounded under a flood of subjects.

There is no timer: each new subject makes room by forgetting up to two old ones for whom nothing counts any more, so
that there are about as many as came within two windows. Where all places are taken by subjects for whom something
does count, the one that was asked for longest ago is forgotten and begins anew: who has more addresses than there are
places is not stopped by counting addresses.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

from gameserver.rate_limits.table import Limit
from hotpath.rate_limit import SlidingWindow

MAX_SUBJECTS: Final = 20_000  #: of one limit; some 250 bytes each. More than players or their addresses on a node


class Windows:
    """One limit's.

    Args:
        limit: how many in how long.
        max_subjects: for so many at a time.
    """

    __slots__ = ("_by_subject", "_limit", "_max_subjects", "forgotten_total")

    def __init__(self, limit: Limit, max_subjects: int = MAX_SUBJECTS) -> None:
        self._limit = limit
        self._max_subjects = max_subjects
        self._by_subject: OrderedDict[Hashable, SlidingWindow] = OrderedDict()
        self.forgotten_total = 0  #: for whom something still counted

    def __len__(self) -> int:
        """How many subjects have one."""
        return len(self._by_subject)

    def of(self, subject: Hashable, now_ms: int) -> SlidingWindow:
        """The window of `subject`, a new one where there is none."""
        window = self._by_subject.get(subject)
        if window is None:
            self._make_room(now_ms)
            window = self._by_subject[subject] = new_window(self._limit)
        else:
            self._by_subject.move_to_end(subject)
        return window

    def _make_room(self, now_ms: int) -> None:
        for _ in range(2):
            if not self._by_subject:
                return
            oldest = next(iter(self._by_subject.values()))
            is_full = len(self._by_subject) >= self._max_subjects
            if oldest.idle(now_ms):
                self._by_subject.popitem(last=False)
            elif is_full:
                self._by_subject.popitem(last=False)
                self.forgotten_total += 1
            else:
                return


def new_window(limit: Limit) -> SlidingWindow:
    """An empty window of a limit."""
    return SlidingWindow(limit.count, 1_000 * limit.window_s)
