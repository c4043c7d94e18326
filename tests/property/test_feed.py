"""The ring of a channel, held against a list of everything that was ever published on it."""

from hypothesis import example, given
from hypothesis import strategies as st

from gameserver.actors.feed import RING_EVENTS, RING_MS, Feed

EPOCH = 7
#: (wait so long, then publish so many)
Life = list[tuple[int, int]]
waits_ms = st.sampled_from([0, 1, RING_MS // 2, RING_MS - 1, RING_MS, RING_MS + 1])
counts = st.sampled_from([0, 1, 2, RING_EVENTS - 1, RING_EVENTS, RING_EVENTS + 1])


@given(
    life=st.lists(st.tuples(waits_ms, counts), max_size=5), last_wait_ms=waits_ms, epoch=st.integers(EPOCH - 1, EPOCH)
)
@example(life=[(0, RING_EVENTS)], last_wait_ms=RING_MS, epoch=EPOCH)
@example(life=[(0, RING_EVENTS + 1)], last_wait_ms=0, epoch=EPOCH)
@example(life=[(0, 1), (1, 1)], last_wait_ms=RING_MS, epoch=EPOCH)
def test_recovered_is_every_event_after_the_offset_or_nothing(life: Life, last_wait_ms: int, epoch: int) -> None:
    feed, now_ms = Feed(EPOCH), 1_000_000
    published: list[tuple[int, int]] = []
    for wait_ms, count in life:
        now_ms += wait_ms
        for _ in range(count):
            event = feed.append("level.up", len(published), now_ms)
            published.append((now_ms, event.offset))
    now_ms += last_wait_ms
    assert [offset for _, offset in published] == list(range(1, len(published) + 1))
    kept = {offset for at_ms, offset in published[-RING_EVENTS:] if at_ms >= now_ms - RING_MS}
    for asked in {*range(4), *(len(published) + near for near in range(-RING_EVENTS - 2, 3))}:
        missed = list(range(asked + 1, len(published) + 1))
        whole = epoch == EPOCH and 0 <= asked <= len(published) and kept.issuperset(missed)
        found = feed.since(epoch, asked, now_ms)
        assert (None if found is None else [event.offset for event in found]) == (missed if whole else None)
