"""One flush: the transaction that writes what the turns of up to some hundred players left behind.

In this order (architecture, "Durability"):

1. The batch's own row. Its key tells after a COMMIT of unknown outcome whether this batch happened.
2. The fence: only what belongs to players whose epoch is still ours is written; ledger rows and cursors included.
3. Their columns; a player whose posted balance (balance − unposted) would move by anything else than the ledger rows
   written with it is refused.
4. Cursors, ledger, used up grants, stored answers, rows of other tables, releases.

There are two ways. `write_at_once` is one statement, hence one round trip, and all or nothing: it fails unless every
player is ours and whole. That is nearly always so, and each statement costs the server as much as a hundred players do.
`write_by_steps` takes a transaction of several statements, locks the rows in the order of their ids first, and finds
out who is not ours. Whatever the first way refuses, the second one judges.

Column by column, never row by row: a statement takes one text per column (`hotpath.player_writes`).
"""

from collections.abc import Sequence
from uuid import UUID

from hotpath.player_writes import any_postings, cursor_texts, row_texts, totals_mpt
from persistence.array_literals import integers, texts
from persistence.errors import DatabaseUnavailable, OutcomeUnknown, Rejected
from persistence.player_columns import ASSIGNMENTS, COLUMNS, FIELDS, array_parameters
from persistence.postgres import Connection
from persistence.records import DailyLimits, Effect, GrantGiven, KeptSignals, LedgerPosting, PlayerWrites, Suspected
from persistence.suspicion_store import keep_signals, suspect


def _players(first: int) -> str:
    """Columns, from the parameters that `row_texts` makes, numbered from `first`."""
    return f"""
    UPDATE players AS p SET updated_at = now(), {ASSIGNMENTS}
    FROM unnest(
        ${first}::text::bigint[], ${first + 1}::text::bigint[], ${first + 2}::text::bigint[],
        {array_parameters(first + 3)}
    ) AS w (id, owner_epoch, posted_mpt, {FIELDS})
    WHERE p.id = w.id AND p.owner_epoch = w.owner_epoch
        AND p.balance_mpt - p.unposted_mpt + w.posted_mpt = w.balance_mpt - w.unposted_mpt
    """  # noqa: S608 - a constant


def _cursors(first: int) -> str:
    """Cursors, from the parameters that `cursor_texts` makes, numbered from `first`."""
    return f"""
    INSERT INTO operation_cursors AS c (player_id, lineage, applied_seq)
    SELECT * FROM unnest(${first}::text::bigint[], ${first + 1}::text::bytea[], ${first + 2}::text::bigint[])
    ON CONFLICT (player_id, lineage) DO UPDATE
    SET applied_seq = greatest(c.applied_seq, excluded.applied_seq), updated_at = now()
    """  # noqa: S608 - a constant


def _ledger(first: int) -> str:
    """Ledger rows in the order they are given, from node run, batch and what `_ledger_texts` makes."""
    return f"""
    posting AS (
        SELECT * FROM unnest(
            ${first}::text::bigint[],
            ${first + 1}::text::text[], ${first + 2}::text::text[], ${first + 3}::text::text[],
            ${first + 4}::text::bigint[], ${first + 5}::text::bigint[], ${first + 6}::text::bigint[]
        ) WITH ORDINALITY AS t (player_id, key, kind, counter, amount_mpt, balance_after_mpt, at_ms, position)
    ), keyed AS (
        INSERT INTO ledger_keys (key, node_run, batch)
        SELECT key, $1, $2 FROM posting ORDER BY position
        RETURNING key, transaction_id
    ), entered AS (
        INSERT INTO token_transactions
            (transaction_id, posted_at, account, player_id, kind, amount_mpt, balance_after_mpt)
        SELECT keyed.transaction_id, time_from_ms(posting.at_ms), side.account, side.player_id,
            posting.kind::transaction_kind, side.amount_mpt, side.balance_after_mpt
        FROM posting JOIN keyed USING (key)
        CROSS JOIN LATERAL (VALUES
            ('player'::ledger_account, posting.player_id, posting.amount_mpt, posting.balance_after_mpt),
            (posting.counter::ledger_account, NULL, -posting.amount_mpt, NULL)
        ) AS side (account, player_id, amount_mpt, balance_after_mpt)
    )
    """  # noqa: S608 - a constant


_BATCH = "INSERT INTO write_batches (node_run, batch, minted_mpt, burned_mpt) VALUES ($1, $2, $3, $4)"
_BATCH_UNLESS_THERE = f"{_BATCH} ON CONFLICT DO NOTHING"
_LESS = "UPDATE write_batches SET minted_mpt = $3, burned_mpt = $4 WHERE node_run = $1 AND batch = $2"
_FENCE = """
    SELECT w.position
    FROM unnest($1::text::bigint[], $2::text::bigint[]) WITH ORDINALITY AS w (id, owner_epoch, position)
    JOIN players AS p ON p.id = w.id AND p.owner_epoch = w.owner_epoch
    ORDER BY p.id FOR NO KEY UPDATE OF p
"""
_PLAYERS = _players(1)
_CURSORS = _cursors(1)
_LEDGER = f"WITH {_ledger(3)} SELECT"
_GRANTS = """
    UPDATE player_grants AS g SET applied_at = now()
    FROM unnest($1::text::bigint[], $2::text::bigint[]) AS w (id, player_id)
    WHERE g.id = w.id AND g.player_id = w.player_id AND g.applied_at IS NULL
"""
_ANSWERS = """
    INSERT INTO operation_results (player_id, lineage, seq, answer)
    SELECT * FROM unnest($1::text::bigint[], $2::bytea[], $3::text::bigint[], $4::bytea[])
"""
_GIVEN = """
    INSERT INTO player_grants (player_id, key, kind, amount_mpt)
    SELECT player_id, key, kind::grant_kind, amount_mpt
    FROM unnest($1::text::bigint[], $2::text[], $3::text[], $4::text::bigint[]) AS w (player_id, key, kind, amount_mpt)
"""
_LIMITS = """
    INSERT INTO player_daily_limits AS l (player_id, day, sent_mpt, doubles, refills)
    SELECT player_id, 'epoch'::date + day::integer, sent_mpt, doubles, refills
    FROM unnest(
        $1::text::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::smallint[], $5::text::smallint[]
    ) AS w (player_id, day, sent_mpt, doubles, refills)
    ON CONFLICT (player_id) DO UPDATE
    SET day = excluded.day, sent_mpt = excluded.sent_mpt, doubles = excluded.doubles, refills = excluded.refills
"""
_RELEASE = "UPDATE players SET owner_node = NULL WHERE id = ANY ($1::text::bigint[])"

_ROWS_FROM = 6
_CURSORS_FROM = _ROWS_FROM + 3 + len(COLUMNS)
_LEDGER_FROM = _CURSORS_FROM + 3

#: The division by zero undoes everything where a player is left out. What waits for a row that another transaction has
#: changed looks at the row again, epoch included, as an UPDATE at READ COMMITTED does.
_AT_ONCE = f"""
    WITH batch AS ({_BATCH}), written AS ({_players(_ROWS_FROM)} RETURNING 1), moved AS ({_cursors(_CURSORS_FROM)})
    {{ledger}}
    SELECT 1 / (count(*) = $5)::integer FROM written
"""  # noqa: S608 - a constant
_AT_ONCE_WITHOUT_LEDGER = _AT_ONCE.format(ledger="")
_AT_ONCE_WITH_LEDGER = _AT_ONCE.format(ledger=f", {_ledger(_LEDGER_FROM)}")


async def write_at_once(
    connection: Connection, node_run: UUID, batch: int, writes: Sequence[PlayerWrites]
) -> frozenset[int]:
    """Asyncio-flavoured, outside of a transaction: write a batch that neither uses up grants nor gives players up.

    Returns:
        All positions in `writes`.

    Raises:
        Rejected: nothing is written: PostgreSQL refuses, somebody is not ours, or this batch has been committed before.
        OutcomeUnknown: the connection is lost; its result is what would have been returned.
    """
    everyone = frozenset(range(len(writes)))
    arguments = [node_run, batch, *totals_mpt(writes), len(writes), *row_texts(writes), *cursor_texts(writes)]
    sql = _AT_ONCE_WITHOUT_LEDGER
    if any_postings(writes):
        sql = _AT_ONCE_WITH_LEDGER
        arguments += _ledger_texts(writes)
    try:
        await connection.execute(sql, *arguments)
    except DatabaseUnavailable as error:
        raise OutcomeUnknown(str(error), result=everyone) from error
    return everyone


async def write_by_steps(
    connection: Connection, node_run: UUID, batch: int, writes: Sequence[PlayerWrites]
) -> frozenset[int] | None:
    """Asyncio-flavoured, in a transaction: write those of a batch that are still ours.

    Returns:
        The positions in `writes` of those that were still ours and are written; None when this batch has been committed
        before, and nothing is written now.

    Raises:
        Rejected: PostgreSQL refuses; at least one of the writes is bad.
        DatabaseUnavailable: try again with the same number.
    """
    tag = await connection.execute(_BATCH_UNLESS_THERE, node_run, batch, *totals_mpt(writes))
    if tag == "INSERT 0 0":
        return None
    fenced_in = await connection.fetch(_FENCE, *row_texts(writes)[:2])
    ours = frozenset(position - 1 for (position,) in fenced_in)
    if len(ours) < len(writes):
        writes = [write for position, write in enumerate(writes) if position in ours]
        await connection.execute(_LESS, node_run, batch, *totals_mpt(writes))
    if writes:
        await _write_players(connection, writes)
        await connection.execute(_CURSORS, *cursor_texts(writes))
        await _write_ledger(connection, writes, node_run, batch)
        await _write_grants(connection, writes)
        await _write_answers(connection, writes)
        await _write_effects(connection, writes)
        await _release(connection, writes)
    return ours


async def _write_players(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    tag = await connection.execute(_PLAYERS, *row_texts(writes))
    if tag != f"UPDATE {len(writes)}":
        raise Rejected("a balance would move without the ledger", constraint="players_ledger_check")


async def _write_ledger(connection: Connection, writes: Sequence[PlayerWrites], node_run: UUID, batch: int) -> None:
    if any_postings(writes):
        await connection.execute(_LEDGER, node_run, batch, *_ledger_texts(writes))


def _ledger_texts(writes: Sequence[PlayerWrites]) -> tuple[str, ...]:
    entries = [(w.player_id, posting) for w in writes for posting in w.postings]
    postings: list[LedgerPosting] = [posting for _, posting in entries]
    return (
        integers([player_id for player_id, _ in entries]),
        texts([posting.key for posting in postings]),
        texts([posting.kind for posting in postings]),
        texts([posting.counter for posting in postings]),
        integers([posting.amount_mpt for posting in postings]),
        integers([posting.balance_after_mpt for posting in postings]),
        integers([posting.at_ms for posting in postings]),
    )


async def _write_grants(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    used = [(grant_id, w.player_id) for w in writes for grant_id in w.applied_grants]
    if used:
        ids, player_ids = zip(*used, strict=True)
        if await connection.execute(_GRANTS, integers(ids), integers(player_ids)) != f"UPDATE {len(used)}":
            raise Rejected("a grant was applied that is not open", constraint="player_grants_open_check")


async def _write_answers(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    answers = [(w.player_id, answer) for w in writes for answer in w.answers]
    if answers:
        await connection.execute(
            _ANSWERS,
            integers([player_id for player_id, _ in answers]),
            [answer.lineage for _, answer in answers],
            integers([answer.seq for _, answer in answers]),
            [answer.encoded for _, answer in answers],
        )


async def _write_effects(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    effects: list[tuple[int, Effect]] = [(w.player_id, effect) for w in writes for effect in w.effects]
    given = [effect for _, effect in effects if isinstance(effect, GrantGiven)]
    if given:
        await connection.execute(
            _GIVEN,
            integers([grant.player_id for grant in given]),
            [grant.key for grant in given],
            [grant.kind for grant in given],
            integers([grant.amount_mpt for grant in given]),
        )
    used = [(player_id, effect) for player_id, effect in effects if isinstance(effect, DailyLimits)]
    if used:
        await connection.execute(
            _LIMITS,
            integers([player_id for player_id, _ in used]),
            integers([limits.day for _, limits in used]),
            integers([limits.sent_mpt for _, limits in used]),
            integers([limits.doubles for _, limits in used]),
            integers([limits.refills for _, limits in used]),
        )
    kept = [(player_id, effect) for player_id, effect in effects if isinstance(effect, KeptSignals)]
    if kept:
        await keep_signals(connection, kept)
    suspected = [(player_id, effect) for player_id, effect in effects if isinstance(effect, Suspected)]
    if suspected:
        await suspect(connection, suspected)


async def _release(connection: Connection, writes: Sequence[PlayerWrites]) -> None:
    leaving = [w.player_id for w in writes if w.release]
    if leaving:
        await connection.execute(_RELEASE, integers(leaving))
