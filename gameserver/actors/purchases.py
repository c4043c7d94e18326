"""Upgrades and boosts, as turns of the player."""

from typing import TYPE_CHECKING

from gameserver.actors.messages import Turn
from gameserver.errors import Conflict, Insufficient
from gameserver.game.shop import COLUMN_OF, DOUBLE_MS, FREE_BOOSTS_PER_DAY, Boost, Upgrade, top_level, upgrade_price_mpt
from gameserver.wire.catalogue import (
    BoostChoice,
    BoostOffer,
    BoostUsed,
    Bought,
    NoArgs,
    ShopOffers,
    UpgradeChoice,
    UpgradeOffer,
)
from hotpath.rules import DAY_MS
from persistence.records import Account, DailyLimits, LedgerKind

if TYPE_CHECKING:
    from gameserver.actors.player import PlayerActor


def list_offers(player: "PlayerActor", args: NoArgs, turn: Turn) -> ShopOffers:
    """`shop.list`: what is to be had, and for how much."""
    del args
    used = player.journal.limits_of(turn.now_ms)
    return ShopOffers(
        [_offer(upgrade, getattr(player.state, COLUMN_OF[upgrade])) for upgrade in Upgrade],
        [BoostOffer(boost, FREE_BOOSTS_PER_DAY - _used(used, boost), FREE_BOOSTS_PER_DAY) for boost in Boost],
        (used.day + 1) * DAY_MS,
    )


def _offer(upgrade: Upgrade, level: int) -> UpgradeOffer:
    top = top_level(upgrade)
    return UpgradeOffer(upgrade, level, top, upgrade_price_mpt(upgrade, level) if level < top else 0)


def _used(limits: DailyLimits, boost: Boost) -> int:
    return limits.doubles if boost is Boost.DOUBLE else limits.refills


def buy_upgrade(player: "PlayerActor", args: UpgradeChoice, turn: Turn) -> Bought:
    """`upgrade.buy`: the next level of something, paid from the balance.

    Raises:
        Conflict: it is at its highest.
        Insufficient: the balance is too small.
    """
    upgrade = Upgrade(args.kind)
    column = COLUMN_OF[upgrade]
    level: int = getattr(player.state, column)
    if level >= top_level(upgrade):
        raise Conflict(f"{upgrade} is at its highest level, {level}")
    price_mpt = upgrade_price_mpt(upgrade, level)
    if player.state.balance_mpt < price_mpt:
        raise Insufficient(f"level {level + 1} of {upgrade} costs {price_mpt} mPT")
    before = player.snapshot(turn.now_ms)
    key = f"upgrade:{player.player_id}:{upgrade}:{level + 1}"
    player.journal.spend(player.state, LedgerKind.UPGRADE, key, price_mpt, Account.BURN, turn.now_ms)
    player.state.upgrade(column, turn.now_ms)
    return Bought(upgrade, level + 1, price_mpt, player.changes_since(before, turn.now_ms))


def use_boost(player: "PlayerActor", args: BoostChoice, turn: Turn) -> BoostUsed:
    """`boost.use`: one of the day's free boosts.

    Raises:
        Conflict: none is left today.
    """
    boost = Boost(args.kind)
    used = player.journal.limits_of(turn.now_ms)
    count = _used(used, boost)
    if count >= FREE_BOOSTS_PER_DAY:
        raise Conflict(f"all {FREE_BOOSTS_PER_DAY} free boosts of this kind are used today")
    before = player.snapshot(turn.now_ms)
    if boost is Boost.DOUBLE:
        player.state.double_for(DOUBLE_MS, turn.now_ms)
        player.journal.use(used, doubles=count + 1)
    else:
        player.state.fill_energy(turn.now_ms)
        player.journal.use(used, refills=count + 1)
    return BoostUsed(boost, FREE_BOOSTS_PER_DAY - count - 1, player.changes_since(before, turn.now_ms))
