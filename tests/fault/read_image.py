"""Reads a `DatabaseImage` in one transaction, so that all of it is of one instant."""

from typing import Any

from persistence.postgres import Connection, Database
from tests.fakes.other_side import unpack
from tests.fault.database_image import LEVELS, DatabaseImage, GrantImage, LedgerImage, PlayerImage, Sums

_PLAYERS = f"""
    SELECT p.id, p.public_id::text, p.taps, p.xp, p.balance_mpt, p.unposted_mpt,
        coalesce((SELECT sum(t.amount_mpt) FROM token_transactions AS t WHERE t.player_id = p.id), 0)::bigint,
        {", ".join(LEVELS)}
    FROM players AS p
"""
_CURSORS = """
    SELECT p.public_id::text, c.lineage, c.applied_seq
    FROM operation_cursors AS c JOIN players AS p ON p.id = c.player_id
"""
_LEDGER = """
    SELECT k.key, p.public_id::text, t.kind::text, t.amount_mpt
    FROM ledger_keys AS k JOIN token_transactions AS t USING (transaction_id) JOIN players AS p ON p.id = t.player_id
"""
_GRANTS = """
    SELECT g.key, p.public_id::text, g.kind::text, g.amount_mpt, g.applied_at IS NOT NULL
    FROM player_grants AS g JOIN players AS p ON p.id = g.player_id
"""
_RESULTS = """
    SELECT p.public_id::text, r.lineage, r.seq, r.answer
    FROM operation_results AS r JOIN players AS p ON p.id = r.player_id
"""
_BOOSTS = """
    SELECT p.public_id::text, used.kind, used.boosts
    FROM player_daily_limits AS l JOIN players AS p ON p.id = l.player_id
    CROSS JOIN LATERAL (VALUES ('double', l.doubles), ('full_energy', l.refills)) AS used (kind, boosts)
"""
_SUMS = """
    SELECT
        (SELECT coalesce(sum(minted_mpt), 0) FROM write_batches)
            + (SELECT coalesce(max(folded_minted_mpt), 0) FROM economy_state),
        (SELECT coalesce(sum(burned_mpt), 0) FROM write_batches)
            + (SELECT coalesce(max(folded_burned_mpt), 0) FROM economy_state),
        (SELECT coalesce(sum(balance_mpt), 0) FROM players),
        (SELECT coalesce(sum(amount_mpt), 0) FROM token_transactions WHERE account = 'escrow')
"""
_UNRECONCILED = (
    "SELECT format('%s %s: expected %s, found %s', what, id, expected_mpt, found_mpt) FROM ledger_reconciliation"
)
_DEAD_LETTERS = "SELECT format('players %s: %s', player_ids, error) FROM write_dead_letters"


async def read_image(database: Database) -> DatabaseImage:
    """Everything the checker looks at."""
    return await database.transaction(_read)


async def _read(connection: Connection) -> DatabaseImage:
    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    async def rows(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await connection.fetch(sql)]

    image = DatabaseImage()
    for id_, public_id, taps, xp, balance_mpt, unposted_mpt, ledger_mpt, *levels in await rows(_PLAYERS):
        by_name = dict(zip(LEVELS, levels, strict=True))
        image.players[public_id] = PlayerImage(id_, public_id, taps, xp, balance_mpt, unposted_mpt, ledger_mpt, by_name)
    image.cursors = {(player, lineage): seq for player, lineage, seq in await rows(_CURSORS)}
    image.ledger = {key: LedgerImage(*entry) for key, *entry in await rows(_LEDGER)}
    image.grants = {key: GrantImage(*grant) for key, *grant in await rows(_GRANTS)}
    image.results = {(player, lineage, seq): unpack(answer) for player, lineage, seq, answer in await rows(_RESULTS)}
    image.boosts_used = {(player, kind): used for player, kind, used in await rows(_BOOSTS)}
    [sums] = await rows(_SUMS)
    image.sums = Sums(*map(int, sums))
    image.unreconciled = [text for (text,) in await rows(_UNRECONCILED)]
    image.dead_letters = [text for (text,) in await rows(_DEAD_LETTERS)]
    return image
