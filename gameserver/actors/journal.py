"""What a player's turns wrote since the last flush, as one value that commits whole.

Tap income gathers in `unposted_mpt` and reaches the ledger as one posting at most every `POST_EVERY_MS`, before
anything is spent, and at passivation (architecture §4.7: one row per player and flush would be 0.7 TB a day). Level
rewards are posted one by one; their keys are deterministic, so the database refuses to pay a level twice, whatever the
process does. So are the keys of all that is spent.
"""

from dataclasses import dataclass, replace

from gameserver.actors.lineage import Lineage, PendingAnswer
from gameserver.actors.suspicion import Suspicion
from gameserver.clock import Clock
from hotpath import rules
from hotpath.player_state import PlayerState
from hotpath.player_writes import Stretch
from persistence.backlog import ANSWER_BYTES, EFFECT_BYTES, GRANT_BYTES, POSTING_BYTES, SIGNALS_BYTES, Backlog
from persistence.records import (
    Account,
    DailyLimits,
    Effect,
    GrantGiven,
    GrantKind,
    GrantRow,
    LedgerKind,
    LedgerPosting,
    LoadedPlayer,
    PlayerWrites,
)

POST_EVERY_MS = 60_000  #: tap income reaches the ledger at most this often
#: Grants whose tokens were taken from somebody before and wait in escrow; what all the others give is new.
FROM_ESCROW = {GrantKind.COMPETITION_PRIZE, GrantKind.COMPETITION_REFUND, GrantKind.TRANSFER_RECEIVED}
SPREAD_MS = 7_919  #: so far apart post players whose ids follow each other, though they have been loaded together


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a journal was when a turn began."""

    postings: int
    grants: int
    effects: int
    held_bytes: int
    tap_postings: int
    posted_mpt: int
    rewarded_level: int
    post_at_ms: int
    limits: DailyLimits | None


class Journal:
    """The unwritten part of one player.

    Args:
        loaded: what the claim brought.
        state: as it was loaded, that is, as it is in the database.
        suspicion: looked at when income is posted, hence seldom.
        now_ms: the present.
        backlog: where what is held here counts, until it is written or given up.
    """

    __slots__ = (
        "_answers",
        "_backlog",
        "_effects",
        "_grants",
        "_held_bytes",
        "_limits",
        "_owner_epoch",
        "_player_id",
        "_posted_mpt",
        "_postings",
        "_rewarded_level",
        "_stretch",
        "_suspicion",
        "_tap_postings",
    )

    def __init__(
        self, loaded: LoadedPlayer, state: PlayerState, suspicion: Suspicion, now_ms: int, backlog: Backlog
    ) -> None:
        self._suspicion = suspicion
        self._backlog = backlog
        self._player_id = loaded.id
        self._owner_epoch = loaded.owner_epoch
        self._limits = loaded.limits
        post_at_ms = now_ms + POST_EVERY_MS - loaded.id * SPREAD_MS % POST_EVERY_MS
        self._stretch = Stretch(loaded.id, loaded.owner_epoch, state, post_at_ms)
        self._postings: list[LedgerPosting] = []
        self._grants: list[int] = []
        self._effects: list[Effect] = []
        self._answers: list[PendingAnswer] = []
        self._held_bytes = 0  # in these lists; they are empty when it is 0
        self._tap_postings = 0
        self._posted_mpt = state.balance_mpt - state.unposted_mpt
        self._rewarded_level = state.level

    def watch(self, key: bytes, lineage: Lineage) -> None:
        """From now on operations of this lineage may be consumed: a socket has attached to it.

        What has moved is seen at the next take, so an operation costs nothing here. Those whose socket has gone and
        whose last operation is taken are forgotten, so that the old lineages of a player cost a take nothing either.
        """
        lineages: dict[bytes, Lineage] = self._stretch.lineages
        for old_key, old in list(lineages.items()):
            if old.origin is None and old.cursor.applied_seq == old.cursor.taken_seq:
                del lineages[old_key]
        lineages[key] = lineage

    def mark(self) -> Mark:
        """How far it is, for `rewind`."""
        return Mark(
            len(self._postings),
            len(self._grants),
            len(self._effects),
            self._held_bytes,
            self._tap_postings,
            self._posted_mpt,
            self._rewarded_level,
            self._stretch.post_at_ms,
            self._limits,
        )

    def rewind(self, mark: Mark) -> None:
        """Forget what was entered since: the turn raised."""
        del self._postings[mark.postings :]
        del self._grants[mark.grants :]
        del self._effects[mark.effects :]
        self._hold(mark.held_bytes - self._held_bytes)
        self._tap_postings = mark.tap_postings
        self._posted_mpt = mark.posted_mpt
        self._rewarded_level = mark.rewarded_level
        self._stretch.post_at_ms = mark.post_at_ms
        self._limits = mark.limits

    def grant_applied(self, grant: GrantRow, credited_mpt: int, now_ms: int) -> None:
        """The row of `player_grants` is used up.

        Args:
            grant: the row.
            credited_mpt: the tokens it has brought; they are posted under its key.
            now_ms: the present.
        """
        self._hold(GRANT_BYTES)
        self._grants.append(grant.id)
        if credited_mpt:
            counter = Account.ESCROW if grant.kind in FROM_ESCROW else Account.MINT
            self._post(LedgerKind(grant.kind), grant.key, credited_mpt, now_ms, counter)

    def spend(
        self, state: PlayerState, kind: LedgerKind, key: str, amount_mpt: int, counter: Account, now_ms: int
    ) -> None:
        """Take tokens from the player; what has been earned up to now is posted first.

        Args:
            state: the player's; debited here.
            kind: what for.
            key: unique for ever.
            amount_mpt: how much, at least 1.
            counter: where they go.
            now_ms: the present.

        Raises:
            ValueError: the balance is smaller.
        """
        self.settle(state, now_ms)
        state.debit(amount_mpt)
        self._post(kind, key, -amount_mpt, now_ms, counter)

    def give(self, grant: GrantGiven) -> None:
        """Owe another player something; he gets it once this is committed."""
        self._hold(EFFECT_BYTES)
        self._effects.append(grant)

    def limits_of(self, now_ms: int) -> DailyLimits:
        """What has been used up of today; a clock that goes back brings nothing back."""
        day = now_ms // rules.DAY_MS
        if self._limits is None or self._limits.day < day:
            return DailyLimits(day, 0, 0, 0)
        return self._limits

    def use(self, limits: DailyLimits, **used: int) -> None:
        """Note what has been used up: `limits` with the counts in `used`."""
        self._limits = replace(limits, **used)
        self._hold(EFFECT_BYTES)
        self._effects.append(self._limits)  # beside older ones until `take`: `rewind` goes by the number of entries

    def answers(self, answer: PendingAnswer) -> None:
        """An operation is answered once this is committed."""
        self._hold(ANSWER_BYTES + 2 * len(answer.encoded))
        self._answers.append(answer)

    def settle(self, state: PlayerState, now_ms: int) -> None:
        """Post all that has been earned, so that all of the balance can be spent."""
        self._post_rewards(state, now_ms)
        if state.unposted_mpt:
            self._stretch.post_at_ms = now_ms + POST_EVERY_MS
            self._tap_postings += 1
            key = f"taps:{self._player_id}:{self._owner_epoch}:{self._tap_postings}"
            self._post(LedgerKind.TAP_INCOME, key, state.take_unposted(), now_ms)

    def take(self, state: PlayerState, clock: Clock, release: bool) -> PlayerWrites | None:
        """Close this stretch: its writes, or None when nothing has changed.

        Args:
            state: the player now; its unposted income is moved to the ledger when that is due.
            clock: for the time of what is posted.
            release: the actor is leaving: post everything and give the player up.
        """
        stretch = self._stretch
        if not (release or self._held_bytes or stretch.owes_ledger(state)):
            return stretch.close_if_changed(state)
        now_ms = clock.now_ms()
        if release or state.last_tap_at_ms >= stretch.post_at_ms:
            self.settle(state, now_ms)
        else:
            self._post_rewards(state, now_ms)
        if release or self._suspicion.is_due(now_ms):
            noticed = self._suspicion.look(now_ms, leaving=release)
            self._effects += noticed
            self._hold(len(noticed) * SIGNALS_BYTES)
        writes = stretch.close(
            state,
            tuple(self._postings),
            tuple(self._grants),
            release,
            -sum([posting.amount_mpt for posting in self._postings if posting.counter is Account.BURN]),
            tuple(self._answers),
            tuple([effect for effect in self._effects if self._stands(effect)]),
        )
        self._postings, self._grants, self._answers, self._effects = [], [], [], []
        self._backlog.taken_bytes += self._held_bytes  # they count until the batch has ended
        self._held_bytes = 0
        return writes

    def give_up(self) -> None:
        """Nothing of it will be written any more, and nothing more is entered."""
        self._hold(-self._held_bytes)

    def _hold(self, size_bytes: int) -> None:
        self._held_bytes += size_bytes
        self._backlog.beside_bytes += size_bytes

    def _stands(self, effect: Effect) -> bool:
        """Whether nothing later of the same stretch has taken its place."""
        return effect is self._limits or not isinstance(effect, DailyLimits)

    def _post_rewards(self, state: PlayerState, now_ms: int) -> None:
        for level in range(self._rewarded_level + 1, state.level + 1):
            if reward_mpt := rules.level_rewards_mpt(level - 1, level):
                self._post(LedgerKind.LEVEL_REWARD, f"level:{self._player_id}:{level}", reward_mpt, now_ms)
        self._rewarded_level = state.level

    def _post(self, kind: LedgerKind, key: str, amount_mpt: int, at_ms: int, counter: Account = Account.MINT) -> None:
        self._posted_mpt += amount_mpt
        self._hold(POSTING_BYTES)
        self._postings.append(LedgerPosting(key, kind, counter, amount_mpt, self._posted_mpt, at_ms))
