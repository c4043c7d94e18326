"""The database as a player's actor sees it, in dictionaries: it judges each commit as the real constraints would."""

import dataclasses
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gameserver.actors.habitat import Dropped, Habitat
from gameserver.actors.player import PlayerActor
from gameserver.clock import Clock
from hotpath.player_state import COLUMN_NAMES, FIELD_RANGES, World
from hotpath.tap_path import Tally
from persistence.backlog import Backlog
from persistence.errors import DatabaseUnavailable, Rejected
from persistence.records import (
    Account,
    DailyLimits,
    GrantGiven,
    GrantKind,
    GrantRow,
    KeptSignals,
    LedgerPosting,
    LoadedPlayer,
    OwnedElsewhere,
    PlayerColumns,
    PlayerWrites,
    Suspected,
)


def new_columns(**others: int) -> PlayerColumns:
    """A player who has just registered: full energy, nothing else; `others` replace columns."""
    fresh = {name: low for name, (low, _) in FIELD_RANGES.items() if name in COLUMN_NAMES}
    return PlayerColumns(**fresh | {"energy_ue": 1_000 * 1_000_000, "bucket_mt": 40_000} | others)


@dataclass
class PlayerRow:
    """One player as stored."""

    id: int
    public_id: UUID
    display_name: str
    generation: int
    columns: PlayerColumns
    epoch: int = 0
    owned: bool = False
    cursors: dict[bytes, int] = field(default_factory=dict)
    grants: dict[int, GrantRow] = field(default_factory=dict)
    postings: list[LedgerPosting] = field(default_factory=list)
    minted_mpt: int = 0
    burned_mpt: int = 0
    created_ms: int = 0
    limits: DailyLimits | None = None
    shadow_limited: bool = False
    signals: KeptSignals | None = None
    suspicions: list[Suspected] = field(default_factory=list)
    answers: dict[tuple[bytes, int], bytes] = field(default_factory=dict)


class PlayerDatabase:
    """Players, cursors, grants and ledger; also the write-behind, which commits when it is told to."""

    def __init__(self) -> None:
        self.rows: dict[UUID, PlayerRow] = {}
        self.away = False
        self.backlog = Backlog()
        self.elsewhere: dict[UUID, OwnedElsewhere] = {}
        self.dirty: dict[PlayerActor, None] = {}
        self.hurried: list[PlayerActor] = []
        self.lookups = 0
        self.commits: list[PlayerWrites] = []
        self.claims = 0
        self.turns_s: list[float] = []
        self.given = 1_000_000  #: ids of grants that players give each other come after it
        self._ledger_keys: set[str] = set()

    def add(self, public_id: UUID | None = None, /, *, generation: int = 1, **columns: int) -> PlayerRow:
        """Register a player."""
        public_id = public_id or uuid.uuid4()
        number = len(self.rows) + 1
        row = PlayerRow(number, public_id, f"player {number}", generation, new_columns(**columns))
        self.rows[public_id] = row
        return row

    def grant(
        self, row: PlayerRow, grant_id: int, kind: GrantKind = GrantKind.FULL_ENERGY, amount_mpt: int = 0
    ) -> GrantRow:
        """Owe the player something."""
        grant = row.grants[grant_id] = GrantRow(grant_id, f"test:{grant_id}", kind, amount_mpt)
        return grant

    async def claim(self, public_ids: Sequence[UUID]) -> list[LoadedPlayer | OwnedElsewhere]:
        """Claim and load, as `PlayerLoader` asks for."""
        self.claims += 1
        if self.away:
            raise DatabaseUnavailable("away")
        found: list[LoadedPlayer | OwnedElsewhere] = []
        for public_id in public_ids:
            if public_id in self.elsewhere:
                found.append(self.elsewhere[public_id])
            elif public_id in self.rows:
                found.append(self.load(self.rows[public_id]))
        return found

    def load(self, row: PlayerRow) -> LoadedPlayer:
        """Claim one player."""
        row.epoch += 1
        row.owned = True
        return LoadedPlayer(
            id=row.id,
            public_id=row.public_id,
            display_name=row.display_name,
            generation=row.generation,
            owner_epoch=row.epoch,
            created_ms=row.created_ms,
            columns=row.columns,
            cursors=dict(row.cursors),
            grants=tuple(row.grants.values()),
            limits=row.limits,
            shadow_limited=row.shadow_limited,
            signals=row.signals,
        )

    def habitat(
        self,
        clock: Clock,
        dropped: Dropped = lambda *_, **__: None,
        *,
        world: World | None = None,
    ) -> Habitat:
        """What players of this database share."""
        return Habitat(world or World(), Tally(), clock, writer=self, directory=self, dropped=dropped)

    # What operations look up

    async def find_player(self, public_id: UUID) -> int | None:
        """The id of a player."""
        self._look_up()
        row = self.rows.get(public_id)
        return row.id if row else None

    async def stored_answer(self, player_id: int, lineage: bytes, seq: int) -> bytes | None:
        """The stored answer of a hard operation."""
        self._look_up()
        return self._row(player_id).answers.get((lineage, seq))

    def _look_up(self) -> None:
        self.lookups += 1
        if self.away:
            raise DatabaseUnavailable("away")

    def _row(self, player_id: int) -> PlayerRow:
        return next(row for row in self.rows.values() if row.id == player_id)

    # What the write-behind does

    @property
    def degraded(self) -> bool:
        """Whether it is away."""
        return self.away

    def mark_dirty(self, actor: PlayerActor) -> None:
        """There is something to write."""
        self.dirty[actor] = None

    def hurry(self, actor: PlayerActor) -> None:
        """There is, and somebody waits."""
        self.hurried.append(actor)
        self.mark_dirty(actor)

    def flush(self) -> None:
        """Write all that is dirty."""
        dirty, self.dirty = self.dirty, {}
        for actor in dirty:
            taken_bytes = self.backlog.taken_bytes
            writes = actor.take_writes()
            if writes is not None:
                self.settle(actor, writes)
            self.backlog.beside_bytes -= self.backlog.taken_bytes - taken_bytes

    def settle(self, actor: PlayerActor, writes: PlayerWrites) -> None:
        """Commit one player's writes and say so, or say why not."""
        row = self._row(writes.player_id)
        if row.epoch != writes.owner_epoch:
            actor.fenced()
            return
        try:
            self._commit(row, writes)
        except Rejected as error:
            actor.rejected(writes, error)
        else:
            actor.committed(writes)

    async def give_up(self, actor: PlayerActor) -> None:
        """The last flush of a leaving actor, as the registry asks for."""
        actor.releasing = True
        self.mark_dirty(actor)
        self.flush()

    def _commit(self, row: PlayerRow, writes: PlayerWrites) -> None:
        if keys := self._ledger_keys & {posting.key for posting in writes.postings}:
            raise Rejected(f"posted twice: {keys}", sqlstate="23505", constraint="ledger_keys")
        columns = PlayerColumns(*writes.columns)
        for name, value in dataclasses.asdict(columns).items():
            low, high = FIELD_RANGES[name]
            if not low <= value <= high:
                raise Rejected(f"{name} = {value}", sqlstate="23514")
        if not set(writes.applied_grants) <= row.grants.keys():
            raise Rejected("a grant applied twice", sqlstate="23514")
        if row.answers.keys() & {(answer.lineage, answer.seq) for answer in writes.answers}:
            raise Rejected("answered twice", sqlstate="23505", constraint="operation_results_pkey")
        if any(seq <= row.cursors.get(lineage, 0) for lineage, seq in writes.cursors.items()):
            raise Rejected("a cursor that does not move", sqlstate="23514")
        balance_mpt = row.postings[-1].balance_after_mpt if row.postings else 0
        for posting in writes.postings:
            balance_mpt += posting.amount_mpt
            if balance_mpt < 0 or posting.amount_mpt == 0 or posting.balance_after_mpt != balance_mpt:
                raise Rejected(f"a broken chain at {posting}", sqlstate="23514")
        if balance_mpt != columns.balance_mpt - columns.unposted_mpt:
            raise Rejected("balance - unposted is not the sum of the ledger", sqlstate="23514")
        self._ledger_keys |= {posting.key for posting in writes.postings}
        row.postings += writes.postings
        row.columns = columns
        row.cursors |= writes.cursors
        row.minted_mpt += writes.minted_mpt
        row.burned_mpt += writes.burned_mpt
        row.answers |= {(answer.lineage, answer.seq): answer.encoded for answer in writes.answers}
        for effect in writes.effects:
            if isinstance(effect, GrantGiven):
                self.given += 1
                receiver = self._row(effect.player_id)
                receiver.grants[self.given] = GrantRow(self.given, effect.key, effect.kind, effect.amount_mpt)
            elif isinstance(effect, KeptSignals):
                row.signals = effect
            elif isinstance(effect, Suspected):
                row.suspicions.append(effect)
                row.shadow_limited = True
            else:
                row.limits = effect
        row.owned = not writes.release
        for grant_id in writes.applied_grants:
            del row.grants[grant_id]
        self.commits.append(writes)

    def sums(self, row: PlayerRow) -> dict[str, Any]:
        """What must be equal for a player of this database: both sides of each invariant."""
        posted_mpt = sum(posting.amount_mpt for posting in row.postings)
        burned_mpt = -sum(posting.amount_mpt for posting in row.postings if posting.counter is Account.BURN)
        return {
            "burned": (row.burned_mpt, burned_mpt),
            "ledger": (posted_mpt, row.columns.balance_mpt - row.columns.unposted_mpt),
            "minted": (row.minted_mpt, row.columns.lifetime_mpt),
        }

    def moved(self, row: PlayerRow, url: str) -> None:
        """From now on another node has the player."""
        self.elsewhere[row.public_id] = OwnedElsewhere(row.public_id, "another node", url)
