"""One flush: the transaction that writes what the turns of up to some hundred players left behind.

In this order (architecture, "Durability"):

1. The batch's own row. Its key tells after a COMMIT of unknown outcome whether this batch happened.
2. The fence: lock the rows of the players whose epoch is still ours, in the order of ids. Only what belongs to them is
   written; ledger rows and cursors included.
3. Their columns, in one statement; it leaves out a player whose posted balance (balance − unposted) would move by
   anything else than the ledger rows written with it, and then the flush is refused.
4. Cursors, ledger, used up grants, releases.

Column by column, never row by row: a statement takes one array per column (`array_literals` says in which form).
"""

from collections.abc import Sequence
from uuid import UUID

from persistence.array_literals import byte_strings, integers
from persistence.errors import Rejected
from persistence.player_columns import ASSIGNMENTS, FIELDS, array_parameters, column_arrays
from persistence.postgres import Connection
from persistence.records import LedgerPosting, PlayerWrites

_BATCH = """
    INSERT INTO write_batches (node_run, batch, minted_mpt, burned_mpt) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
"""
_LESS = "UPDATE write_batches SET minted_mpt = $3, burned_mpt = $4 WHERE node_run = $1 AND batch = $2"
_FENCE = """
    SELECT w.position
    FROM unnest($1::text::bigint[], $2::text::bigint[]) WITH ORDINALITY AS w (id, owner_epoch, position)
    JOIN players AS p ON p.id = w.id AND p.owner_epoch = w.owner_epoch
    ORDER BY p.id FOR NO KEY UPDATE OF p
"""
_PLAYERS = f"""
    UPDATE players AS p SET updated_at = now(), {ASSIGNMENTS}
    FROM unnest($1::text::bigint[], $2::text::bigint[], {array_parameters(3)}) AS w (id, posted_mpt, {FIELDS})
    WHERE p.id = w.id AND p.balance_mpt - p.unposted_mpt + w.posted_mpt = w.balance_mpt - w.unposted_mpt
"""  # noqa: S608 - a constant
_CURSORS = """
    INSERT INTO operation_cursors AS c (player_id, lineage, applied_seq)
    SELECT * FROM unnest($1::text::bigint[], $2::text::bytea[], $3::text::bigint[])
    ON CONFLICT (player_id, lineage) DO UPDATE
    SET applied_seq = greatest(c.applied_seq, excluded.applied_seq), updated_at = now()
"""
_LEDGER = """
    WITH posting AS (
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
            WITH ORDINALITY AS t (player_id, key, kind, counter, amount_mpt, balance_after_mpt, at_ms, position)
    ), keyed AS (
        INSERT INTO ledger_keys (key, node_run, batch)
        SELECT key, $8, $9 FROM posting ORDER BY position
        RETURNING key, transaction_id
    )
    INSERT INTO token_transactions
        (transaction_id, posted_at, account, player_id, kind, amount_mpt, balance_after_mpt)
    SELECT keyed.transaction_id, time_from_ms(posting.at_ms), side.account, side.player_id,
        posting.kind::transaction_kind, side.amount_mpt, side.balance_after_mpt
    FROM posting JOIN keyed USING (key)
    CROSS JOIN LATERAL (VALUES
        ('player'::ledger_account, posting.player_id, posting.amount_mpt, posting.balance_after_mpt),
        (posting.counter::ledger_account, NULL, -posting.amount_mpt, NULL)
    ) AS side (account, player_id, amount_mpt, balance_after_mpt)
"""
_GRANTS = """
    UPDATE player_grants AS g SET applied_at = now()
    FROM unnest($1::bigint[], $2::bigint[]) AS w (id, player_id)
    WHERE g.id = w.id AND g.player_id = w.player_id AND g.applied_at IS NULL
"""
_RELEASE = "UPDATE players SET owner_node = NULL WHERE id = ANY ($1::bigint[])"


async def write_batch(
    connection: Connection, node_run: UUID, batch: int, writes: Sequence[PlayerWrites]
) -> frozenset[int] | None:
    """Asyncio-flavoured, in a transaction: write a batch.

    Args:
        connection: inside the transaction.
        node_run: this start of the node.
        batch: its number in this run; a batch that is tried again keeps it.
        writes: of players of one lane, at least one.

    Returns:
        The positions in `writes` of those that were still ours and are written; None when this batch has been committed
        before, and nothing is written now.

    Raises:
        Rejected: PostgreSQL refuses; at least one of the writes is bad.
        DatabaseUnavailable: try again with the same number.
    """
    minted_mpt, burned_mpt = _sums(writes)
    if await connection.execute(_BATCH, node_run, batch, minted_mpt, burned_mpt) == "INSERT 0 0":
        return None
    fenced_in = await connection.fetch(
        _FENCE, integers([write.player_id for write in writes]), integers([write.owner_epoch for write in writes])
    )
    ours = frozenset(position - 1 for (position,) in fenced_in)
    if len(ours) < len(writes):
        writes = [write for position, write in enumerate(writes) if position in ours]
        await connection.execute(_LESS, node_run, batch, *_sums(writes))
    if writes:
        await _write_players(connection, writes)
        await _write_cursors(connection, writes)
        await _write_ledger(connection, writes, node_run, batch)
        await _write_grants(connection, writes)
        await _release(connection, writes)
    return ours


def _sums(writes: Sequence[PlayerWrites]) -> tuple[int, int]:
    return sum([write.minted_mpt for write in writes]), sum([write.burned_mpt for write in writes])


async def _write_players(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    ids = integers([w.player_id for w in writes])
    posted_mpt = integers([sum([p.amount_mpt for p in w.postings]) if w.postings else 0 for w in writes])
    tag = await connection.execute(_PLAYERS, ids, posted_mpt, *column_arrays(writes))
    if tag != f"UPDATE {len(writes)}":
        raise Rejected("a balance would move without the ledger", constraint="players_ledger_check")


async def _write_cursors(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    moved = [(w.player_id, lineage, seq) for w in writes if w.cursors for lineage, seq in w.cursors.items()]
    if moved:
        ids, lineages, seqs = zip(*moved, strict=True)
        await connection.execute(_CURSORS, integers(ids), byte_strings(lineages), integers(seqs))


async def _write_ledger(connection: Connection, writes: Sequence[PlayerWrites], node_run: UUID, batch: int) -> None:
    entries = [(w.player_id, posting) for w in writes if w.postings for posting in w.postings]
    if entries:
        columns = zip(*[(player_id, *_entry(posting)) for player_id, posting in entries], strict=True)
        await connection.execute(_LEDGER, *columns, node_run, batch)


def _entry(posting: LedgerPosting) -> tuple[str, str, str, int, int, int]:
    return (
        *(posting.key, posting.kind, posting.counter),
        *(posting.amount_mpt, posting.balance_after_mpt, posting.at_ms),
    )


async def _write_grants(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    used = [(grant_id, w.player_id) for w in writes if w.applied_grants for grant_id in w.applied_grants]
    if used and await connection.execute(_GRANTS, *zip(*used, strict=True)) != f"UPDATE {len(used)}":
        raise Rejected("a grant was applied that is not open", constraint="player_grants_open_check")


async def _release(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    leaving = [w.player_id for w in writes if w.release]
    if leaving:
        await connection.execute(_RELEASE, leaving)
