"""What servers from before revision 0008 send to register players, and from before 0004 to claim them.

The rest of what they send is sent still.

When a store changes so that it needs a later revision, what it sent before belongs here.
"""

from collections.abc import Sequence
from uuid import UUID

from persistence.postgres import Connection, Database

_LOCK = "SELECT id FROM players WHERE public_id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
_CLAIM = """
    UPDATE players AS p SET owner_epoch = p.owner_epoch + 1, owner_node = $2
    WHERE p.id = ANY ($1::bigint[]) AND (
        p.owner_node IS NULL OR p.owner_node = $2
        OR NOT EXISTS (SELECT FROM nodes AS n WHERE n.name = p.owner_node AND n.lease_until > statement_timestamp())
    )
    RETURNING p.id, p.owner_epoch
"""
_REGISTRATION_LOCK = 0x7070_6A5F_6A6F_696E
_REGISTER = """
    INSERT INTO players (dev_name, display_name, join_seq, generation, created_at, energy_at, bucket_at)
    SELECT new.name, new.name, last.join_seq + new.position,
        (SELECT min(g.generation) FROM generations AS g WHERE g.threshold >= last.join_seq + new.position),
        time_from_ms($2), time_from_ms($2), time_from_ms($2)
    FROM unnest($1::text[]) WITH ORDINALITY AS new (name, position)
    CROSS JOIN (SELECT coalesce(max(join_seq), 0) AS join_seq FROM players) AS last
    ORDER BY new.position
    RETURNING public_id
"""
_CURSORS = "SELECT player_id, lineage, applied_seq FROM operation_cursors WHERE player_id = ANY ($1::bigint[])"


async def claim(database: Database, public_ids: Sequence[UUID], *, node: str) -> dict[int, int]:
    """Claim players and read what hangs on them; their epochs by their ids."""

    async def work(connection: Connection) -> dict[int, int]:
        wanted = [id_ for (id_,) in await connection.fetch(_LOCK, public_ids)]
        epochs = dict(tuple(row) for row in await connection.fetch(_CLAIM, wanted, node))
        await connection.fetch(_CURSORS, list(epochs))
        return epochs

    return await database.transaction(work)


async def register(database: Database, names: Sequence[str], *, now_ms: int) -> list[UUID]:
    """Register players of these dev names; their public ids."""

    async def work(connection: Connection) -> list[UUID]:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _REGISTRATION_LOCK)
        return [public_id for (public_id,) in await connection.fetch(_REGISTER, names, now_ms)]

    return await database.transaction(work)
