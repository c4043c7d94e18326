"""What of a player goes to a flush, over both twins."""

import gc
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import hotpath.player_state
import hotpath.player_writes
from tests.unit.hotpath.conftest import NEW_PLAYER, NOON_MS

Writing = tuple[ModuleType, ModuleType]
COLUMNS = tuple(range(21))


class Lineage:
    """A cursor, and whoever is attached to it."""

    def __init__(self, cursor: Any, told: list[int] | None = None) -> None:
        self.cursor = cursor
        self.origin = None if told is None else SimpleNamespace(durable=told.append)


def stretch_of(writing: Writing, **fields: int) -> tuple[Any, Any]:
    """A new player and its stretch; income is posted from a minute after noon on."""
    player_writes, player_state = writing
    state = player_state.PlayerState(**(NEW_PLAYER | fields))
    return state, player_writes.Stretch(7, 2, state, NOON_MS + 60_000)


def test_a_stretch_holds_what_was_minted_in_it_and_the_numbers_at_its_end(writing: Writing) -> None:
    state, stretch = stretch_of(writing, xp=399, lifetime_mpt=5_000)
    assert stretch.close_if_changed(state) is None
    world = writing[1].World()
    state.apply_taps(1, NOON_MS, world)
    assert stretch.owes_ledger(state)  # level 3
    first = stretch.close(state, ("a posting",), (4,), False)
    assert (first.player_id, first.owner_epoch, first.release) == (7, 2, False)
    assert (first.postings, first.applied_grants, first.cursors) == (("a posting",), (4,), {})
    assert (first.minted_mpt, first.burned_mpt) == (state.lifetime_mpt - 5_000, 0)
    assert first.columns == state.columns()
    before = state.columns()
    state.apply_taps(2, NOON_MS + 1_000, world)
    assert not stretch.owes_ledger(state)
    second = stretch.close_if_changed(state)
    assert second.minted_mpt == 2_000
    assert second.columns == state.columns() != before
    assert first.columns == before


def test_ledger_entries_are_due_by_the_time_of_a_tap(writing: Writing) -> None:
    state, stretch = stretch_of(writing)
    world = writing[1].World()
    state.apply_taps(1, NOON_MS + 59_999, world)
    assert not stretch.owes_ledger(state)
    state.apply_taps(1, NOON_MS + 60_000, world)
    assert stretch.owes_ledger(state)
    stretch.post_at_ms = NOON_MS + 120_000
    assert not stretch.owes_ledger(state)


def test_cursors_that_moved_are_taken_once_and_confirmed_with_their_writes(writing: Writing) -> None:
    player_state = writing[1]
    state, stretch = stretch_of(writing)
    told: list[int] = []
    for number in range(4):
        stretch.lineages[bytes([number])] = Lineage(player_state.Cursor(), None if number == 2 else told)
    cursors = [lineage.cursor for lineage in stretch.lineages.values()]
    for number in (0, 2, 3):
        cursors[number].advance(number + 1)
    writes = stretch.close_if_changed(state)
    assert writes.cursors == {b"\0": 1, b"\2": 3, b"\3": 4}
    assert [cursor.taken_seq for cursor in cursors] == [1, 0, 3, 4]
    assert stretch.close_if_changed(state) is None
    cursors[0].advance(9)
    assert stretch.close_if_changed(state).cursors == {b"\0": 9}
    writes.confirm()
    assert [cursor.durable_seq for cursor in cursors] == [1, 0, 3, 4]
    assert told == [1, 4]


def test_writes_without_a_stretch_have_nobody_to_tell(writing: Writing) -> None:
    writes = writing[0].PlayerWrites(1, 1, COLUMNS, 0, 0, {b"l" * 16: 5})
    writes.confirm()
    assert writes.cursors == {b"l" * 16: 5}
    assert (writes.postings, writes.applied_grants, writes.release) == ((), (), False)
    assert (writes.answers, writes.effects) == ((), ())
    assert repr(writes).startswith("PlayerWrites(answers=(), applied_grants=(), burned_mpt=0, columns=(0, 1, 2,")


def test_answers_hear_that_they_are_committed_after_the_cursors(writing: Writing) -> None:
    player_writes, _ = writing
    told: list[str] = []
    answer = SimpleNamespace(confirm=lambda: told.append("answer"))
    writes = player_writes.PlayerWrites(1, 1, COLUMNS, 0, 0, {}, answers=(answer, answer), effects=("a row",))
    assert told == []
    writes.confirm()
    assert told == ["answer", "answer"]
    assert writes.effects == ("a row",)


def test_a_batch_is_a_text_for_each_column(writing: Writing) -> None:
    player_writes, _ = writing
    batch = [
        player_writes.PlayerWrites(1, 3, COLUMNS, 5, 1, {b"\x00\xff": 7, b"a": 2**32 - 1}),
        player_writes.PlayerWrites(
            2**63 - 1, 4, COLUMNS[::-1], 6, 2, {}, (SimpleNamespace(amount_mpt=10), SimpleNamespace(amount_mpt=-3))
        ),
    ]
    ids, epochs, posted_mpt, *columns = player_writes.row_texts(batch)
    assert (ids, epochs, posted_mpt) == ("{1,9223372036854775807}", "{3,4}", "{0,7}")
    assert columns == [f"{{{number},{20 - number}}}" for number in range(21)]
    assert player_writes.cursor_texts(batch) == ("{1,1}", r'{"\\x00ff","\\x61"}', "{7,4294967295}")
    assert player_writes.cursor_texts(batch[1:]) == ("{}", "{}", "{}")
    assert player_writes.totals_mpt(batch) == (11, 3)


def test_what_a_batch_carries_beside_rows_and_cursors(writing: Writing) -> None:
    player_writes, _ = writing
    plain, posting, granted, leaving = (
        player_writes.PlayerWrites(1, 1, COLUMNS, 0, 0, {}, *others)
        for others in ((), ((SimpleNamespace(amount_mpt=1),),), ((), (7,)), ((), (), True))
    )
    assert [player_writes.any_postings([plain, other]) for other in (plain, posting, granted, leaving)] == [
        *(False, True, False, False)
    ]
    assert [player_writes.any_beside_ledger([plain, other]) for other in (plain, posting, granted, leaving)] == [
        *(False, False, True, True)
    ]


@pytest.mark.parametrize(
    ("cursors", "error"),
    [({b"l": 2**63}, OverflowError), ({b"l": "many"}, TypeError), ({"l": 1}, TypeError)],
)
def test_what_is_no_cursor_is_refused(cursors: dict[Any, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        hotpath.player_writes.cursor_texts([hotpath.player_writes.PlayerWrites(1, 1, COLUMNS, 0, 0, cursors)])


@pytest.mark.parametrize(
    ("columns", "error"), [(COLUMNS[1:], ValueError), ((2**63, *COLUMNS[1:]), OverflowError), (("x",) * 21, TypeError)]
)
def test_what_are_no_columns_is_refused(columns: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        hotpath.player_writes.PlayerWrites(1, 1, columns, 0, 0, {})


@pytest.mark.parametrize("function", ["row_texts", "cursor_texts", "totals_mpt", "any_postings", "any_beside_ledger"])
def test_what_are_no_writes_is_refused(function: str) -> None:
    with pytest.raises(TypeError):
        getattr(hotpath.player_writes, function)([None])


def test_writes_are_no_work_for_the_garbage_collector() -> None:
    state = hotpath.player_state.PlayerState(**NEW_PLAYER)
    stretch = hotpath.player_writes.Stretch(1, 1, state, 0)
    assert not gc.is_tracked(stretch.close(state, (), (), False))
