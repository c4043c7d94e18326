"""Boards: who is on which rank, in a snapshot and for good."""

from typing import Any

import pytest

from persistence.errors import Rejected
from persistence.postgres import Database
from tests.fakes.database_probe import rows
from tests.fakes.schema_breaker import people, reconciliation, script

AT = "'2026-01-07 12:00Z'"  #: a Wednesday
RANKS = (
    "SELECT e.rank, e.player_id, e.score, e.previous_rank FROM leaderboard_entries AS e"
    " JOIN leaderboards AS l ON l.id = e.leaderboard_id"
    " WHERE l.board = $1::text::board_kind AND l.period = $2::text::board_period AND l.period_start = $3::text::date"
    " ORDER BY e.rank"
)


async def ranks(database: Database, board: str, period: str, first_day: str) -> list[tuple[Any, ...]]:
    """(rank, player, score, rank before)."""
    return await rows(database, RANKS, board, period, first_day)


def stats(*played: tuple[int, str, int, str]) -> str:
    """A statement that writes taps: (player, day, taps, when that was reached)."""
    values = ", ".join(f"({player}, '{day}', {taps}, {taps}, {taps}, '{at}Z')" for player, day, taps, at in played)
    return f"INSERT INTO player_daily_stats (player_id, day, taps, earned_mpt, xp, reached_at) VALUES {values}"


@pytest.fixture
async def database(database: Database) -> Database:
    """A database with six players who have tapped on that Wednesday; 4 and 5 as much, 5 earlier; 6 not at all."""
    assert await people(database, 6) == [1, 2, 3, 4, 5, 6]
    await script(
        database,
        stats(
            (1, "2026-01-07", 10, "2026-01-07 09:00"),
            (2, "2026-01-07", 30, "2026-01-07 11:00"),
            (3, "2026-01-07", 20, "2026-01-07 10:00"),
            (4, "2026-01-07", 20, "2026-01-07 10:00"),
            (5, "2026-01-07", 20, "2026-01-07 08:00"),
            (6, "2026-01-07", 0, "2026-01-07 08:00"),
        ),
    )
    return database


async def test_ranks_by_score_then_who_was_first_then_id(database: Database) -> None:
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    order = [(1, 2, 30, None), (2, 5, 20, None), (3, 3, 20, None), (4, 4, 20, None), (5, 1, 10, None)]
    for board in ("taps", "tokens", "xp"):
        assert await ranks(database, board, "day", "2026-01-07") == order
    assert await ranks(database, "taps", "week", "2026-01-05") == order
    assert await ranks(database, "taps", "month", "2026-01-01") == order
    assert await reconciliation(database) == []


async def test_every_board_has_its_running_periods(database: Database) -> None:
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    boards = "SELECT period::text, period_start::text, count(*) FROM leaderboards GROUP BY 1, 2 ORDER BY 1"
    assert await rows(database, boards) == [
        ("all", "1970-01-01", 7),
        ("day", "2026-01-07", 7),
        ("month", "2026-01-01", 7),
        ("week", "2026-01-05", 7),
    ]
    assert await rows(
        database, "SELECT count(*) FROM leaderboards WHERE snapshot_at IS NULL OR frozen_at IS NOT NULL"
    ) == [(0,)]


async def test_the_rank_before_is_that_of_the_last_snapshot(database: Database) -> None:
    await script(database, "DELETE FROM player_daily_stats WHERE player_id = 4")
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    await script(database, stats((4, "2026-01-07", 99, "2026-01-07 12:05")))
    await script(database, "UPDATE player_daily_stats SET taps = 25 WHERE player_id = 3")
    await rows(database, f"SELECT snapshot_leaderboards({AT}::timestamptz + interval '10 minutes')")
    assert await ranks(database, "taps", "day", "2026-01-07") == [
        (1, 4, 99, None),
        (2, 2, 30, 1),
        (3, 3, 25, 3),
        (4, 5, 20, 2),
        (5, 1, 10, 4),
    ]
    change = "SELECT name, change FROM current_standings WHERE board = 'taps' AND period = 'day' ORDER BY rank"
    assert await rows(database, change) == [("p4", None), ("p2", -1), ("p3", 0), ("p5", -2), ("p1", -1)]


@pytest.mark.parametrize(
    "hidden",
    [
        "shadow_limited_at = now()",
        "banned_until = 'infinity', ban_reason = 'spam'",
        "erased_at = now()",
    ],
)
async def test_who_is_not_shown_leaves_no_gap(database: Database, hidden: str) -> None:
    await script(database, f"UPDATE players SET {hidden} WHERE id = 2")
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    assert [(rank, player) for rank, player, _, _ in await ranks(database, "taps", "day", "2026-01-07")] == [
        (1, 5),
        (2, 3),
        (3, 4),
        (4, 1),
    ]


async def test_a_ban_that_is_over_hides_nobody(database: Database) -> None:
    await script(database, "UPDATE players SET banned_until = '2026-01-07 11:59Z', ban_reason = 'spam' WHERE id = 2")
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    assert (await ranks(database, "taps", "day", "2026-01-07"))[0][:2] == (1, 2)


async def test_a_period_counts_its_own_days(database: Database) -> None:
    await script(
        database,
        stats(
            (1, "2026-01-05", 100, "2026-01-05 10:00"),  # Monday
            (1, "2026-01-04", 1_000, "2026-01-04 10:00"),  # Sunday before
            (3, "2025-12-31", 9_000, "2025-12-31 10:00"),
        ),
    )
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    assert (await ranks(database, "taps", "week", "2026-01-05"))[0] == (1, 1, 110, None)
    assert (await ranks(database, "taps", "month", "2026-01-01"))[0] == (1, 1, 1_110, None)
    assert (await ranks(database, "taps", "day", "2026-01-07"))[0] == (1, 2, 30, None)


async def test_boards_of_all_time_and_of_what_is_derived(database: Database) -> None:
    await script(
        database,
        "UPDATE players SET taps = 50, xp = 40, lifetime_mpt = 7, streak_days = 3, last_tap_at = now() WHERE id = 6;"
        "INSERT INTO player_influence VALUES (6, 2, 0, 90, 3, now())",
    )
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    for board, score in (("taps", 50), ("xp", 40), ("tokens", 7), ("streak", 3), ("influence", 90), ("supporters", 3)):
        assert await ranks(database, board, "all", "epoch") == [(1, 6, score, None)]
    assert await ranks(database, "streak", "day", "2026-01-07") == [(1, 6, 3, None)]


async def test_communities_by_what_they_gained_in_the_period(database: Database) -> None:
    await script(
        database,
        "INSERT INTO communities (name, power, closed_at) VALUES ('Lamps', 500, NULL), ('Bells', 300,"
        " NULL), ('Gone', 900, now());"
        "INSERT INTO community_members (community_id, player_id, role, joined_at) VALUES (1, 1, 'owner',"
        " now()), (2, 2, 'owner', now());"
        "INSERT INTO community_daily_power VALUES (1, '2026-01-03', 450), (1, '2026-01-06', 490), (2,"
        " '2025-11-30', 10)",
    )
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    gained = (
        "SELECT l.period::text, array_agg(array[e.community_id, e.score] ORDER BY e.rank) FROM leaderboard_entries AS e"
        " JOIN leaderboards AS l ON l.id = e.leaderboard_id WHERE l.board = 'community_power' GROUP BY 1 ORDER BY 1"
    )
    assert await rows(database, gained) == [
        ("all", [[1, 500], [2, 300]]),
        ("day", [[2, 290], [1, 10]]),
        ("month", [[1, 500], [2, 290]]),
        ("week", [[2, 290], [1, 50]]),
    ]


async def test_a_closed_period_is_final(database: Database) -> None:
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    await script(database, "UPDATE player_daily_stats SET taps = 40 WHERE player_id = 1")
    close = "SELECT close_leaderboard_period('day', '2026-01-07', '2026-01-08 00:01Z')"
    assert [entered > 0 for (entered,) in await rows(database, close)] == [True]
    final = await ranks(database, "taps", "day", "2026-01-07")
    assert final[0] == (1, 1, 40, 5)
    await script(database, "UPDATE player_daily_stats SET taps = 1000 WHERE player_id = 3")
    assert await rows(database, close) == [(0,)]
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    assert await ranks(database, "taps", "day", "2026-01-07") == final
    with pytest.raises(Rejected) as caught:
        await rows(
            database,
            "SELECT snapshot_leaderboard(id, now(), NULL) FROM leaderboards WHERE frozen_at IS NOT NULL LIMIT 1",
        )
    assert caught.value.constraint in {"leaderboard_entries_frozen", "leaderboards_frozen"}


async def test_a_period_that_nobody_looked_at_is_closed_too_and_all_time_never(database: Database) -> None:
    await rows(database, "SELECT close_leaderboard_period('week', '2026-01-05', '2026-01-12 00:01Z')")
    assert [row[:2] for row in await ranks(database, "taps", "week", "2026-01-05")] == [
        (1, 2),
        (2, 5),
        (3, 3),
        (4, 4),
        (5, 1),
    ]
    with pytest.raises(Rejected) as caught:
        await rows(database, "SELECT close_leaderboard_period('all', 'epoch', now())")
    assert caught.value.constraint == "leaderboards_frozen_check"


async def test_a_snapshot_shows_a_thousand_and_a_closed_period_everybody(database: Database) -> None:
    await people(database, 1_100)
    await script(
        database,
        "INSERT INTO player_daily_stats (player_id, day, taps, reached_at)"
        " SELECT id, '2026-01-07', 1, '2026-01-07 10:00Z' FROM players WHERE id > 6",
    )
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    assert len(await ranks(database, "taps", "day", "2026-01-07")) == 1_000
    await rows(database, "SELECT close_leaderboard_period('day', '2026-01-07', '2026-01-08 00:01Z')")
    assert len(await ranks(database, "taps", "day", "2026-01-07")) == 1_105
    assert await rows(database, "SELECT count(*) FROM current_standings WHERE period = 'day' AND board = 'taps'") == [
        (0,)
    ]


@pytest.mark.parametrize("audience", ["friends", "nobody"])
async def test_boards_are_for_everyone_so_only_who_shows_the_rank_to_everyone_is_on_them(
    database: Database, audience: str
) -> None:
    await script(
        database,
        f"INSERT INTO player_settings (player_id, rank_audience) VALUES (2, '{audience}'), (3, 'everyone');"
        " UPDATE players SET taps = id, xp = id, streak_days = id;"
        " INSERT INTO player_influence SELECT id, 0, 0, id, id, now() FROM players",
    )
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    assert [player for _, player, _, _ in await ranks(database, "taps", "day", "2026-01-07")] == [5, 3, 4, 1]
    for board in ("taps", "xp", "streak", "influence", "supporters"):
        assert [player for _, player, _, _ in await ranks(database, board, "all", "1970-01-01")] == [6, 5, 4, 3, 1]
    assert await reconciliation(database) == []
    await script(database, "UPDATE player_settings SET rank_audience = 'everyone'")
    await rows(database, f"SELECT snapshot_leaderboards({AT})")
    assert (await ranks(database, "taps", "day", "2026-01-07"))[0] == (1, 2, 30, None)
