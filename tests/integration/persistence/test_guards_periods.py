"""Leaderboards and competitions: what is frozen is frozen, and no step is skipped or taken back."""

import pytest

from persistence.errors import Duplicate
from persistence.postgres import Database
from tests.fakes.database_probe import rows
from tests.fakes.schema_breaker import people, reconciliation, refusal, refusal_by_trigger, script

# ---- leaderboards


@pytest.fixture
async def boards(database: Database) -> Database:
    """Board 1 frozen with players 1 and 2 on it, board 2 open and empty; player 3 is on none."""
    assert await people(database, 3) == [1, 2, 3]
    await script(
        database,
        "INSERT INTO leaderboards (board, period, period_start, snapshot_at)"
        " VALUES ('taps', 'day', '2026-01-01', now()), ('taps', 'day', '2026-01-02', now());"
        "INSERT INTO leaderboard_entries (leaderboard_id, rank, player_id, score, reached_at)"
        " VALUES (1, 1, 1, 10, now()), (1, 2, 2, 5, now());"
        "UPDATE leaderboards SET frozen_at = now() WHERE id = 1",
    )
    return database


@pytest.mark.parametrize(
    ("trigger", "change"),
    [
        ("leaderboard_entries_frozen_insert", "INSERT INTO leaderboard_entries VALUES (1, 3, 3, NULL, 1, now())"),
        ("leaderboard_entries_frozen_update", "UPDATE leaderboard_entries SET leaderboard_id = 2"),
        ("leaderboard_entries_frozen_delete", "DELETE FROM leaderboard_entries WHERE rank = 2"),
    ],
)
async def test_the_entries_of_a_frozen_board(boards: Database, trigger: str, change: str) -> None:
    before = await rows(boards, "SELECT * FROM leaderboard_entries ORDER BY rank")
    assert (await refusal_by_trigger(boards, trigger, change)).constraint == "leaderboard_entries_frozen"
    assert await rows(boards, "SELECT * FROM leaderboard_entries ORDER BY rank") == before


async def test_a_score_on_a_frozen_board(boards: Database) -> None:
    refused = await refusal(boards, "UPDATE leaderboard_entries SET score = 11 WHERE rank = 1")
    assert refused.constraint == "leaderboard_entries_frozen"
    assert await rows(boards, "SELECT score FROM leaderboard_entries ORDER BY rank") == [(10,), (5,)]


async def test_entries_moved_into_a_frozen_board(boards: Database) -> None:
    await script(boards, "INSERT INTO leaderboard_entries VALUES (2, 9, 3, NULL, 100, now())")
    move = "UPDATE leaderboard_entries SET leaderboard_id = 1 WHERE leaderboard_id = 2"
    refused = await refusal_by_trigger(boards, "leaderboard_entries_frozen_move", move)
    assert refused.constraint == "leaderboard_entries_frozen"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE leaderboards SET frozen_at = NULL WHERE id = 1",
        "UPDATE leaderboards SET snapshot_at = now() + interval '1 day' WHERE id = 1",
        "UPDATE leaderboards SET period_start = '2025-01-01' WHERE id = 1",
        "DELETE FROM leaderboards WHERE id = 1",
    ],
)
async def test_a_frozen_board_stays(boards: Database, change: str) -> None:
    if change.startswith("DELETE"):
        assert (await refusal(boards, change)).constraint == "leaderboards_frozen"
    else:
        assert (await refusal_by_trigger(boards, "leaderboards_frozen", change)).constraint == "leaderboards_frozen"
    assert await rows(boards, "SELECT count(*) FROM leaderboard_entries") == [(2,)]


async def test_a_board_that_was_frozen_long_ago_may_go_with_its_entries(database: Database) -> None:
    await people(database, 1)
    await script(
        database,
        "INSERT INTO leaderboards (board, period, period_start, snapshot_at) VALUES ('taps', 'day',"
        " '2020-01-01', now());"
        "INSERT INTO leaderboard_entries VALUES (1, 1, 1, NULL, 10, now());"
        "UPDATE leaderboards SET frozen_at = now() - interval '367 days'",
    )
    await script(database, "DELETE FROM leaderboards")
    assert await rows(database, "SELECT count(*) FROM leaderboard_entries") == [(0,)]


@pytest.mark.parametrize(
    ("board", "constraint"),
    [
        ("'xp', 'week', '2026-01-01', NULL, NULL", "leaderboards_period_start_check"),
        ("'xp', 'month', '2026-01-02', NULL, NULL", "leaderboards_period_start_check"),
        ("'xp', 'all', '2026-01-01', NULL, NULL", "leaderboards_period_start_check"),
        ("'xp', 'all', 'epoch', now(), now()", "leaderboards_frozen_check"),
        ("'xp', 'day', '2026-01-01', NULL, now()", "leaderboards_frozen_check"),
        ("'taps', 'day', '2026-01-01', NULL, NULL", "leaderboards_period_key"),
    ],
)
async def test_boards_that_cannot_be(boards: Database, board: str, constraint: str) -> None:
    insert = f"INSERT INTO leaderboards (board, period, period_start, snapshot_at, frozen_at) VALUES ({board})"
    assert (await refusal(boards, insert)).constraint == constraint


async def test_ranks_and_players_are_on_a_board_once(boards: Database) -> None:
    await script(boards, "INSERT INTO leaderboard_entries VALUES (2, 1, 1, NULL, 100, now())")
    for row, constraint in (
        ("2, 1, 2, NULL, 100, now()", "leaderboard_entries_pkey"),
        ("2, 2, 1, NULL, 100, now()", "leaderboard_entries_player_key"),
        ("2, 2, NULL, NULL, 100, now()", "leaderboard_entries_who_check"),
    ):
        assert (await refusal(boards, f"INSERT INTO leaderboard_entries VALUES ({row})")).constraint == constraint
    await script(boards, "UPDATE leaderboard_entries SET rank = 3 WHERE leaderboard_id = 2")
    assert await reconciliation(boards) == [("leaderboard 2", "1", "3")]


# ---- competitions

STATES = ("scheduled", "open", "running", "frozen", "settled", "cancelled")
STEPS = {
    ("scheduled", "open"),
    ("open", "running"),
    ("running", "frozen"),
    ("frozen", "settled"),
    ("scheduled", "cancelled"),
    ("open", "cancelled"),
    ("running", "cancelled"),
}


def in_state(state: str) -> str:
    """What the times of a competition in this state are, as assignments."""
    frozen = "now()" if state in ("frozen", "settled") else "NULL"
    settled = "now()" if state in ("settled", "cancelled") else "NULL"
    return f"state = '{state}', frozen_at = {frozen}, settled_at = {settled}"


async def competition(database: Database, state: str) -> None:
    """Competition 1, over since an hour, with players 1 and 2 in it, brought to a state step by step."""
    assert await people(database, 3) == [1, 2, 3]
    await script(
        database,
        "INSERT INTO competitions (title, entry_fee_mpt, bonus_mpt, opens_at, starts_at, ends_at) VALUES"
        " ('Sprint', 1000, 0, now() - interval '3 hours', now() - interval '2 hours', now() - interval '1 hour')",
    )
    path = STATES[1 : STATES.index(state) + 1] if state != "cancelled" else ("cancelled",)
    enter = (
        "INSERT INTO player_competitions (competition_id, player_id, fee_mpt, score, entered_at, reached_at)"
        " VALUES (1, 1, 1000, 50, now(), now()), (1, 2, 1000, 40, now(), now())"
    )
    await script(database, enter)
    for step in path:
        await script(database, f"UPDATE competitions SET {in_state(step)}")


@pytest.mark.parametrize("old", STATES)
async def test_no_step_of_a_competition_is_skipped_or_taken_back(database: Database, old: str) -> None:
    await competition(database, old)
    for new in STATES:
        change = f"UPDATE competitions SET {in_state(new)}"
        if (old, new) not in STEPS and old != new:
            refused = await refusal_by_trigger(database, "competitions_state_machine", change)
            assert refused.constraint == "competitions_state_machine"
    assert await rows(database, "SELECT state::text FROM competitions") == [(old,)]


@pytest.mark.parametrize(
    "term", ["entry_fee_mpt = 1", "bonus_mpt = 1", "starts_at = starts_at - interval '1 s'", "ends_at = now()"]
)
async def test_the_terms_of_a_competition_are_fixed_when_it_opens(database: Database, term: str) -> None:
    await competition(database, "scheduled")
    await script(database, f"UPDATE competitions SET {term}")
    await script(database, "UPDATE competitions SET state = 'open'")
    further = term.replace("= 1", "= 2").replace("1 s", "2 s").replace("now()", "now() + interval '1 h'")
    refused = await refusal_by_trigger(database, "competitions_state_machine", f"UPDATE competitions SET {further}")
    assert refused.constraint == "competitions_terms_fixed"


@pytest.mark.parametrize("state", ["frozen", "settled", "cancelled"])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE player_competitions SET score = score + 1 WHERE player_id = 2",
        "UPDATE player_competitions SET reached_at = reached_at - interval '1 s'",
        "UPDATE player_competitions SET fee_mpt = 0",
        (
            "INSERT INTO player_competitions (competition_id, player_id, fee_mpt, entered_at, reached_at)"
            " VALUES (1, 3, 1000, now(), now())"
        ),
        "DELETE FROM player_competitions WHERE player_id = 2",
    ],
)
async def test_the_entries_of_a_competition_that_is_over(database: Database, state: str, change: str) -> None:
    await competition(database, state)
    before = await rows(database, "SELECT * FROM player_competitions ORDER BY player_id")
    refused = await refusal_by_trigger(database, "player_competitions_frozen", change)
    assert refused.constraint == "player_competitions_frozen"
    assert await rows(database, "SELECT * FROM player_competitions ORDER BY player_id") == before


async def test_the_entries_of_a_competition_that_is_running(database: Database) -> None:
    await competition(database, "running")
    await script(database, "UPDATE player_competitions SET score = 60 WHERE player_id = 2")
    await script(database, "DELETE FROM player_competitions WHERE player_id = 1")
    assert await rows(database, "SELECT player_id, score FROM player_competitions") == [(2, 60)]


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("UPDATE player_competitions SET refund_mpt = 500", "player_competitions_refund_check"),
        ("UPDATE player_competitions SET refund_mpt = 1000, prize_mpt = 1", "player_competitions_refund_check"),
        ("UPDATE player_competitions SET prize_mpt = 9000000000000000", "player_competitions_prize_check"),
        ("UPDATE player_competitions SET place = 1", "player_competitions_place_key"),
        ("INSERT INTO player_competitions VALUES (1, 1, 0, 0, now(), now())", "player_competitions_pkey"),
        ("UPDATE competitions SET ends_at = starts_at", "competitions_times_check"),
        ("UPDATE competitions SET frozen_at = now()", "competitions_frozen_check"),
        ("UPDATE competitions SET settled_at = now()", "competitions_settled_check"),
        ("DELETE FROM competitions", "player_competitions_competition_id_fkey"),
    ],
)
async def test_competitions_that_cannot_be(database: Database, change: str, constraint: str) -> None:
    await competition(database, "scheduled")
    assert (await refusal(database, change)).constraint == constraint


async def test_a_competition_is_not_frozen_before_its_end(database: Database) -> None:
    await competition(database, "running")
    early = "UPDATE competitions SET state = 'frozen', frozen_at = ends_at - interval '1 ms'"
    assert (await refusal(database, early)).constraint == "competitions_frozen_at_check"


async def test_a_late_score_belongs_to_one_place(database: Database) -> None:
    await competition(database, "settled")
    note = "INSERT INTO late_scores (player_id, competition_id, leaderboard_id, score, received_at) VALUES "
    await script(database, note + "(1, 1, NULL, 70, now())")
    assert (await refusal(database, note + "(1, NULL, NULL, 70, now())")).constraint == "late_scores_where_check"


@pytest.mark.parametrize(
    ("trigger", "table", "change"),
    [
        ("competitions_updated_at", "competitions", "title = 'Marathon'"),
        ("communities_updated_at", "communities", "description = 'all of us'"),
        ("player_sessions_updated_at", "player_sessions", "client = 'other'"),
    ],
)
async def test_nobody_else_says_when_a_row_was_changed(
    database: Database, trigger: str, table: str, change: str
) -> None:
    await competition(database, "scheduled")
    await script(
        database,
        "INSERT INTO communities (name, closed_at) VALUES ('The Lamps', now());"
        "INSERT INTO player_sessions (id, player_id, refresh_hash, client, created_at, expires_at)"
        " VALUES (gen_random_uuid(), 1, sha256('x'), 'web', now(), 'infinity')",
    )
    assert await rows(database, "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = $1", trigger) == [
        (table,)
    ]
    before = await rows(database, f"SELECT updated_at FROM {table}")
    await script(database, f"UPDATE {table} SET {change}, updated_at = 'epoch'")
    [(after,)] = await rows(database, f"SELECT updated_at FROM {table}")
    assert after > before[0][0]


async def test_a_player_enters_once(database: Database) -> None:
    await competition(database, "open")
    again = (
        "INSERT INTO player_competitions (competition_id, player_id, fee_mpt, entered_at, reached_at)"
        " VALUES (1, 1, 1000, now(), now())"
    )
    assert isinstance(await refusal(database, again), Duplicate)
