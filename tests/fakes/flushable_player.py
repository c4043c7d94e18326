"""A player that write-behind can flush, without any game behind it."""

import dataclasses
from collections.abc import Callable

from persistence.records import Account, LedgerKind, LedgerPosting, LoadedPlayer, PlayerColumns, PlayerWrites

AT_MS = 1_767_225_600_000

COLUMNS = PlayerColumns(
    balance_mpt=0,
    unposted_mpt=0,
    lifetime_mpt=0,
    xp=0,
    taps=0,
    tap_level=1,
    energy_cap_level=1,
    energy_regen_level=1,
    offline_level=0,
    energy_ue=1_000_000_000,
    energy_at_ms=AT_MS,
    bucket_mt=40_000,
    bucket_at_ms=AT_MS,
    combo=0,
    last_tap_at_ms=0,
    tap_carry=0,
    raw_day=0,
    raw_today_mpt=0,
    streak_days=0,
    double_until_ms=0,
    last_seen_ms=0,
)


class FlushablePlayer:
    """Collects what it earns until it is flushed, and remembers what it was told."""

    def __init__(self, player_id: int, owner_epoch: int = 1, columns: PlayerColumns = COLUMNS) -> None:
        self._player_id = player_id
        self.owner_epoch = owner_epoch
        self.columns = columns
        self.told: list[str] = []  #: committed, fenced, rejected, in order
        self.committed_writes: list[PlayerWrites] = []
        self.committed_columns: list[PlayerColumns] = []
        self.errors: list[Exception] = []
        self.on_told: Callable[[], None] = lambda: None
        self._minted_mpt = 0
        self._cursors: dict[bytes, int] = {}
        self._postings: list[LedgerPosting] = []
        self._grants: list[int] = []
        self._release = False
        self._changed = False

    @classmethod
    def of(cls, loaded: LoadedPlayer) -> "FlushablePlayer":
        """The player that was claimed."""
        return cls(loaded.id, loaded.owner_epoch, loaded.columns)

    @property
    def player_id(self) -> int:
        return self._player_id

    def change(self, **columns: int) -> None:
        """Set columns."""
        self.columns = dataclasses.replace(self.columns, **columns)
        self._changed = True

    def tap(self, amount_mpt: int = 1_000, *, lineage: bytes = b"l" * 16, seq: int = 0) -> None:
        """Earn unposted income by one tap; `seq` 0 moves the cursor by one."""
        self._minted_mpt += amount_mpt
        self._cursors[lineage] = seq or self._cursors.get(lineage, self.columns.taps) + 1
        c = self.columns
        self.change(
            balance_mpt=c.balance_mpt + amount_mpt,
            unposted_mpt=c.unposted_mpt + amount_mpt,
            lifetime_mpt=c.lifetime_mpt + amount_mpt,
            xp=c.xp + 1,
            taps=c.taps + 1,
        )

    def post(self, key: str, *, counter: Account = Account.MINT) -> None:
        """Move the unposted income to the ledger."""
        amount_mpt = self.columns.unposted_mpt
        self.change(unposted_mpt=0)
        after_mpt = self.columns.balance_mpt
        self._postings.append(LedgerPosting(key, LedgerKind.TAP_INCOME, counter, amount_mpt, after_mpt, AT_MS))

    def apply_grant(self, grant_id: int) -> None:
        """Use up a grant."""
        self._grants.append(grant_id)
        self._changed = True

    def leave(self) -> None:
        """Give the player up with the next flush."""
        self._release = True
        self._changed = True

    def take_writes(self) -> PlayerWrites | None:
        if not self._changed:
            return None
        writes = PlayerWrites(
            player_id=self._player_id,
            owner_epoch=self.owner_epoch,
            columns=dataclasses.astuple(self.columns),
            minted_mpt=self._minted_mpt,
            burned_mpt=0,
            cursors=self._cursors,
            postings=tuple(self._postings),
            applied_grants=tuple(self._grants),
            release=self._release,
        )
        self._minted_mpt = 0
        self._cursors, self._postings, self._grants = {}, [], []
        self._changed = False
        return writes

    def committed(self, writes: PlayerWrites) -> None:
        self.told.append("committed")
        self.committed_writes.append(writes)
        self.committed_columns.append(PlayerColumns(*writes.columns))
        self.on_told()

    def fenced(self) -> None:
        self.told.append("fenced")
        self.on_told()

    def rejected(self, writes: PlayerWrites, error: Exception) -> None:
        assert writes.player_id == self._player_id
        self.told.append("rejected")
        self.errors.append(error)
        self.on_told()
