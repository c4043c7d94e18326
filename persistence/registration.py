"""Registration: new players with the next numbers, their generation, and who invited them.

It is serialised by an advisory lock, so that a registration that fails leaves no gap and two at once get two numbers.
Which number ends a generation is decided by the database when the generation's first player comes (game rules,
"Generations"); the invitation is written in the transaction that makes the player, or never ("Referrals").
"""

from collections.abc import Sequence
from dataclasses import dataclass

from persistence.postgres import Connection, Row

#: advisory lock of everyone who hands out `join_seq`
REGISTRATION_LOCK = 0x7070_6A5F_6A6F_696E  # "ppj_join"

_LOCK = "SELECT pg_advisory_xact_lock($1)"
_NEXT = """
    SELECT last.join_seq, g.generation, g.threshold
    FROM (SELECT coalesce(max(join_seq), 0) AS join_seq FROM players) AS last,
        generation_of_next(last.join_seq + 1) AS g
"""
_REGISTER = """
    INSERT INTO players
        (telegram_id, dev_name, display_name, premium, join_seq, generation, created_at, energy_at, bucket_at)
    SELECT new.telegram_id, new.dev_name, new.display_name, new.premium, $5::bigint + new.position, $6,
        time_from_ms($7), time_from_ms($7), time_from_ms($7)
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[])
        WITH ORDINALITY AS new (telegram_id, dev_name, display_name, premium, position)
    ORDER BY new.position
    RETURNING id, public_id, display_name
"""
# An inviter was there before: whoever names the code of a player to come, or their own, names nobody.
_INVITED = """
    INSERT INTO referrals (player_id, inviter_id, premium, joined_at)
    SELECT new.player_id, inviter.id, new.premium, time_from_ms($4)
    FROM unnest($1::bigint[], $2::text[], $3::boolean[]) AS new (player_id, code, premium)
    JOIN players AS inviter ON inviter.referral_code = new.code
    WHERE inviter.id < new.player_id AND inviter.erased_at IS NULL
        AND (inviter.banned_until IS NULL OR inviter.banned_until <= time_from_ms($4))
"""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who logs in and may not be registered yet; known to Telegram or, in dev, by a name."""

    display_name: str  #: for a new player; a known one keeps its name
    telegram_id: int | None = None
    dev_name: str | None = None  #: 1 … 64 characters
    premium: bool | None = None  #: whether they have Telegram Premium now; None: this way of logging in does not tell
    invited_by: str = ""  #: the referral code they came with; one that is nobody's is as good as none


async def lock_registration(connection: Connection) -> None:
    """Asyncio-flavoured: be the only one who registers players, to the end of the transaction."""
    await connection.execute(_LOCK, REGISTRATION_LOCK)


async def register_players(connection: Connection, newcomers: Sequence[Newcomer], *, now_ms: int) -> Sequence[Row]:
    """Asyncio-flavoured: insert new players with the next numbers; the transaction has called `lock_registration`.

    Args:
        connection: in a transaction.
        newcomers: who are not registered, in the order of their numbers.
        now_ms: the present.

    Returns:
        `id, public_id, display_name` of each.
    """
    registered: list[Row] = []
    while waiting := newcomers[len(registered) :]:
        [(last, generation, threshold)] = await connection.fetch(_NEXT)
        joining = waiting[: threshold - last]
        rows = await connection.fetch(
            _REGISTER,
            [newcomer.telegram_id for newcomer in joining],
            [newcomer.dev_name for newcomer in joining],
            [newcomer.display_name for newcomer in joining],
            [newcomer.premium or False for newcomer in joining],
            *(last, generation, now_ms),
        )
        registered += rows
        invited = [(row[0], one.invited_by, one.premium or False) for row, one in zip(rows, joining, strict=True)]
        invited = [(player_id, code, premium) for player_id, code, premium in invited if code]
        if invited:
            await connection.execute(_INVITED, *map(list, zip(*invited, strict=True)), now_ms)
    return registered
