"""Claiming players for a node and loading them; grants; the players of load tests."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from persistence.player_columns import SELECT_LIST, columns_from
from persistence.postgres import Connection, Database, Row
from persistence.records import DailyLimits, GrantKind, GrantRow, LoadedPlayer, OwnedElsewhere
from persistence.registration import Newcomer, lock_registration, register_players
from persistence.suspicion_store import read_signals

# The function locks in the order of ids and judges leases after the wait; its text says why it takes two statements.
_CLAIM = f"""
    SELECT p.id, p.public_id, p.display_name, p.generation, p.owner_epoch,
        (extract(epoch FROM p.created_at) * 1000)::bigint, p.shadow_limited_at IS NOT NULL, {SELECT_LIST}
    FROM claim_players($1::uuid[], $2) AS p
"""  # noqa: S608 - a constant
# A statement of its own, not a part of the first: it must see what the claim may have waited for.
_CURSORS = "SELECT player_id, lineage, applied_seq FROM operation_cursors WHERE player_id = ANY ($1::bigint[])"
_TRIM = """
    DELETE FROM operation_cursors WHERE player_id = ANY ($1::bigint[]) AND updated_at < now() - interval '8 days'
    RETURNING player_id, lineage
"""
_GRANTS = """
    SELECT player_id, id, key, kind::text, amount_mpt FROM player_grants
    WHERE player_id = ANY ($1::bigint[]) AND applied_at IS NULL ORDER BY id
"""
_LIMITS = """
    SELECT player_id, day - 'epoch'::date, sent_mpt, doubles, refills
    FROM player_daily_limits WHERE player_id = ANY ($1::bigint[])
"""
_OWNERS = """
    SELECT p.public_id, n.name, n.url FROM players AS p JOIN nodes AS n ON n.name = p.owner_node
    WHERE p.public_id = ANY ($1::uuid[])
"""
_EPOCHS = "SELECT id, owner_epoch FROM players WHERE id = ANY ($1::bigint[])"
_FIND = "SELECT id FROM players WHERE public_id = $1 AND erased_at IS NULL"
_ANSWER = "SELECT answer FROM operation_results WHERE player_id = $1 AND lineage = $2 AND seq = $3"
_GRANTS_OF_NODE = """
    SELECT p.public_id, g.id, g.key, g.kind::text, g.amount_mpt
    FROM player_grants AS g JOIN players AS p ON p.id = g.player_id
    WHERE p.owner_node = $1 AND g.applied_at IS NULL ORDER BY g.id
"""
#: From so many cursors on, a player loses those that no client can need when it is claimed: operations are kept for 7
#: days at most. Others keep theirs until `prune` removes them after 30.
CROWDED_CURSORS = 512
_FIRST_COLUMN = 7  #: where `SELECT_LIST` begins in what `_CLAIM` returns


async def claim_and_load(
    database: Database, public_ids: Sequence[UUID], *, node: str
) -> list[LoadedPlayer | OwnedElsewhere]:
    """Make `node` the owner of these players, where no other node with a live lease is, and read them.

    Every claim raises the player's epoch, so whoever owned it before can write nothing any more. One transaction at
    READ COMMITTED: the claim first, then what hangs on the player, in statements that see all the claim waited for.

    Args:
        database: where.
        public_ids: at most some thousand; unknown ones are missing from the answer, repeated ones come once.
        node: the claimant's name; its row in `nodes` must exist.

    Returns:
        The players in no particular order.

    Raises:
        DatabaseUnavailable: nothing was claimed; try again.
        OutcomeUnknown: try again: a claim that did happen only costs one epoch.
    """
    return await database.transaction(_claim_and_load, list(public_ids), node)


async def _claim_and_load(
    connection: Connection, public_ids: list[UUID], node: str
) -> list[LoadedPlayer | OwnedElsewhere]:
    claimed = await connection.fetch(_CLAIM, public_ids, node)
    ids = [row[0] for row in claimed]
    cursors: dict[int, dict[bytes, int]] = {id_: {} for id_ in ids}
    for player_id, lineage, applied_seq in await connection.fetch(_CURSORS, ids):
        cursors[player_id][lineage] = applied_seq
    if crowded := [id_ for id_, known in cursors.items() if len(known) >= CROWDED_CURSORS]:
        for player_id, lineage in await connection.fetch(_TRIM, crowded):
            del cursors[player_id][lineage]
    grants = _by_player(await connection.fetch(_GRANTS, ids))
    limits = {row[0]: DailyLimits(*row[1:]) for row in await connection.fetch(_LIMITS, ids)}
    signals = await read_signals(connection, ids)
    answer: list[LoadedPlayer | OwnedElsewhere] = []
    for row in claimed:
        id_, public_id, display_name, generation, owner_epoch, created_ms, shadow_limited = row[:_FIRST_COLUMN]
        columns = columns_from(row[_FIRST_COLUMN:])
        answer.append(
            LoadedPlayer(
                *(id_, public_id, display_name, generation, owner_epoch, created_ms),
                *(columns, cursors[id_], grants.get(id_, ()), limits.get(id_)),
                *(shadow_limited, signals.get(id_)),
            )
        )
    if unclaimed := set(public_ids).difference(row[1] for row in claimed):
        elsewhere = await connection.fetch(_OWNERS, list(unclaimed))
        answer += [OwnedElsewhere(public_id, name, url) for public_id, name, url in elsewhere]
    return answer


async def unapplied_grants(database: Database, *, node: str) -> dict[UUID, tuple[GrantRow, ...]]:
    """What is still owed to the players that `node` owns: by public id, oldest first.

    That includes what their actors have applied and not flushed yet.
    """

    async def read(connection: Connection) -> dict[UUID, tuple[GrantRow, ...]]:
        return _by_player(await connection.fetch(_GRANTS_OF_NODE, node))

    return await database.run(read)


async def owner_epochs(database: Database, player_ids: Sequence[int]) -> dict[int, int]:
    """The present epochs of players, by id: whoever holds one with another epoch has lost it."""

    async def read(connection: Connection) -> dict[int, int]:
        return {row[0]: row[1] for row in await connection.fetch(_EPOCHS, player_ids)}

    return await database.run(read)


class PlayerDirectory:
    """What the operations of players look up.

    Args:
        database: where.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_player(self, public_id: UUID) -> int | None:
        """The id of a player, None where there is none, or no more.

        Raises:
            DatabaseUnavailable: try again.
        """
        return await self._database.run(_fetch_value, _FIND, public_id)

    async def stored_answer(self, player_id: int, lineage: bytes, seq: int) -> bytes | None:
        """The stored frame that answered a hard operation, None where there is none.

        Raises:
            DatabaseUnavailable: try again.
        """
        return await self._database.run(_fetch_value, _ANSWER, player_id, lineage, seq)


async def _fetch_value(connection: Connection, sql: str, *args: object) -> Any:
    return await connection.fetchval(sql, *args)


async def create_load_test_players(database: Database, count: int, *, now_ms: int) -> list[UUID]:
    """The players `load-000001` … of load tests, registered where they do not exist yet, each granted full energy.

    Args:
        database: where.
        count: how many, 1 … 999 999.
        now_ms: the present.

    Returns:
        Their public ids, in the order of their names.

    Raises:
        DatabaseUnavailable: try again; nothing happens twice but the grant.
    """
    return await database.transaction(_create_load_test_players, count, now_ms)


async def _create_load_test_players(connection: Connection, count: int, now_ms: int) -> list[UUID]:
    names = [f"load-{number:06}" for number in range(1, count + 1)]
    find = "SELECT dev_name, id, public_id FROM players WHERE dev_name = ANY ($1::text[]) ORDER BY dev_name"
    await lock_registration(connection)
    known = {row[0] for row in await connection.fetch(find, names)}
    missing = [name for name in names if name not in known]
    await register_players(connection, [Newcomer(name, dev_name=name) for name in missing], now_ms=now_ms)
    players = await connection.fetch(find, names)
    call = uuid4()
    await connection.execute(
        "INSERT INTO player_grants (player_id, key, kind) SELECT id, key, $3::text::grant_kind"
        " FROM unnest($1::bigint[], $2::text[]) AS new (id, key)",
        [id_ for _, id_, _ in players],
        [f"load_test:{call}:{id_}" for _, id_, _ in players],
        GrantKind.FULL_ENERGY,
    )
    return [public_id for _, _, public_id in players]


def _by_player(rows: Sequence[Row]) -> dict[Any, tuple[GrantRow, ...]]:
    """Rows of (whose, id, key, kind, amount) by whose they are."""
    grants: dict[Any, list[GrantRow]] = {}
    for whose, id_, key, kind, amount_mpt in rows:
        grants.setdefault(whose, []).append(GrantRow(id_, key, GrantKind(kind), amount_mpt))
    return {whose: tuple(rows_) for whose, rows_ in grants.items()}
