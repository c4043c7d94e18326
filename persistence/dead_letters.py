"""What the database refused for good: kept whole in `write_dead_letters`, to be judged and perhaps written after all.

A flush is judged player by player (write-behind halves what is refused), for no transaction touches two players: what
one owes another is a row of `player_grants` in the first one's own writes. So a letter holds the writes of one player.

The player itself goes on from what the database holds, and its client sends again what was never durable. So a letter
may be written later only if nothing of the player has been written since: then it is as if it had just been accepted,
cursors included, and no client's repeat counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from hotpath.player_state import COLUMN_NAMES
from persistence.errors import Rejected, SetupFailed
from persistence.flush_transaction import write_by_steps
from persistence.postgres import Connection, Database
from persistence.records import DailyLimits, GrantGiven, KeptSignals, LedgerPosting, PlayerWrites, Suspected

MAX_ERROR_CHARS = 4_000

_BURY = """
    INSERT INTO write_dead_letters (node_run, batch, player_ids, writes, sqlstate, constraint_name, error)
    SELECT $1, $2, ARRAY[$3::bigint], $4::text::jsonb, $5, $6, $7
    WHERE NOT EXISTS (SELECT FROM write_dead_letters WHERE node_run = $1 AND batch = $2)
"""
_LIST = """
    SELECT l.id, l.refused_at, l.state::text, l.sqlstate, l.constraint_name, l.error, p.public_id, l.player_ids[1]
    FROM write_dead_letters AS l LEFT JOIN players AS p ON p.id = l.player_ids[1]
"""
_CLAIM = """
    UPDATE players SET owner_epoch = owner_epoch + 1, owner_node = NULL
    WHERE id = $1 AND erased_at IS NULL AND updated_at <= $2
    RETURNING owner_epoch
"""
_CLOSE = """
    UPDATE write_dead_letters SET state = $2::text::dead_letter_state, closed_at = now()
    WHERE id = $1 AND state = 'open'
"""


class StoredAnswer(msgspec.Struct, frozen=True):
    """The answer of a hard operation, as it is stored."""

    lineage: bytes
    seq: int
    encoded: bytes


class Content(msgspec.Struct, frozen=True):
    """One player's writes, as a letter holds them."""

    owner_epoch: int
    columns: dict[str, int]
    minted_mpt: int
    burned_mpt: int
    cursors: dict[str, int]  #: lineage in hex → seq
    postings: list[LedgerPosting]
    applied_grants: list[int]
    release: bool
    answers: list[StoredAnswer]
    given: list[GrantGiven]
    limits: list[DailyLimits]
    # letters of older servers have none
    signals: list[KeptSignals] = []
    suspected: list[Suspected] = []


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What an operator sees of a letter."""

    id: int
    refused_at: datetime
    state: str  #: open, retried, discarded
    sqlstate: str
    constraint: str
    error: str  #: PostgreSQL's own words
    player: UUID | None  #: public id
    player_id: int


async def bury(connection: Connection, node_run: UUID, batch: int, writes: PlayerWrites, error: Exception) -> None:
    """Asyncio-flavoured, in a transaction: keep what was refused; a letter that is there already stays as it is.

    Args:
        connection: where.
        node_run: this start of the node.
        batch: under which it was refused.
        writes: of one player.
        error: why.
    """
    sqlstate, constraint = (error.sqlstate, error.constraint) if isinstance(error, Rejected) else ("", "")
    content = msgspec.json.encode({str(writes.player_id): _content_of(writes)}).decode()
    text = (str(error) or repr(error))[:MAX_ERROR_CHARS]
    await connection.execute(_BURY, node_run, batch, writes.player_id, content, sqlstate, constraint, text)


async def list_letters(database: Database, *, everything: bool, limit: int) -> Sequence[DeadLetter]:
    """The letters that are open, or all that are there; the latest first."""
    condition = "" if everything else "WHERE l.state = 'open'"

    async def read(connection: Connection) -> Sequence[DeadLetter]:
        rows = await connection.fetch(f"{_LIST} {condition} ORDER BY l.id DESC LIMIT $1", limit)
        return [DeadLetter(*row) for row in rows]

    return await database.run(read)


async def show_letter(database: Database, letter_id: int) -> tuple[DeadLetter, dict[str, Any]]:
    """A letter and what it holds, by player id.

    Raises:
        SetupFailed: there is no such letter.
    """

    async def read(connection: Connection) -> tuple[DeadLetter, dict[str, Any]]:
        row = await connection.fetchrow(f"{_LIST} WHERE l.id = $1", letter_id)
        if row is None:
            raise SetupFailed(f"There is no dead letter {letter_id}; `dead-letters list --all` shows which there are.")
        content = await connection.fetchval("SELECT writes::text FROM write_dead_letters WHERE id = $1", letter_id)
        return DeadLetter(*row), msgspec.json.decode(content)

    return await database.run(read)


async def retry_letter(database: Database, letter_id: int) -> None:
    """Write a letter after all; whoever has the player in memory loses it and loads the truth.

    Raises:
        SetupFailed: it is not open, or the player has gone on since.
        Rejected: it is refused again; nothing has changed.
    """
    await database.transaction(_retry, letter_id)


async def discard_letter(database: Database, letter_id: int) -> None:
    """Close a letter unwritten.

    Raises:
        SetupFailed: it is not open.
    """

    async def close(connection: Connection) -> None:
        if await connection.execute(_CLOSE, letter_id, "discarded") != "UPDATE 1":
            raise _not_open(letter_id)

    await database.transaction(close)


async def _retry(connection: Connection, letter_id: int) -> None:
    row = await connection.fetchrow(
        "SELECT refused_at, writes::text FROM write_dead_letters WHERE id = $1 AND state = 'open' FOR UPDATE", letter_id
    )
    if row is None:
        raise _not_open(letter_id)
    refused_at, text = row
    [(player_id, content)] = msgspec.json.decode(text, type=dict[str, Content]).items()
    epoch = await connection.fetchval(_CLAIM, int(player_id), refused_at)
    if epoch is None:
        raise SetupFailed(
            f"The player of dead letter {letter_id} has gone on since it was refused, and the client has sent again "
            "what was not durable; compare by `dead-letters show`, make good by a grant, and discard it."
        )
    await write_by_steps(connection, uuid4(), 1, [_writes_of(int(player_id), epoch, content)])
    await connection.execute(_CLOSE, letter_id, "retried")


def _not_open(letter_id: int) -> SetupFailed:
    return SetupFailed(f"There is no open dead letter {letter_id}; `dead-letters list` shows which there are.")


def _content_of(writes: PlayerWrites) -> Content:
    return Content(
        owner_epoch=writes.owner_epoch,
        columns=dict(zip(COLUMN_NAMES, writes.columns, strict=True)),
        minted_mpt=writes.minted_mpt,
        burned_mpt=writes.burned_mpt,
        cursors={lineage.hex(): seq for lineage, seq in writes.cursors.items()},
        postings=list(writes.postings),
        applied_grants=list(writes.applied_grants),
        release=writes.release,
        answers=[StoredAnswer(answer.lineage, answer.seq, answer.encoded) for answer in writes.answers],
        given=[effect for effect in writes.effects if isinstance(effect, GrantGiven)],
        limits=[effect for effect in writes.effects if isinstance(effect, DailyLimits)],
        signals=[effect for effect in writes.effects if isinstance(effect, KeptSignals)],
        suspected=[effect for effect in writes.effects if isinstance(effect, Suspected)],
    )


def _writes_of(player_id: int, owner_epoch: int, content: Content) -> PlayerWrites:
    return PlayerWrites(
        player_id,
        owner_epoch,
        tuple(content.columns[name] for name in COLUMN_NAMES),
        content.minted_mpt,
        content.burned_mpt,
        {bytes.fromhex(lineage): seq for lineage, seq in content.cursors.items()},
        tuple(content.postings),
        tuple(content.applied_grants),
        content.release,
        tuple(content.answers),
        (*content.given, *content.limits, *content.signals, *content.suspected),
    )
