"""Makes load-test players fit for torture: energy for hours, tokens, a level and an age at which they may transfer."""

from persistence.postgres import Connection, Database

TOKENS_MPT = 50_000_000_000
XP = 12_100  #: level 12: a few more are reached in a run
ENERGY_LEVEL = 16
_PLAYERS = """
    UPDATE players SET xp = $1, created_at = now() - interval '30 days',
        energy_cap_level = $2::integer, energy_regen_level = $2::integer,
        energy_ue = (1000 + 500 * ($2::integer - 1)) * 1000000::bigint, energy_at = now()
    WHERE dev_name LIKE 'load-%'
"""
_TOKENS = """
    INSERT INTO player_grants (player_id, key, kind, amount_mpt)
    SELECT id, format('torture:%s', id), 'compensation', $1 FROM players WHERE dev_name LIKE 'load-%'
"""
_PUBLIC_IDS = "SELECT public_id::text FROM players WHERE dev_name LIKE 'load-%' ORDER BY dev_name LIMIT $1"


async def prepare_players(database: Database, count: int) -> list[str]:
    """Before any of them is loaded; returns their public ids, in the order in which `gameserver token` prints them."""
    return await database.transaction(_prepare, count)


async def _prepare(connection: Connection, count: int) -> list[str]:
    await connection.execute(_PLAYERS, XP, ENERGY_LEVEL)
    await connection.execute(_TOKENS, TOKENS_MPT)
    return [row[0] for row in await connection.fetch(_PUBLIC_IDS, count)]
