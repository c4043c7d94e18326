"""Content and progress in it: missions, habits, story, titles, mini-games."""

import pytest

from persistence.errors import Duplicate, Rejected
from persistence.postgres import Database
from tests.fakes.database_probe import rows
from tests.fakes.schema_breaker import people, reconciliation, refusal, script

CONTENT = """
    INSERT INTO missions (id, key, period, metric, base_target, weight, name, description) VALUES
        (1, 'tap_a_lot', 'day', 'taps', 200, 10, 'Tap', 'Tap {target} times.'),
        (2, 'tap_all_week', 'week', 'taps', 900, 10, 'Tap', 'Tap {target} times.');
    INSERT INTO daily_habits (id, key, name, description, evidence, target) VALUES
        (1, 'say_hello', 'Hello', 'Say hello.', 'self_report', 1);
    INSERT INTO titles (id, key, name, description) VALUES
        (1, 'organiser', 'Organiser', 'Organises.'), (2, 'speaker', 'Speaker', 'Speaks.');
    INSERT INTO mini_games (id, key, name, description, time_limit_s, max_score_per_s, score_cap, reward_mpt,
        paid_plays_per_day)
    VALUES (1, 'catch_leaflets', 'Leaflets', 'Catch them.', 30, 10, 200, 50000, 5);
    INSERT INTO story_chapters (id, key, position, title, summary, min_level, first_scene_id, reward_mpt, reward_xp)
    VALUES (1, 'first_steps', 1, 'First steps', 'How it begins.', 1, 1, 1000, 10);
    INSERT INTO story_scenes (id, key, chapter_id, title, body, is_ending) VALUES
        (1, 'at_the_gate', 1, 'Gate', 'You stand there.', false), (2, 'inside_it', 1, 'Inside', 'You are in.', true);
    INSERT INTO story_choices (id, key, chapter_id, scene_id, next_scene_id, position, label)
    VALUES (1, 'go_inside', 1, 1, 2, 1, 'Go in');
"""
MISSION = (
    "INSERT INTO player_missions (player_id, period, period_start, slot, mission_id, target, reward_mpt,"
    " reward_xp, created_at)"
    " VALUES (1, {}, 220, 440000, 22, now())"
)


@pytest.fixture
async def database(database: Database) -> Database:
    """A database with a piece of each content and one player, number 1, who has begun some of it."""
    assert await people(database, 1) == [1]
    await script(database, CONTENT)
    await script(database, MISSION.format("'day', '2026-01-01', 0, 1"))
    assert await reconciliation(database) == []
    return database


# ---- missions


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("progress = 221", "player_missions_progress_check"),
        ("progress = -1", "player_missions_progress_check"),
        ("state = 'completed', completed_at = now(), progress = 219", "player_missions_completed_check"),
        ("state = 'completed', progress = 220", "player_missions_completed_check"),
        ("completed_at = now(), progress = 220", "player_missions_completed_check"),
        ("state = 'claimed', completed_at = now(), progress = 220", "player_missions_claimed_check"),
        ("claimed_at = now()", "player_missions_claimed_check"),
        ("period = 'week'", "player_missions_week_check"),
        ("reward_mpt = 1000000000001", "reward_mpt_check"),
    ],
)
async def test_missions_in_a_state_that_cannot_be(database: Database, change: str, constraint: str) -> None:
    assert (await refusal(database, f"UPDATE player_missions SET {change}")).constraint == constraint


@pytest.mark.parametrize(
    ("row", "constraint"),
    [
        ("'day', '2026-01-01', 0, 2", "player_missions_pkey"),
        ("'day', '2026-01-01', 1, 1", "player_missions_mission_key"),
        ("'day', '2026-01-02', 10, 1", "player_missions_slot_check"),
        ("'week', '2026-01-01', 0, 2", "player_missions_week_check"),
        ("'day', '2026-01-02', 0, 9", "player_missions_mission_id_fkey"),
    ],
)
async def test_missions_drawn_twice_or_wrongly(database: Database, row: str, constraint: str) -> None:
    assert (await refusal(database, MISSION.format(row))).constraint == constraint
    await script(database, MISSION.format("'week', '2026-01-05', 0, 2"))


@pytest.mark.parametrize("key", ["x", "Tap", "tap-a-lot", "1st", "_tap", "tap_", "tap lot", "t" * 65, ""])
async def test_content_keys_that_are_no_keys(database: Database, key: str) -> None:
    refused = await refusal(database, f"UPDATE missions SET key = '{key}' WHERE id = 1")
    assert refused.constraint == "content_key_check"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("missions SET description = 'Tap often.'", "missions_description_check"),
        ("missions SET key = 'tap_all_week' WHERE id = 1", "missions_key_key"),
        ("missions SET weight = 0", "missions_weight_check"),
        ("daily_habits SET target = 2", "daily_habits_evidence_check"),
        ("mini_games SET score_cap = 301", "mini_games_cap_check"),
        ("titles SET price_mpt = 0", "titles_price_check"),
        ("story_choices SET next_scene_id = scene_id", "story_choices_loop_check"),
        ("story_choices SET next_scene_id = 3", "story_choices_next_scene_id_fkey"),
        ("story_choices SET required_choice_id = id", "story_choices_required_check"),
        ("story_choices SET bonds = '[1]'", "story_choices_bonds_check"),
        ("""story_choices SET bonds = '{"mara": "many"}'""", "story_choices_bonds_check"),
        ("story_chapters SET first_scene_id = 3", "story_chapters_first_scene_id_fkey"),
        ("story_chapters SET after_chapter_id = id", "story_chapters_after_check"),
    ],
)
async def test_content_that_cannot_be(database: Database, change: str, constraint: str) -> None:
    assert (await refusal(database, f"UPDATE {change}")).constraint == constraint


async def test_a_choice_stays_in_its_chapter(database: Database) -> None:
    await script(
        database,
        "INSERT INTO story_chapters (id, key, position, title, summary, min_level, first_scene_id,"
        " reward_mpt, reward_xp)"
        " VALUES (2, 'second_steps', 2, 'Second', 'On.', 1, 3, 0, 0);"
        "INSERT INTO story_scenes (id, key, chapter_id, title, body) VALUES (3, 'elsewhere', 2, 'There', 'Far away.')",
    )
    refused = await refusal(database, "UPDATE story_choices SET next_scene_id = 3")
    assert refused.constraint == "story_choices_next_scene_id_fkey"
    refused = await refusal(database, "UPDATE story_chapters SET first_scene_id = 3 WHERE id = 1")
    assert refused.constraint == "story_chapters_first_scene_id_fkey"


async def test_two_chapters_in_one_place_are_found_at_commit(database: Database) -> None:
    second = (
        "INSERT INTO story_chapters (id, key, position, title, summary, min_level, first_scene_id,"
        " reward_mpt, reward_xp)"
        " VALUES (2, 'second_steps', 1, 'Second', 'On.', 1, 3, 0, 0);"
        "INSERT INTO story_scenes (id, key, chapter_id, title, body, is_ending) VALUES (3, 'over_there', 2,"
        " 'There', 'Far.', true)"
    )
    assert (await refusal(database, second)).constraint == "story_chapters_position_key"
    await script(database, second + ";UPDATE story_chapters SET position = 3 - id")  # exchanged within a transaction


# ---- progress


@pytest.mark.parametrize(
    ("insert", "constraint"),
    [
        (
            "player_habit_progress VALUES (1, '2026-01-01', 1, 1, 500000, '2026-01-01 10:00Z')",
            "player_habit_progress_pkey",
        ),
        ("player_story_choices VALUES (1, 1, now())", "player_story_choices_pkey"),
        ("player_chapter_progress VALUES (1, 1, 2, now())", "player_chapter_progress_pkey"),
        ("player_titles VALUES (1, 1, now())", "player_titles_pkey"),
    ],
)
async def test_once_per_player(database: Database, insert: str, constraint: str) -> None:
    await script(database, f"INSERT INTO {insert}")
    refused = await refusal(database, f"INSERT INTO {insert}")
    assert isinstance(refused, Duplicate)
    assert refused.constraint == constraint


async def test_a_habit_belongs_to_the_day_it_was_done(database: Database) -> None:
    late = "INSERT INTO player_habit_progress VALUES (1, '2026-01-01', 1, 1, 500000, '2026-01-02 00:00Z')"
    assert (await refusal(database, late)).constraint == "player_habit_progress_done_check"


async def test_one_title_is_worn(database: Database) -> None:
    await script(database, "INSERT INTO player_titles VALUES (1, 1, now(), true), (1, 2, now(), false)")
    assert (await refusal(database, "UPDATE player_titles SET worn = true")).constraint == "player_titles_worn_key"


async def test_a_scene_of_another_chapter_is_no_progress(database: Database) -> None:
    lost = "INSERT INTO player_chapter_progress VALUES (1, 1, 9, now())"
    assert (await refusal(database, lost)).constraint == "player_chapter_progress_scene_id_fkey"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("state = 'finished'", "mini_game_sessions_finished_check"),
        ("score = 10", "mini_game_sessions_finished_check"),
        ("reward_mpt = 1", "mini_game_sessions_reward_check"),
        ("state = 'refused', score = 9, finished_at = now(), reward_mpt = 1", "mini_game_sessions_reward_check"),
        ("expires_at = started_at", "mini_game_sessions_expires_check"),
    ],
)
async def test_plays_in_a_state_that_cannot_be(database: Database, change: str, constraint: str) -> None:
    await script(
        database,
        "INSERT INTO mini_game_sessions (id, player_id, mini_game_id, seed, started_at, expires_at)"
        " VALUES (gen_random_uuid(), 1, 1, 7, now(), now() + interval '30 s')",
    )
    assert (await refusal(database, f"UPDATE mini_game_sessions SET {change}")).constraint == constraint


# ---- the story as a whole

UNREACHABLE = "no choice leads to this scene"
STUCK = "from this scene not everybody can reach an ending"


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ("INSERT INTO story_scenes VALUES (3, 'attic_room', 1, 'Attic', 'Dust.', true)", [("attic_room", UNREACHABLE)]),
        ("UPDATE story_scenes SET is_ending = false", [("at_the_gate", STUCK), ("inside_it", STUCK)]),
        ("DELETE FROM story_choices", [("at_the_gate", STUCK), ("inside_it", UNREACHABLE)]),
        ("UPDATE story_choices SET min_level = 5", [("at_the_gate", STUCK)]),
        ("UPDATE story_choices SET min_supporters = 1", [("at_the_gate", STUCK)]),
        (
            (
                "INSERT INTO story_choices (id, key, chapter_id, scene_id, next_scene_id, position, label)"
                " VALUES (2, 'go_back', 1, 2, 1, 1, 'Back')"
            ),
            [("inside_it", "an ending has choices")],
        ),
    ],
)
async def test_what_keeps_the_story_from_its_end(
    database: Database, change: str, problems: list[tuple[str, str]]
) -> None:
    await script(database, change)
    assert await rows(database, "SELECT key, problem FROM story_problems() ORDER BY 1, 2") == problems
    assert {subject for subject, _, _ in await reconciliation(database)} == {f"scene {key}" for key, _ in problems}


async def test_content_that_progress_points_to_is_retired_not_deleted(database: Database) -> None:
    with pytest.raises(Rejected) as caught:
        await rows(database, "DELETE FROM missions WHERE id = 1")
    assert caught.value.constraint == "player_missions_mission_id_fkey"
