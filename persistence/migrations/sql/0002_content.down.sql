-- The content and everybody's progress in it go; players, their balances and the ledger stay, and so do the new
-- values of the ledger's types.
DROP FUNCTION story_problems;
ALTER TABLE story_chapters DROP CONSTRAINT story_chapters_first_scene_id_fkey;
DROP TABLE player_story_choices, player_chapter_progress, story_choices, story_scenes, story_chapters,
    mini_game_sessions, mini_games, player_habit_progress, daily_habits, player_missions, missions,
    community_upgrade_types, player_titles, player_badges, player_achievements,
    achievements, titles, badges, content_versions;
DROP FUNCTION notify_content;
DROP DOMAIN reward_mpt, content_key;
DROP TYPE play_state, badge_source, habit_evidence, achievement_metric, mission_state, mission_metric, mission_period;
