"""What a player's turns wrote since the last flush, as one value that commits whole.

Tap income gathers in `unposted_mpt` and reaches the ledger as one posting at most every `POST_EVERY_MS` and at
passivation (architecture §4.7: one row per player and flush would be 0.7 TB a day). Level rewards are posted one by
one; their keys are deterministic, so the database refuses to pay a level twice, whatever the process does.
"""

from collections.abc import Iterator

from gameserver.actors.lineage import Lineage
from gameserver.clock import Clock
from hotpath import rules
from hotpath.player_state import PlayerState
from hotpath.player_writes import Stretch
from persistence.records import Account, GrantKind, GrantRow, LedgerKind, LedgerPosting, PlayerWrites

POST_EVERY_MS = 60_000  #: tap income reaches the ledger at most this often
#: Grants whose tokens were taken from somebody before and wait in escrow; what all the others give is new.
FROM_ESCROW = {GrantKind.COMPETITION_PRIZE, GrantKind.COMPETITION_REFUND, GrantKind.TRANSFER_RECEIVED}
SPREAD_MS = 7_919  #: so far apart post players whose ids follow each other, though they have been loaded together


class Journal:
    """The unwritten part of one player.

    Args:
        player_id: the player.
        owner_epoch: fencing token of this activation.
        state: as it was loaded, that is, as it is in the database.
        now_ms: the present.
    """

    __slots__ = ("_grants", "_owner_epoch", "_player_id", "_posted_mpt", "_postings", "_received", "_stretch")

    def __init__(self, player_id: int, owner_epoch: int, state: PlayerState, now_ms: int) -> None:
        self._player_id = player_id
        self._owner_epoch = owner_epoch
        self._stretch = Stretch(
            player_id, owner_epoch, state, now_ms + POST_EVERY_MS - player_id * SPREAD_MS % POST_EVERY_MS
        )
        self._grants: list[int] = []
        self._received: list[tuple[GrantRow, int]] = []
        self._postings = 0
        self._posted_mpt = state.balance_mpt - state.unposted_mpt

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

    def grant_applied(self, grant: GrantRow, credited_mpt: int = 0) -> None:
        """The row of `player_grants` is used up.

        Args:
            grant: the row.
            credited_mpt: the tokens it has brought; they are posted under its key.
        """
        self._grants.append(grant.id)
        if credited_mpt:
            self._received.append((grant, credited_mpt))

    def take(self, state: PlayerState, clock: Clock, release: bool) -> PlayerWrites | None:
        """Close this stretch: its writes, or None when nothing has changed.

        Args:
            state: the player now; its unposted income is moved to the ledger when that is due.
            clock: for the time of what is posted.
            release: the actor is leaving: post everything and give the player up.
        """
        stretch = self._stretch
        if not (release or self._grants or stretch.owes_ledger(state)):
            return stretch.close_if_changed(state)
        postings = tuple(self._post_due(state, clock.now_ms(), release))
        writes = stretch.close(state, postings, tuple(self._grants), release)
        self._grants = []
        self._received = []
        return writes

    def _post_due(self, state: PlayerState, now_ms: int, release: bool) -> Iterator[LedgerPosting]:
        for level in range(self._stretch.level + 1, state.level + 1):
            if reward_mpt := rules.level_rewards_mpt(level - 1, level):
                yield self._post(LedgerKind.LEVEL_REWARD, f"level:{self._player_id}:{level}", reward_mpt, now_ms)
        if state.unposted_mpt and (release or state.last_tap_at_ms >= self._stretch.post_at_ms):
            self._stretch.post_at_ms = now_ms + POST_EVERY_MS
            self._postings += 1
            key = f"taps:{self._player_id}:{self._owner_epoch}:{self._postings}"
            yield self._post(LedgerKind.TAP_INCOME, key, state.take_unposted(), now_ms)

        for grant, credited_mpt in self._received:
            counter = Account.ESCROW if grant.kind in FROM_ESCROW else Account.MINT
            yield self._post(LedgerKind(grant.kind), grant.key, credited_mpt, now_ms, counter)

    def _post(
        self, kind: LedgerKind, key: str, amount_mpt: int, at_ms: int, counter: Account = Account.MINT
    ) -> LedgerPosting:
        self._posted_mpt += amount_mpt
        return LedgerPosting(key, kind, counter, amount_mpt, self._posted_mpt, at_ms)
