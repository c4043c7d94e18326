"""Whatever a player does and whenever the process dies: the ledger adds up, and an operation counts at most once."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gameserver.actors.messages import Grant, Taps, Turn
from gameserver.actors.player import PlayerActor
from gameserver.errors import Busy, Conflict, WireError
from hotpath import rules
from persistence.backlog import Backlog
from persistence.records import GrantKind
from tests.fakes.lone_player import LonePlayer
from tests.fakes.recording_origin import RecordingOrigin

LINEAGES = (1, 2)
ERRORS: tuple[Exception, ...] = (Conflict("no"), Busy("later", retry_after_ms=5), RuntimeError("a bug"))


class PlayerLife(RuleBasedStateMachine):
    """A player, its clients, its database. The database refuses any commit that breaks an invariant."""

    def __init__(self) -> None:
        super().__init__()
        self.player = LonePlayer()
        self.origins: dict[int, RecordingOrigin] = {}
        self.next_seq = dict.fromkeys(LINEAGES, 1)
        #: per lineage and seq what was accepted the first time: only that may ever count
        self.accepted: dict[tuple[int, int], int] = {}
        self.grants = 0
        self.granted_mpt = 0

    def origin(self, lineage: int) -> RecordingOrigin:
        if lineage not in self.origins:
            self.origins[lineage] = self.player.attach(lineage)
            welcomed = self.origins[lineage].welcomed
            assert welcomed is not None
            self.forget_above(lineage, welcomed.applied_seq)
        return self.origins[lineage]

    def forget_above(self, lineage: int, applied_seq: int) -> None:
        """What the server does not know any more has not counted; the client sends it again."""
        for key in [key for key in self.accepted if key[0] == lineage and key[1] > applied_seq]:
            del self.accepted[key]

    def hear(self, lineage: int) -> None:
        for told in self.origins[lineage].take():
            if told[0] == "tapped" and (lineage, told[1]) not in self.accepted:
                self.accepted[lineage, told[1]] = told[2]
            elif told[0] == "tapped":
                assert told[2] == 0, "a repeat counted"

    @rule(lineage=st.sampled_from(LINEAGES), counts=st.lists(st.integers(1, 100), min_size=1, max_size=5))
    def tap(self, lineage: int, counts: list[int]) -> None:
        origin = self.origin(lineage)
        run = Taps()
        for count in counts:
            run.frames.append((origin, self.next_seq[lineage], count))
            self.next_seq[lineage] += 1
        self.player.tell(run)
        self.hear(lineage)

    @rule(lineage=st.sampled_from(LINEAGES), back=st.integers(1, 20), count=st.integers(1, 100))
    def send_again(self, lineage: int, back: int, count: int) -> None:
        origin = self.origin(lineage)
        self.player.tap(origin, max(1, self.next_seq[lineage] - back), count)
        self.hear(lineage)

    @rule(lineage=st.sampled_from(LINEAGES))
    def act(self, lineage: int) -> None:
        self.player.act(self.origin(lineage), self.next_seq[lineage])
        self.next_seq[lineage] += 1
        self.hear(lineage)

    @rule(lineage=st.sampled_from(LINEAGES), error=st.sampled_from(ERRORS))
    def act_in_vain(self, lineage: int, error: Exception) -> None:
        def rule_that_raises(actor: PlayerActor, args: object, turn: Turn) -> Any:
            del args
            actor.state.apply_taps(50, turn.now_ms, actor._habitat.world)
            raise error

        origin = self.origin(lineage)
        before = self.player.numbers
        self.player.act(origin, self.next_seq[lineage], rule_that_raises)
        assert self.player.numbers == before
        if isinstance(error, WireError) and error.retry_after_ms:
            origin.blocked = None  # the client gives it up and says HELLO again
        else:
            self.next_seq[lineage] += 1
        self.hear(lineage)

    @rule(kind=st.sampled_from(GrantKind), amount_mpt=st.integers(1, 10**9), notice=st.booleans())
    def grant(self, kind: GrantKind, amount_mpt: int, notice: bool) -> None:
        self.grants += 1
        amount_mpt = 0 if kind is GrantKind.FULL_ENERGY else amount_mpt
        self.granted_mpt += amount_mpt
        grant = self.player.database.grant(self.player.row, self.grants, kind, amount_mpt)
        if notice:  # else it is found with the next load
            self.player.tell(Grant(grant))

    @rule(ms=st.integers(0, 120_000))
    def wait(self, ms: int) -> None:
        self.player.clock.advance(ms)

    @precondition(lambda self: self.origins)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        lineage = data.draw(st.sampled_from(sorted(self.origins)))
        self.player.detach(self.origins.pop(lineage))

    @rule(lineage=st.sampled_from(LINEAGES))
    def take_over(self, lineage: int) -> None:
        self.origins.pop(lineage, None)
        self.origin(lineage)

    @rule()
    def flush(self) -> None:
        self.player.database.flush()

    @rule()
    def rest(self) -> None:
        """Passivated and loaded again: nothing may be lost."""
        self.origins.clear()
        self.player.actor.releasing = True
        self.player.database.mark_dirty(self.player.actor)
        self.player.database.flush()
        assert not self.player.row.owned
        before = self.player.numbers
        owed = bool(self.player.row.grants)
        self.player.load()
        assert owed or self.player.numbers == before  # what is owed comes with the load

    @rule()
    def die(self) -> None:
        """Killed and loaded again: what was not committed is gone as a whole."""
        self.origins.clear()
        self.player.database.dirty.clear()
        self.player.database.backlog = Backlog()  # the new process has another one
        self.player.load()
        for lineage in LINEAGES:
            self.forget_above(lineage, self.player.row.cursors.get(lineage.to_bytes(16, "big"), 0))

    @invariant()
    def nothing_was_rejected_or_fenced(self) -> None:
        assert self.player.dropped == []

    @invariant()
    def nothing_is_held_for_whom_nothing_waits(self) -> None:
        held_bytes = self.player.database.backlog.beside_bytes
        assert held_bytes >= 0
        assert held_bytes == 0 or self.player.actor in self.player.database.dirty

    @invariant()
    def the_ledger_adds_up(self) -> None:
        for left, right in self.player.database.sums(self.player.row).values():
            assert left == right

    @invariant()
    def every_grant_is_paid_once(self) -> None:
        row = self.player.row
        paid_mpt = sum(posting.amount_mpt for posting in row.postings if posting.key.startswith("test:"))
        assert paid_mpt + sum(grant.amount_mpt for grant in row.grants.values()) == self.granted_mpt

    @invariant()
    def every_accepted_tap_counts_once(self) -> None:
        state = self.player.actor.state
        assert state.taps == state.xp == sum(self.accepted.values())

    @invariant()
    def every_level_reached_is_paid_once(self) -> None:
        row = self.player.row
        rewards_mpt = sum(posting.amount_mpt for posting in row.postings if posting.key.startswith("level:"))
        assert rewards_mpt == rules.level_rewards_mpt(1, rules.level_of(row.columns.xp))


TestPlayerLife = PlayerLife.TestCase
TestPlayerLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
