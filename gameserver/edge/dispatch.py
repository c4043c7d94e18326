"""Which action runs what: the game's table of contents.

The catalogue in `gameserver.wire` says what actions exist, what they take and give; here each name meets its rule. A
handler runs inside the actor's turn: it may read and change the player, raise a `WireError` to refuse, and must not
wait.
"""

from gameserver.actors.messages import Handler
from gameserver.actors.player import PlayerActor
from gameserver.wire.catalogue import NoArgs, Nothing, Profile
from gameserver.wire.messages import State


def noop(player: PlayerActor, args: NoArgs, now_ms: int) -> Nothing:
    """Consume the seq, change nothing: how a client gives an operation up."""
    del player, args, now_ms
    return Nothing()


def state_get(player: PlayerActor, args: NoArgs, now_ms: int) -> State:
    """The player's state as WELCOME tells it."""
    del args
    return player.snapshot(now_ms)


def profile_get(player: PlayerActor, args: NoArgs, now_ms: int) -> Profile:
    """Who the player is."""
    del args, now_ms
    return Profile(player=str(player.public_id), display_name=player.display_name, generation=player.state.generation)


HANDLERS: dict[str, Handler] = {
    "noop": noop,
    "state.get": state_get,
    "profile.get": profile_get,
}
