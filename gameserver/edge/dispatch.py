"""Which action runs what: the game's table of contents.

The catalogue in `gameserver.wire` says what actions exist, what they take and give; here each name meets its rule. A
handler runs inside the actor's turn: it may read and change the player, raise a `WireError` to refuse, and must not
wait.
"""

from gameserver.actors.messages import Handler, Lookup, Operate, Origin, Turn
from gameserver.actors.player import PlayerActor
from gameserver.actors.purchases import buy_upgrade, list_offers, use_boost
from gameserver.actors.transfers import find_receiver, send_transfer, tell_terms
from gameserver.wire.catalogue import ACTIONS, ActionKind, Durability, NoArgs, Nothing, Profile
from gameserver.wire.messages import Action, State


def noop(player: PlayerActor, args: NoArgs, turn: Turn) -> Nothing:
    """Consume the seq, change nothing: how a client gives an operation up."""
    del player, args, turn
    return Nothing()


def state_get(player: PlayerActor, args: NoArgs, turn: Turn) -> State:
    """The player's state as WELCOME tells it."""
    del args
    return player.snapshot(turn.now_ms)


def profile_get(player: PlayerActor, args: NoArgs, turn: Turn) -> Profile:
    """Who the player is."""
    del args, turn
    return Profile(player=str(player.public_id), display_name=player.display_name, generation=player.state.generation)


HANDLERS: dict[str, Handler] = {
    "noop": noop,
    "state.get": state_get,
    "profile.get": profile_get,
    "shop.list": list_offers,
    "upgrade.buy": buy_upgrade,
    "boost.use": use_boost,
    "transfer.terms": tell_terms,
    "transfer.send": send_transfer,
}

#: What an action has to know from the database before its turn.
LOOKUPS: dict[str, Lookup] = {"transfer.send": find_receiver}


def operation(origin: Origin, action: Action) -> Operate:
    """An action as a message to its player's actor.

    Args:
        origin: the session it came over.
        action: decoded, so that the catalogue has it.
    """
    spec, name = ACTIONS[action.name], action.name
    writes, hard = spec.kind is ActionKind.WRITE, spec.durability is Durability.HARD
    return Operate(origin, action.seq, name, action.args, HANDLERS[name], writes, hard, LOOKUPS.get(name))
