"""What crosses the border between the actors and the database, as plain frozen data.

Times are integers in milliseconds since 1970-01-01 UTC (0 = never), days are days since then; the SQL converts to
`timestamptz` and `date`. Money is in mPT (1 000 mPT = 1 power token).

`PlayerWrites`, of which a busy node makes tens of thousands a second, is compiled: `hotpath.player_writes`.
"""

import enum
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from hotpath.player_writes import PlayerWrites

__all__ = [
    "Account",
    "DailyLimits",
    "Effect",
    "FlushWatermark",
    "GrantGiven",
    "GrantKind",
    "GrantRow",
    "KeptSignals",
    "LedgerKind",
    "LedgerPosting",
    "LoadedPlayer",
    "OwnedElsewhere",
    "PlayerColumns",
    "PlayerWrites",
    "Suspected",
]


class Account(enum.StrEnum):
    """The other side of a player's ledger entry; these accounts have no stored balance."""

    MINT = "mint"  #: new tokens come from here
    BURN = "burn"  #: sunk tokens go here
    ESCROW = "escrow"  #: held for someone: transfers on their way, entry fees


class LedgerKind(enum.StrEnum):
    """Why tokens moved (enum `transaction_kind` in the database)."""

    TAP_INCOME = "tap_income"  #: gathered tap income, posted at most every 60 s
    LEVEL_REWARD = "level_reward"  #: reaching a level
    POOL_SHARE = "pool_share"  #: share of the daily pool
    REFERRAL_REWARD = "referral_reward"  #: an invitation came to life
    COMMISSION = "commission"  #: part of what invited players earn
    COMPETITION_PRIZE = "competition_prize"  #: won, from the entry fees
    COMPETITION_BONUS = "competition_bonus"  #: won, on top of the fees
    COMPETITION_REFUND = "competition_refund"  #: an entry fee that goes back
    TRANSFER_RECEIVED = "transfer_received"  #: from another player
    COMPENSATION = "compensation"  #: from the operators
    UPGRADE = "upgrade"  #: a level was bought
    TRANSFER_SENT = "transfer_sent"  #: to another player
    TRANSFER_FEE = "transfer_fee"  #: for that


class GrantKind(enum.StrEnum):
    """What a row of `player_grants` gives (enum `grant_kind` in the database)."""

    FULL_ENERGY = "full_energy"  #: energy to its cap
    # tokens, each posted as the `LedgerKind` of the same name
    POOL_SHARE = "pool_share"
    REFERRAL_REWARD = "referral_reward"
    COMMISSION = "commission"
    COMPETITION_PRIZE = "competition_prize"
    COMPETITION_BONUS = "competition_bonus"
    COMPETITION_REFUND = "competition_refund"
    TRANSFER_RECEIVED = "transfer_received"
    COMPENSATION = "compensation"


@dataclass(frozen=True, slots=True)
class PlayerColumns:
    """The columns of `players` that the player's actor alone writes."""

    balance_mpt: int  #: spendable tokens, unposted included
    unposted_mpt: int  #: the part of the balance not yet in the ledger
    lifetime_mpt: int  #: all tokens ever earned
    xp: int  #: total XP, never falls
    taps: int  #: accepted taps, all time
    tap_level: int  #: 1 … 20
    energy_cap_level: int  #: 1 … 20
    energy_regen_level: int  #: 1 … 20
    offline_level: int  #: 0 … 9
    energy_ue: int  #: micro-energy at `energy_at_ms`
    energy_at_ms: int
    bucket_mt: int  #: milli-taps in the rate bucket at `bucket_at_ms`
    bucket_at_ms: int
    combo: int  #: taps in the present run
    last_tap_at_ms: int  #: last accepted batch
    tap_carry: int  #: remainder of the income division, 0 … 10^8 − 1
    raw_day: int  #: UTC day number that `raw_today_mpt` belongs to
    raw_today_mpt: int  #: income of that day before the soft cap
    streak_days: int  #: day of the habit streak, 0 = none
    double_until_ms: int  #: end of the ×2 boost
    last_seen_ms: int  #: last time a socket of the player was open


@dataclass(frozen=True, slots=True)
class GrantRow:
    """Something others owe the player; applied by the player's actor, once."""

    id: int
    key: str  #: unique and deterministic: the same grant made twice is one row
    kind: GrantKind
    amount_mpt: int  #: 0 where the kind carries none


@dataclass(frozen=True, slots=True)
class GrantGiven:
    """A new row of `player_grants` for another player, written with what it was taken from."""

    player_id: int  #: who gets it
    key: str
    kind: GrantKind
    amount_mpt: int


@dataclass(frozen=True, slots=True)
class DailyLimits:
    """What a player has used up of what is limited per day (table `player_daily_limits`)."""

    day: int  #: the UTC day that the rest belongs to
    sent_mpt: int  #: transferred to others, fees not counted
    doubles: int  #: free ×2 boosts used
    refills: int  #: free refills of energy used


@dataclass(frozen=True, slots=True)
class KeptSignals:
    """What batches of taps told of who taps, kept for the next activation (table `player_signals`)."""

    counters: tuple[int, ...]  #: in the order of `hotpath.tap_signals.COUNTER_NAMES`
    score: int  #: what they came to, 0 … 10 000
    signs: dict[str, int]  #: points of each sign that has any
    over_limit: bool  #: the threshold was crossed, and the score has not fallen far since
    kept_ms: int


@dataclass(frozen=True, slots=True)
class Suspected:
    """The player has crossed the threshold: a case for operators (table `suspicion_cases`)."""

    score: int
    signs: dict[str, int]  #: points of each sign that has any
    at_ms: int


#: A row of another table that goes with a player's writes.
Effect: TypeAlias = GrantGiven | DailyLimits | KeptSignals | Suspected


@dataclass(frozen=True, slots=True)
class LoadedPlayer:
    """One claimed player, as an activation receives it."""

    id: int
    public_id: UUID
    display_name: str
    generation: int
    owner_epoch: int  #: fencing token: writes with a smaller one are refused
    created_ms: int  #: when the player registered
    columns: PlayerColumns
    cursors: dict[bytes, int]  #: lineage (16 bytes) → highest applied seq that is committed
    grants: tuple[GrantRow, ...]  #: not yet applied, oldest first
    limits: DailyLimits | None  #: of the last day on which any was used
    shadow_limited: bool  #: others do not see the player on boards
    signals: KeptSignals | None  #: None: nothing was ever kept


@dataclass(frozen=True, slots=True)
class OwnedElsewhere:
    """A player that cannot be claimed: another node's lease on it is live."""

    public_id: UUID
    node: str  #: the owner's name
    url: str  #: the owner's own socket address, "" if it published none


@dataclass(frozen=True, slots=True)
class LedgerPosting:
    """One double entry: `amount_mpt` to the player, the same out of `counter`. Negative amounts go the other way."""

    key: str  #: unique for ever; a second posting with the same key is refused by the database
    kind: LedgerKind
    counter: Account
    amount_mpt: int  #: not 0
    balance_after_mpt: int  #: the player's posted balance (balance − unposted) after this posting
    at_ms: int


@dataclass(frozen=True, slots=True)
class FlushWatermark:
    """How far a node's flushes have come."""

    settled_batch: int  #: the outcome of every batch up to this number is known
    lag_s: float  #: everything that was dirty longer ago than this is committed
