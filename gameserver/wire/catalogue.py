"""Every action and every event, as one table: what goes in, what comes out, how durable it is.

The catalogue only declares. What an action does is bound to its name in the edge; the documentation and the decoder
read the same rows, so an action that is not here does not exist.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from gameserver.rate_limits.table import LimitClass
from gameserver.wire.messages import Label, State, Whole
from gameserver.wire.ops import MAX_SAFE_INT

GIVE_UP: Final = "noop"  #: stands in the place of whichever operation its client gives up
MIN_TRANSFER_MPT: Final = 1_000  #: least amount of a transfer


class Durability(enum.Enum):
    """When an operation is answered."""

    SOFT = "soft"  #: when it is applied; committed with the next flush
    HARD = "hard"  #: after its commit: what a person would dispute


class ActionKind(enum.Enum):
    """What an action does to the player's state."""

    READ = "read"  #: nothing; served even while the player is quarantined
    WRITE = "write"  #: changes it


class ChannelKind(enum.Enum):
    """Who hears a channel."""

    PLAYER = "player"  #: channel `player`: each player's own


class NoArgs(Struct, frozen=True):
    """No arguments."""


class Nothing(Struct, frozen=True):
    """An empty result."""


class Profile(Struct, frozen=True):
    """Who the player is."""

    player: Annotated[str, Meta(description="public id")]
    display_name: Annotated[str, Meta(description="name shown to others")]
    generation: Annotated[Whole, Meta(description="generation by join order, from 1")]


ChangedState = Annotated[
    dict[str, int | str], Meta(description="the keys of State that this has changed, as they were right after it")
]


class UpgradeChoice(Struct, frozen=True):
    """Which upgrade."""

    kind: Annotated[
        Literal["tap_level", "energy_cap", "energy_regen", "offline"], Meta(description="what is raised by a level")
    ]


class Bought(Struct, frozen=True):
    """An upgrade was bought."""

    kind: Annotated[str, Meta(description="what was raised")]
    level: Annotated[Whole, Meta(description="its level now")]
    price_mpt: Annotated[Whole, Meta(description="what it cost in mPT")]
    state: ChangedState


class BoostChoice(Struct, frozen=True):
    """Which boost."""

    kind: Annotated[Literal["double", "full_energy"], Meta(description="×2 for 60 s, or energy to its cap")]


class BoostUsed(Struct, frozen=True):
    """A boost was used."""

    kind: Annotated[str, Meta(description="which one")]
    left_today: Annotated[Whole, Meta(description="free ones of this kind that are left until 00:00 UTC")]
    state: ChangedState


class UpgradeOffer(Struct, frozen=True):
    """What the next level of something costs."""

    kind: Annotated[str, Meta(description="what is raised, as `upgrade.buy` takes it")]
    level: Annotated[Whole, Meta(description="its level now")]
    top_level: Annotated[Whole, Meta(description="its highest level")]
    price_mpt: Annotated[Whole, Meta(description="what the next level costs in mPT; 0 at the highest")]


class BoostOffer(Struct, frozen=True):
    """How often a boost is left."""

    kind: Annotated[str, Meta(description="which one, as `boost.use` takes it")]
    left_today: Annotated[Whole, Meta(description="free ones that are left until `resets_ms`")]
    free_per_day: Annotated[Whole, Meta(description="free ones of a whole day")]


class ShopOffers(Struct, frozen=True):
    """What there is to be had."""

    upgrades: Annotated[list[UpgradeOffer], Meta(description="every upgrade")]
    boosts: Annotated[list[BoostOffer], Meta(description="every boost")]
    resets_ms: Annotated[Whole, Meta(description="when the day's boosts begin anew, Unix milliseconds")]


class TransferOrder(Struct, frozen=True):
    """How much to whom."""

    to: Annotated[Label, Meta(description="public id of the receiver")]
    amount_mpt: Annotated[
        int, Meta(ge=MIN_TRANSFER_MPT, le=MAX_SAFE_INT, description="what the receiver gets, in mPT; the fee is on top")
    ]


class Sent(Struct, frozen=True):
    """Tokens are on their way."""

    to: Annotated[str, Meta(description="public id of the receiver")]
    amount_mpt: Annotated[Whole, Meta(description="what the receiver gets")]
    fee_mpt: Annotated[Whole, Meta(description="what it cost on top")]
    state: ChangedState


class TransferTerms(Struct, frozen=True):
    """What sending tokens takes."""

    fee_bp: Annotated[Whole, Meta(description="fee on top of the amount, basis points, rounded up to the next mPT")]
    min_mpt: Annotated[Whole, Meta(description="least amount of a transfer")]
    left_today_mpt: Annotated[Whole, Meta(description="what may still be sent until `resets_ms`, fees not counted")]
    resets_ms: Annotated[Whole, Meta(description="when the day's limit begins anew, Unix milliseconds")]
    min_level: Annotated[Whole, Meta(description="level from which a player may send")]
    from_ms: Annotated[Whole, Meta(description="when the account is old enough, Unix milliseconds")]


class GrantReceived(Struct, frozen=True):
    """The player was given something."""

    kind: Annotated[str, Meta(description="what for, e.g. `transfer_received`, `pool_share`, `full_energy`")]
    amount_mpt: Annotated[Whole, Meta(description="tokens in mPT, already in the balance; 0 where it was none")]
    state: ChangedState


class LevelUp(Struct, frozen=True):
    """A level was reached."""

    level: Annotated[Whole, Meta(description="the level reached")]
    reward_mpt: Annotated[Whole, Meta(description="its reward in mPT, already in the balance")]


class RankUp(Struct, frozen=True):
    """A rank was reached."""

    rank: Annotated[str, Meta(description="English name of the rank")]
    level: Annotated[Whole, Meta(description="the level that brought it")]


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action: `[3, seq, name, args]` → `[66, seq, result, durable_seq]`."""

    name: str
    args: type[Struct]  #: unknown keys are ignored
    result: type[Struct]
    durability: Durability
    kind: ActionKind
    doc: str  #: one sentence
    example: Mapping[str, Any] = field(default_factory=dict)  #: arguments that decode

    @property
    def limit_class(self) -> LimitClass:
        """What counts against it when it is done too often: what costs alike is limited alike."""
        if self.kind is ActionKind.READ:
            return LimitClass.READ
        return LimitClass.HARD if self.durability is Durability.HARD else LimitClass.WRITE


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event: `[69, channel, offset, name, data]`."""

    name: str
    channel: ChannelKind
    data: type[Struct]
    conflated: bool  #: only the latest matters: offset 0, older ones that wait are dropped
    doc: str  #: one sentence


_ACTIONS = (
    ActionSpec(
        GIVE_UP,
        NoArgs,
        Nothing,
        Durability.SOFT,
        ActionKind.READ,
        "Does nothing but consume its `seq`: sent in the place of an operation that the client gives up. "
        "Where that had been applied after all, its answer comes.",
    ),
    ActionSpec("state.get", NoArgs, State, Durability.SOFT, ActionKind.READ, "The player's state, as in WELCOME."),
    ActionSpec(
        "shop.list",
        NoArgs,
        ShopOffers,
        Durability.SOFT,
        ActionKind.READ,
        "What the next level of each upgrade costs, and which free boosts are left.",
    ),
    ActionSpec(
        "upgrade.buy",
        UpgradeChoice,
        Bought,
        Durability.HARD,
        ActionKind.WRITE,
        "Buys the next level of an upgrade; the price is burned.",
        {"kind": "tap_level"},
    ),
    ActionSpec(
        "boost.use",
        BoostChoice,
        BoostUsed,
        Durability.HARD,
        ActionKind.WRITE,
        "Uses one of the day's free boosts, three of each kind.",
        {"kind": "double"},
    ),
    ActionSpec(
        "transfer.terms",
        NoArgs,
        TransferTerms,
        Durability.SOFT,
        ActionKind.READ,
        "What sending tokens costs and takes, and how much may still be sent.",
    ),
    ActionSpec(
        "transfer.send",
        TransferOrder,
        Sent,
        Durability.HARD,
        ActionKind.WRITE,
        "Sends tokens to another player, who gets `grant.received` when they arrive, or finds them in his balance.",
        {"to": "7f0c0c6e-3b0a-4f0e-9d67-0f6f1a1b2c3d", "amount_mpt": 25_000},
    ),
    ActionSpec("profile.get", NoArgs, Profile, Durability.SOFT, ActionKind.READ, "Who the player is."),
)

_EVENTS = (
    EventSpec("level.up", ChannelKind.PLAYER, LevelUp, False, "Once per level passed, in order."),
    EventSpec("rank.up", ChannelKind.PLAYER, RankUp, False, "Once per rank passed, in order."),
    EventSpec(
        "grant.received", ChannelKind.PLAYER, GrantReceived, False, "Something that was owed to the player has come."
    ),
)

#: Every action by its name.
ACTIONS: Final[Mapping[str, ActionSpec]] = MappingProxyType({spec.name: spec for spec in _ACTIONS})
#: What counts against each action when it is done too often.
LIMIT_CLASSES: Final[Mapping[str, LimitClass]] = MappingProxyType({spec.name: spec.limit_class for spec in _ACTIONS})
#: Every event by its name.
EVENTS: Final[Mapping[str, EventSpec]] = MappingProxyType({spec.name: spec for spec in _EVENTS})
assert len(ACTIONS) == len(_ACTIONS), "an action is declared twice"
assert len(EVENTS) == len(_EVENTS), "an event is declared twice"
