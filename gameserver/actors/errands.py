"""What an operation waits for: done outside of turns, and brought back as the message itself (architecture §3.2).

Until it is back nothing else of the player is handled, so that no later operation of its lineage overtakes it.
"""

import trio

from gameserver.actors.habitat import Directory
from gameserver.actors.messages import Operate
from gameserver.errors import Internal, Unavailable
from gameserver.logs import get_logger
from gameserver.wire.codec import decode_server
from gameserver.wire.messages import ErrorFrame, Result
from persistence.errors import DatabaseUnavailable

LOOK_UP_S = 3.0  #: then the operation is to be tried again

log = get_logger(__name__)


async def look_up(operation: Operate, directory: Directory) -> Operate:
    """Have the operation's lookup done; never raises, but for being cancelled.

    Args:
        operation: one with a lookup.
        directory: where.

    Returns:
        The operation, with `found`, or with the `failure` that it is to be answered with.
    """
    assert operation.lookup is not None
    try:
        with trio.fail_after(LOOK_UP_S):
            operation.found = await operation.lookup(directory, operation.args)
    except (DatabaseUnavailable, trio.TooSlowError):
        operation.failure = Unavailable("the database is away")
    except Exception:  # a lookup's bug is the operation's
        log.exception("a lookup failed", action=operation.name)
        operation.failure = Internal("the server failed at this operation; it changed nothing")
    operation.lookup = None
    return operation


async def recall(operation: Operate, directory: Directory, player_id: int) -> Operate:
    """Look for the stored answer of an operation that has been applied before; as `look_up` else.

    Returns:
        The operation, with the stored frame in `found`, or None there where nothing is stored.
    """

    async def stored(directory: Directory, _args: object) -> Result | ErrorFrame | None:
        frame = await directory.stored_answer(player_id, operation.origin.lineage, operation.seq)
        if frame is None:
            return None
        message = decode_server(frame)
        assert isinstance(message, Result | ErrorFrame)
        return message

    operation.lookup = stored
    operation.recalled = True
    return await look_up(operation, directory)
