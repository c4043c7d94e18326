"""Lease checks of a launched server, off as long as a file says so: servers of one database then fight for players.

What is left to protect a player is the fence: a claim raises its epoch, and writes with an older one are refused.
"""

import mmap
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from persistence import player_store
from persistence.node_lease import NodeLease
from persistence.postgres import Connection
from persistence.records import LoadedPlayer, OwnedElsewhere

ON, OFF = b"\0", b"\1"  #: what the file holds
STOLEN = "took a player from another server that holds it"  #: a line of the server's log for each

_OVER = "UPDATE nodes SET lease_until = clock_timestamp() WHERE name = $1"
_OWNERS = """
    SELECT public_id, owner_node FROM players WHERE public_id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""


def obey_lease_checks(path: Path) -> None:
    """Have this process check leases only while the file at `path` says `ON`.

    While they are off, the lease that the node publishes is over, so that others claim what it holds, and the node
    itself never finds that it is. Afterwards it takes nobody in until it has looked who is still its own, as after a
    lease that ran out.
    """
    with path.open("rb") as file:
        state = mmap.mmap(file.fileno(), 1, prot=mmap.PROT_READ)
    fight = _Fight(lambda: state[:1] == OFF)
    fight.enter_lease()
    fight.count_thefts()


class _Fight:
    """What is put over the node's lease and its claims.

    Args:
        under_way: whether lease checks are off.
    """

    def __init__(self, under_way: Callable[[], bool]) -> None:
        self._under_way = under_way
        self._fought = False  #: others may have claimed what this node holds, and it has not looked since

    def enter_lease(self) -> None:
        create, renew = NodeLease.__init__, NodeLease._renew
        live, serving = NodeLease.live.fget, NodeLease.serving.fget  # type: ignore[attr-defined]

        def create_looking(lease: NodeLease, *args: Any, on_lapse: Callable[[], Awaitable[None]], **named: Any) -> None:
            async def look() -> None:
                await on_lapse()
                self._fought = False

            create(lease, *args, on_lapse=look, **named)

        async def renew_in_vain(lease: NodeLease, connection: Connection) -> bool:
            renewed = await renew(lease, connection)
            if self._under_way():
                self._fought = True
                await connection.execute(_OVER, lease._name)
            return renewed

        NodeLease.__init__ = create_looking  # type: ignore[assignment, method-assign]
        NodeLease._renew = renew_in_vain  # type: ignore[assignment, method-assign]
        NodeLease.live = self._believing(live)  # type: ignore[method-assign, assignment]
        NodeLease.serving = self._believing(serving)  # type: ignore[method-assign, assignment]

    def _believing(self, asked: Callable[[NodeLease], bool]) -> property:
        return property(lambda lease: self._under_way() or (not self._fought and asked(lease)))

    def count_thefts(self) -> None:
        claim = player_store._claim_and_load

        async def claim_and_tell(
            connection: Connection, public_ids: list[UUID], node: str
        ) -> Sequence[LoadedPlayer | OwnedElsewhere]:
            owners = {row[0]: row[1] for row in await connection.fetch(_OWNERS, public_ids)}
            found = await claim(connection, public_ids, node)
            for player in found:
                if isinstance(player, LoadedPlayer) and owners[player.public_id] not in (None, node):
                    sys.stderr.write(f"{STOLEN}\n")
            return found

        player_store._claim_and_load = claim_and_tell  # type: ignore[assignment]
