"""What the database notifies a node of while it runs: grants to the players it owns, and who may play no longer."""

from collections.abc import Callable
from uuid import UUID

import trio

from gameserver.actors.messages import Grant
from gameserver.actors.player import PlayerActor
from gameserver.actors.registry import Registry
from gameserver.identity.barred import Barred
from persistence import barred_store, player_store
from persistence.backoff import pause_s
from persistence.errors import DatabaseUnavailable
from persistence.postgres import Database


async def deliver_grants(database: Database, players: Registry[UUID, PlayerActor], *, node: str) -> None:
    """Tell actors in memory what has been granted to them since they were loaded, until cancelled.

    Args:
        database: where grants are.
        players: the actors.
        node: the name under which this node owns players.
    """
    noticed = trio.Event()

    def notice(_: str) -> None:
        noticed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.listen, "player_grants", notice)
        unanswered = 0
        while True:
            await noticed.wait()
            noticed = trio.Event()
            try:
                found = await player_store.unapplied_grants(database, node=node)
            except DatabaseUnavailable:
                await trio.sleep(pause_s(unanswered))
                unanswered += 1
                noticed.set()
                continue
            unanswered = 0
            for public_id, grants in found.items():
                if players.active(public_id) is not None:
                    for grant in grants:
                        players.deliver(public_id, Grant(grant))


async def follow_barred(
    database: Database,
    barred: Barred,
    changed: Callable[[], None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Know who is barred, until cancelled.

    Args:
        database: where it is written.
        barred: what is known.
        changed: called when more, or fewer, are barred.
        task_status: started once everybody who is barred is known.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.listen, barred_store.CHANNEL, barred.notice)
        await barred.follow(barred_store.BarredStore(database), changed, task_status=task_status)
