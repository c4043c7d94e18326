"""What taps told of who taps, kept from one activation to the next; and what follows when it is too much.

`player_signals` is the actor's, as its other rows are. A suspicion is judged by the database (`suspect`, revision
0010): whether a limit stands already, or an operator has lifted one lately, is asked in the transaction that would set
it, so no node has to hear of what operators decide.
"""

from collections.abc import Sequence

import msgspec

from hotpath.tap_signals import COUNTER_NAMES
from persistence.array_literals import integers, texts
from persistence.postgres import Connection
from persistence.records import KeptSignals, Suspected

#: Counters that are times; the others have columns of their own names.
_TIMES = {"last_batch_ms": "last_batch_at", "awake_since_ms": "awake_since", "hour_ends_ms": "hour_ends_at"}
_COLUMNS = [_TIMES.get(name, name) for name in COUNTER_NAMES]
_READ = [f"ms_from_time({_TIMES[name]})" if name in _TIMES else name for name in COUNTER_NAMES]
_WRITE = [f"time_from_ms(w.{name})" if name in _TIMES else f"w.{name}" for name in COUNTER_NAMES]
_ARRAYS = [f"${number}::text::bigint[]" for number in range(6, 6 + len(COUNTER_NAMES))]

_SELECT = f"""
    SELECT player_id, score, signs::text, over_limit, ms_from_time(kept_at), {", ".join(_READ)}
    FROM player_signals WHERE player_id = ANY ($1::bigint[])
"""  # noqa: S608 - a constant
_KEEP = f"""
    INSERT INTO player_signals (player_id, score, signs, over_limit, kept_at, {", ".join(_COLUMNS)})
    SELECT w.player_id, w.score, w.signs::jsonb, w.over_limit <> 0, time_from_ms(w.kept_ms), {", ".join(_WRITE)}
    FROM unnest(
        $1::text::bigint[], $2::text::bigint[], $3::text::text[], $4::text::bigint[], $5::text::bigint[],
        {", ".join(_ARRAYS)}
    ) AS w (player_id, score, signs, over_limit, kept_ms, {", ".join(COUNTER_NAMES)})
    ON CONFLICT (player_id) DO UPDATE
    SET score = excluded.score, signs = excluded.signs, over_limit = excluded.over_limit, kept_at = excluded.kept_at,
        {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)}
"""  # noqa: S608 - a constant
_SUSPECT = """
    SELECT suspect(w.player_id, w.score::integer, w.signs::jsonb, NULL, NULL, time_from_ms(w.at_ms))
    FROM unnest($1::text::bigint[], $2::text::bigint[], $3::text::text[], $4::text::bigint[])
        WITH ORDINALITY AS w (player_id, score, signs, at_ms, position)
    ORDER BY w.player_id, w.position
"""


async def read_signals(connection: Connection, player_ids: Sequence[int]) -> dict[int, KeptSignals]:
    """Asyncio-flavoured: what is kept of these players, by id."""
    rows = await connection.fetch(_SELECT, player_ids)
    return {
        player_id: KeptSignals(tuple(counters), score, msgspec.json.decode(signs), over_limit, kept_ms)
        for player_id, score, signs, over_limit, kept_ms, *counters in rows
    }


async def keep_signals(connection: Connection, kept: Sequence[tuple[int, KeptSignals]]) -> None:
    """Asyncio-flavoured, in a flush: write what is to be kept, by player id; the last of a player counts."""
    latest = list(dict(kept).items())
    await connection.execute(
        _KEEP,
        integers([player_id for player_id, _ in latest]),
        integers([signals.score for _, signals in latest]),
        texts([_json(signals.signs) for _, signals in latest]),
        integers([int(signals.over_limit) for _, signals in latest]),
        integers([signals.kept_ms for _, signals in latest]),
        *[integers(column) for column in zip(*[signals.counters for _, signals in latest], strict=True)],
    )


async def suspect(connection: Connection, suspected: Sequence[tuple[int, Suspected]]) -> None:
    """Asyncio-flavoured, in a flush: these players, by id, are over the threshold."""
    await connection.execute(
        _SUSPECT,
        integers([player_id for player_id, _ in suspected]),
        integers([suspicion.score for _, suspicion in suspected]),
        texts([_json(suspicion.signs) for _, suspicion in suspected]),
        integers([suspicion.at_ms for _, suspicion in suspected]),
    )


def _json(signs: dict[str, int]) -> str:
    return msgspec.json.encode(signs).decode()
