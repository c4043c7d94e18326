"""What a player's turns wrote since the last flush, as one value that commits whole.

Tap income gathers in `unposted_mpt` and reaches the ledger as one posting at most every `POST_EVERY_MS` and at
passivation (architecture §4.7: one row per player and flush would be 0.7 TB a day). Level rewards are posted one by
one; their keys are deterministic, so the database refuses to pay a level twice, whatever the process does.
"""

from gameserver.actors.lineage import Lineage
from hotpath import rules
from hotpath.player_state import PlayerState
from persistence.records import Account, LedgerKind, LedgerPosting, PlayerColumns, PlayerWrites

POST_EVERY_MS = 60_000  #: tap income reaches the ledger at most this often


class Journal:
    """The unwritten part of one player.

    Args:
        player_id: the player.
        owner_epoch: fencing token of this activation.
        state: as it was loaded, that is, as it is in the database.
        now_ms: the present.
    """

    __slots__ = (
        "_grants",
        "_lifetime_mpt",
        "_lineages",
        "_owner_epoch",
        "_player_id",
        "_posted_at_ms",
        "_posted_mpt",
        "_postings",
        "_revision",
        "_rewarded_level",
    )

    def __init__(self, player_id: int, owner_epoch: int, state: PlayerState, now_ms: int) -> None:
        self._player_id = player_id
        self._owner_epoch = owner_epoch
        self._lineages: dict[bytes, Lineage] = {}  #: that may have moved since the last take
        self._grants: list[int] = []
        self._postings = 0
        self._posted_at_ms = now_ms
        self._posted_mpt = state.balance_mpt - state.unposted_mpt
        self._lifetime_mpt = state.lifetime_mpt
        self._rewarded_level = state.level
        self._revision = state.revision

    def watch(self, key: bytes, lineage: Lineage) -> None:
        """From now on operations of this lineage may be consumed: a socket has attached to it.

        What has moved is seen at the next take, so an operation costs nothing here; a lineage without a socket is
        forgotten by the first take that finds it at rest, so the old ones of a player cost nothing either.
        """
        self._lineages[key] = lineage

    def grant_applied(self, grant_id: int) -> None:
        """The row of `player_grants` is used up."""
        self._grants.append(grant_id)

    def take(self, state: PlayerState, now_ms: int, *, release: bool) -> PlayerWrites | None:
        """Close this stretch: its writes, or None when nothing has changed.

        Args:
            state: the player now; its unposted income is moved to the ledger when that is due.
            now_ms: the present.
            release: the actor is leaving: post everything and give the player up.
        """
        moved = self._moved()
        if not (release or moved or self._grants or state.revision != self._revision):
            return None
        postings = [
            self._post(LedgerKind.LEVEL_REWARD, f"level:{self._player_id}:{level}", reward_mpt, now_ms)
            for level in range(self._rewarded_level + 1, state.level + 1)
            if (reward_mpt := rules.level_rewards_mpt(level - 1, level))
        ]
        if state.unposted_mpt and (release or now_ms - self._posted_at_ms >= POST_EVERY_MS):
            self._posted_at_ms = now_ms
            self._postings += 1
            key = f"taps:{self._player_id}:{self._owner_epoch}:{self._postings}"
            postings.append(self._post(LedgerKind.TAP_INCOME, key, state.take_unposted(), now_ms))
        minted_mpt = state.lifetime_mpt - self._lifetime_mpt
        writes = PlayerWrites(
            player_id=self._player_id,
            owner_epoch=self._owner_epoch,
            columns=PlayerColumns(*state.columns()),
            minted_mpt=minted_mpt,
            burned_mpt=0,
            cursors=moved,
            postings=tuple(postings),
            applied_grants=tuple(self._grants),
            release=release,
        )
        for lineage in moved:
            self._lineages[lineage].cursor.take()
        self._grants = []
        self._lifetime_mpt = state.lifetime_mpt
        self._rewarded_level = state.level
        self._revision = state.revision
        return writes

    def _moved(self) -> dict[bytes, int]:
        moved: dict[bytes, int] = {}
        at_rest: list[bytes] = []
        for key, lineage in self._lineages.items():
            cursor = lineage.cursor
            if cursor.applied_seq > cursor.taken_seq:
                moved[key] = cursor.applied_seq
            elif lineage.origin is None:
                at_rest.append(key)
        for key in at_rest:
            del self._lineages[key]
        return moved

    def _post(self, kind: LedgerKind, key: str, amount_mpt: int, at_ms: int) -> LedgerPosting:
        self._posted_mpt += amount_mpt
        return LedgerPosting(key, kind, Account.MINT, amount_mpt, self._posted_mpt, at_ms)
