"""What the database holds at the end of a run, as far as the checker looks at it. Plain data; `read_image` fills it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: The columns that purchases move.
LEVELS = ("tap_level", "energy_cap_level", "energy_regen_level", "offline_level")


@dataclass(frozen=True, slots=True)
class PlayerImage:
    """One row of `players`."""

    id: int
    public_id: str
    taps: int
    xp: int
    balance_mpt: int
    unposted_mpt: int
    ledger_mpt: int = 0  #: sum of the player's ledger entries
    levels: Mapping[str, int] = field(default_factory=dict)  #: `LEVELS`


@dataclass(frozen=True, slots=True)
class LedgerImage:
    """One key of the ledger and the player's side of it."""

    player: str  #: public id
    kind: str
    amount_mpt: int  #: what the player's balance moved by


@dataclass(frozen=True, slots=True)
class GrantImage:
    """One row of `player_grants`."""

    player: str  #: public id
    kind: str
    amount_mpt: int
    applied: bool


@dataclass(frozen=True, slots=True)
class Sums:
    """The whole economy, in mPT."""

    minted_mpt: int = 0
    burned_mpt: int = 0
    balances_mpt: int = 0
    escrow_mpt: int = 0


@dataclass(slots=True)
class DatabaseImage:
    """Everything the checker looks at. Players go by their public ids."""

    players: dict[str, PlayerImage] = field(default_factory=dict)
    cursors: dict[tuple[str, bytes], int] = field(default_factory=dict)  #: (player, lineage) → applied seq
    ledger: dict[str, LedgerImage] = field(default_factory=dict)  #: by key
    grants: dict[str, GrantImage] = field(default_factory=dict)  #: by key
    #: (player, lineage, seq) → the stored answer, unpacked
    results: dict[tuple[str, bytes, int], list[Any]] = field(default_factory=dict)
    #: (player, kind) → free boosts used on the last day on which any of the daily limits was touched
    boosts_used: dict[tuple[str, str], int] = field(default_factory=dict)
    sums: Sums = field(default_factory=Sums)
    unreconciled: list[str] = field(default_factory=list)  #: rows of `ledger_reconciliation`
    dead_letters: list[str] = field(default_factory=list)
