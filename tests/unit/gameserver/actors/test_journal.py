"""What of a player is not yet handed to a flush."""

import dataclasses

import pytest

from gameserver.actors.journal import POST_EVERY_MS, Journal
from gameserver.actors.lineage import Lineage
from gameserver.actors.messages import Turn
from gameserver.actors.player import PlayerActor
from gameserver.actors.suspicion import Suspicion
from gameserver.actors.tally import SuspicionTally
from gameserver.clock import ManualClock
from hotpath.player_state import PlayerState, World
from persistence.backlog import ANSWER_BYTES, EFFECT_BYTES, GRANT_BYTES, POSTING_BYTES, Backlog
from persistence.records import Account, GrantGiven, GrantKind, LedgerKind, LoadedPlayer
from tests.fakes.lone_player import LonePlayer
from tests.fakes.player_database import PlayerDatabase, new_columns
from tests.fakes.recording_origin import RecordingOrigin
from tests.fakes.rich_player import rich_player

NOW_MS = ManualClock().now_ms()


def loaded(player_id: int) -> LoadedPlayer:
    database = PlayerDatabase()
    return dataclasses.replace(database.load(database.add()), id=player_id)


def new_state() -> PlayerState:
    columns = new_columns()
    return PlayerState(**{name: getattr(columns, name) for name in columns.__slots__}, generation=1)


def new_journal(player: LoadedPlayer, state: PlayerState, backlog: Backlog | None = None) -> Journal:
    return Journal(player, state, Suspicion(player, SuspicionTally(), NOW_MS), NOW_MS, backlog or Backlog())


def attached(journal: Journal, key: bytes, applied_seq: int = 0) -> Lineage:
    lineage = Lineage(applied_seq)
    lineage.origin = RecordingOrigin(key)
    journal.watch(key, lineage)
    return lineage


def taken(journal: Journal, state: PlayerState) -> dict[bytes, int] | None:
    writes = journal.take(state, ManualClock(), False)
    return None if writes is None else dict(writes.cursors)


def test_only_what_moved_since_the_last_take_is_taken() -> None:
    state = new_state()
    journal = new_journal(loaded(1), state)
    still, moving = attached(journal, b"s" * 16, 7), attached(journal, b"m" * 16)
    assert taken(journal, state) is None
    moving.cursor.advance(1)
    moving.cursor.advance(3)
    assert taken(journal, state) == {b"m" * 16: 3}
    assert taken(journal, state) is None
    still.cursor.advance(8)
    moving.cursor.advance(4)
    assert taken(journal, state) == {b"s" * 16: 8, b"m" * 16: 4}


def test_what_moved_before_its_socket_went_is_taken_and_then_forgotten() -> None:
    state = new_state()
    journal = new_journal(loaded(1), state)
    gone = attached(journal, b"g" * 16)
    gone.cursor.advance(5)
    gone.origin = None
    attached(journal, b"n" * 16)  # what is not taken yet stays
    assert taken(journal, state) == {b"g" * 16: 5}
    attached(journal, b"m" * 16)
    gone.cursor.advance(6)  # nobody may do that without a socket: it shows that the lineage is not looked at
    assert taken(journal, state) is None
    journal.watch(b"g" * 16, gone)
    assert taken(journal, state) == {b"g" * 16: 6}


def test_what_a_turn_that_raised_gave_is_forgotten_whatever_was_used_up_before_it() -> None:
    state = new_state()
    journal = new_journal(loaded(1), state)
    journal.use(journal.limits_of(NOW_MS), doubles=1)
    before = journal.mark()
    journal.give(GrantGiven(2, "transfer:1", GrantKind.TRANSFER_RECEIVED, 5_000))
    journal.use(journal.limits_of(NOW_MS), sent_mpt=5_000)
    journal.rewind(before)
    assert journal.limits_of(NOW_MS).sent_mpt == 0
    writes = journal.take(state, ManualClock(), False)
    assert writes is not None
    assert writes.effects == (journal.limits_of(NOW_MS),)
    assert journal.limits_of(NOW_MS).doubles == 1


def test_only_the_last_of_the_limits_that_were_used_up_is_written() -> None:
    state = new_state()
    journal = new_journal(loaded(1), state)
    for doubles in (1, 2):
        journal.use(journal.limits_of(NOW_MS), doubles=doubles)
    writes = journal.take(state, ManualClock(), False)
    assert writes is not None
    assert writes.effects == (journal.limits_of(NOW_MS),)


def test_a_take_that_breaks_takes_nothing() -> None:
    state = new_state()
    journal = new_journal(loaded(1), state)
    lineage = attached(journal, b"m" * 16)
    broken = attached(journal, b"b" * 16)
    lineage.cursor.advance(5)
    good, broken.cursor = broken.cursor, None  # type: ignore[assignment]  # a bug
    with pytest.raises(TypeError):
        taken(journal, state)
    broken.cursor = good
    assert taken(journal, state) == {b"m" * 16: 5}


def test_players_that_were_loaded_together_post_their_income_at_different_times() -> None:
    due_ms = set()
    for player_id in range(1, 61):
        state = new_state()
        journal = new_journal(loaded(player_id), state)
        clock = ManualClock()
        while True:
            clock.advance(1_000)
            assert state.apply_taps(1, clock.now_ms(), World()) == 1
            writes = journal.take(state, clock, False)
            assert writes is not None
            if writes.postings:
                break
        due_ms.add(clock.now_ms())
    assert len(due_ms) > 30
    assert max(due_ms) - min(due_ms) <= POST_EVERY_MS


def test_a_player_is_marked_once_until_its_writes_are_taken() -> None:
    player = LonePlayer()
    marked: list[int] = []
    player.database.mark_dirty = lambda actor: marked.append(actor.player_id)  # type: ignore[method-assign]
    actor = player.load()
    origin = player.attach()
    for seq in range(1, 4):
        player.tap(origin, seq)
    assert marked == [actor.player_id]
    assert actor.take_writes() is not None
    player.tap(origin, 4)
    assert marked == [actor.player_id] * 2


def test_after_a_take_that_breaks_the_next_change_marks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    player = LonePlayer()
    origin = player.attach()
    player.tap(origin, 1)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "take", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            player.actor.take_writes()
    player.database.dirty.clear()
    player.tap(origin, 2)
    assert player.actor in player.database.dirty
    player.database.flush()
    assert player.row.cursors == {origin.lineage: 2}


# ---- what it holds


def test_who_only_taps_holds_nothing_beside_the_row_until_income_is_posted() -> None:
    player = LonePlayer()
    origin, backlog = player.attach(), player.database.backlog
    for seq in range(1, 10):
        player.tap(origin, seq, 2)
    assert backlog.beside_bytes == 0
    player.clock.advance(2 * POST_EVERY_MS)
    player.tap(origin, 10)
    player.actor.take_writes()
    assert backlog.beside_bytes == backlog.taken_bytes == POSTING_BYTES


def test_everything_that_is_entered_counts_until_its_batch_has_ended() -> None:
    player = rich_player()
    other = player.database.add()
    origin, backlog = player.attach(), player.database.backlog
    player.grant(player.database.grant(player.row, 7))
    assert backlog.beside_bytes == GRANT_BYTES
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    held_bytes = backlog.beside_bytes
    # the upgrade's price, and its answer; nothing had to be settled before
    assert held_bytes >= GRANT_BYTES + POSTING_BYTES + ANSWER_BYTES
    player.act(origin, 2, "transfer.send", to=str(other.public_id), amount_mpt=1_000_000)
    # price, fee, what the other is given, what is left of the day, the answer
    assert backlog.beside_bytes >= held_bytes + 2 * POSTING_BYTES + 2 * EFFECT_BYTES + ANSWER_BYTES
    player.database.flush()
    assert player.row.columns.tap_level == 2
    assert backlog.beside_bytes == 0


def test_a_turn_that_raises_holds_nothing() -> None:
    player = rich_player()
    origin, backlog = player.attach(), player.database.backlog

    def spend_and_break(actor: PlayerActor, _args: object, turn: Turn) -> None:
        actor.journal.spend(actor.state, LedgerKind.UPGRADE, "test", 1_000, Account.BURN, turn.now_ms)
        assert backlog.beside_bytes > 0
        raise RuntimeError("a bug")

    player.act(origin, 1, spend_and_break)
    assert len(player.raised) == 1
    assert backlog.beside_bytes == 0


def test_an_expelled_actor_holds_what_is_in_flight_and_nothing_else() -> None:
    player = rich_player()
    origin, backlog = player.attach(), player.database.backlog
    player.act(origin, 1, "upgrade.buy", kind="tap_level")
    assert player.actor.take_writes() is not None
    in_flight_bytes = backlog.beside_bytes
    player.act(origin, 2, "upgrade.buy", kind="tap_level")
    assert backlog.beside_bytes > in_flight_bytes
    for _ in range(2):
        player.actor.expel("fenced")
        assert backlog.beside_bytes == in_flight_bytes


def test_an_actor_that_cannot_be_built_holds_nothing() -> None:
    player = LonePlayer()
    player.database.grant(player.row, 1)
    player.database.grant(player.row, 2, GrantKind.COMPENSATION, amount_mpt=-(10**30))
    with pytest.raises((ValueError, OverflowError)):
        player.load()
    assert player.database.backlog.beside_bytes == 0
