"""Who asks for something of an account: a login that has not ended, of a player who is still there.

An access token is verified by what a node has in memory of who is barred, which is told to it moments later. Whoever
reads or changes an account asks here, in the same transaction: a login that was ended and a player who was erased or
moved are worth nothing from that moment on.
"""

from dataclasses import dataclass
from uuid import UUID

from persistence.errors import LoginEnded
from persistence.postgres import Connection

_FIND = """
    SELECT p.id FROM players AS p
    WHERE p.public_id = $1 AND p.erased_at IS NULL
        AND EXISTS (SELECT FROM player_sessions AS s WHERE s.id = $2 AND s.player_id = p.id AND s.revoked_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """What a verified access token says."""

    player: UUID  #: public id
    session: UUID  #: the login it was issued to


async def player_of(connection: Connection, caller: Caller, *, to_change: bool = False) -> int:
    """Asyncio-flavoured: the id of the player who asks.

    Args:
        connection: of the transaction in which it is asked for.
        caller: who asks.
        to_change: lock the player until COMMIT. Everyone who changes something of an account takes this lock first, so
            that two changes of the same account come one after the other, and none after its erasure.

    Raises:
        LoginEnded: the login has ended, or the player was erased.
    """
    player_id: int | None = await connection.fetchval(_FIND, caller.player, caller.session)
    if player_id is not None and to_change:
        # A statement of its own: who waited for the lock has to see a login that was ended meanwhile.
        await connection.execute("SELECT FROM players WHERE id = $1 FOR NO KEY UPDATE", player_id)
        player_id = await connection.fetchval(_FIND, caller.player, caller.session)
    if player_id is None:
        raise LoginEnded("the login has ended, or its player is gone")
    return player_id
