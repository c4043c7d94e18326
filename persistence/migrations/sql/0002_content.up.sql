-- Content: what the game is made of, loaded from data files by `gameserver seed --content`; and how far each player has
-- come in it. Rows that players' histories point to are retired, never deleted. Additive: an older node runs on.

-- Everything that moves tokens, for this and the revisions to come: a new value cannot be used by the transaction that
-- adds it. The way down leaves the values, which then nobody uses: entries of the ledger are never lost.
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'passive_income';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'pool_share';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'mission_reward';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'habit_reward';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'achievement_reward';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'story_reward';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'mini_game_reward';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'share_reward';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'referral_reward';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'commission';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'competition_entry';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'competition_prize';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'competition_bonus';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'competition_refund';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'competition_burn';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'transfer_sent';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'transfer_received';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'transfer_fee';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'upgrade';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'evolution';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'streak_freeze';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'mission_reroll';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'cosmetic';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'community_creation';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'community_donation';
ALTER TYPE transaction_kind ADD VALUE IF NOT EXISTS 'compensation';

ALTER TYPE grant_kind ADD VALUE IF NOT EXISTS 'pool_share';
ALTER TYPE grant_kind ADD VALUE IF NOT EXISTS 'referral_reward';
ALTER TYPE grant_kind ADD VALUE IF NOT EXISTS 'commission';
ALTER TYPE grant_kind ADD VALUE IF NOT EXISTS 'competition_prize';
ALTER TYPE grant_kind ADD VALUE IF NOT EXISTS 'competition_bonus';
ALTER TYPE grant_kind ADD VALUE IF NOT EXISTS 'competition_refund';
ALTER TYPE grant_kind ADD VALUE IF NOT EXISTS 'transfer_received';
ALTER TYPE grant_kind ADD VALUE IF NOT EXISTS 'compensation';

CREATE TYPE mission_period AS ENUM ('day', 'week');
COMMENT ON TYPE mission_period IS 'How long a mission stays open; weeks begin on Monday, UTC.';

CREATE TYPE mission_metric AS ENUM (
    'taps', 'tokens', 'combo', 'level_ups', 'habits', 'mini_games', 'mini_game_score', 'story_choices',
    'shares', 'invites', 'chat_messages', 'donations', 'competitions'
);
COMMENT ON TYPE mission_metric IS 'What a mission counts, from its creation on.';

CREATE TYPE mission_state AS ENUM ('active', 'completed', 'claimed', 'expired', 'rerolled');
COMMENT ON TYPE mission_state IS 'active → completed → claimed; active → expired at the period''s end, → rerolled by its player.';

CREATE TYPE achievement_metric AS ENUM ('taps', 'tokens', 'supporters', 'streak', 'missions', 'wins');
COMMENT ON TYPE achievement_metric IS 'The lifetime total that unlocks an achievement.';

CREATE TYPE habit_evidence AS ENUM ('self_report', 'taps', 'mini_game', 'share', 'chat_message', 'story_choice');
COMMENT ON TYPE habit_evidence IS 'What the server must have seen that day before a habit counts as done.';

CREATE TYPE badge_source AS ENUM ('achievement', 'generation', 'event', 'story');
COMMENT ON TYPE badge_source IS 'Where a badge comes from.';

CREATE TYPE play_state AS ENUM ('started', 'finished', 'refused', 'abandoned');
COMMENT ON TYPE play_state IS 'started → finished | refused (impossible score, late) | abandoned (never finished).';

CREATE DOMAIN content_key AS text
    CONSTRAINT content_key_check CHECK (VALUE ~ '^[a-z][a-z0-9_]{0,62}[a-z0-9]$');
COMMENT ON DOMAIN content_key IS 'The name by which data files and clients call a piece of content, e.g. first_steps.';

CREATE DOMAIN reward_mpt AS bigint
    CONSTRAINT reward_mpt_check CHECK (VALUE BETWEEN 0 AND 1000000000000);
COMMENT ON DOMAIN reward_mpt IS 'A single reward or price in mPT, at most a billion tokens.';

-- What is loaded ----------------------------------------------------------------------------------------------------

CREATE TABLE content_versions (
    name text CONSTRAINT content_versions_pkey PRIMARY KEY
        CONSTRAINT content_versions_name_check CHECK (name ~ '^[a-z_]{1,40}$'),
    checksum bytea NOT NULL CONSTRAINT content_versions_checksum_check CHECK (octet_length(checksum) = 32),
    entries integer NOT NULL CONSTRAINT content_versions_entries_check CHECK (entries >= 0),
    loaded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE content_versions IS 'Which data file each kind of content was last loaded from.';
COMMENT ON COLUMN content_versions.checksum IS 'SHA-256 of the file: the same file is not loaded twice.';
COMMENT ON COLUMN content_versions.entries IS 'How many pieces of content it holds.';

CREATE FUNCTION notify_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY content;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION notify_content IS 'Trigger: tells running servers that the content has changed.';
CREATE TRIGGER content_versions_notify AFTER INSERT OR UPDATE OR DELETE ON content_versions
    FOR EACH STATEMENT EXECUTE FUNCTION notify_content();
COMMENT ON TRIGGER content_versions_notify ON content_versions IS 'Servers read the content anew, without a restart.';

-- Badges, titles, achievements --------------------------------------------------------------------------------------

CREATE TABLE badges (
    id integer CONSTRAINT badges_pkey PRIMARY KEY CONSTRAINT badges_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT badges_key_key UNIQUE,
    name text NOT NULL CONSTRAINT badges_name_check CHECK (length(name) BETWEEN 1 AND 80),
    description text NOT NULL CONSTRAINT badges_description_check CHECK (length(description) BETWEEN 1 AND 500),
    source badge_source NOT NULL,
    retired_at timestamptz
);
COMMENT ON TABLE badges IS 'What players can be decorated with; earned, never bought.';

CREATE TABLE titles (
    id integer CONSTRAINT titles_pkey PRIMARY KEY CONSTRAINT titles_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT titles_key_key UNIQUE,
    name text NOT NULL CONSTRAINT titles_name_check CHECK (length(name) BETWEEN 1 AND 80),
    description text NOT NULL CONSTRAINT titles_description_check CHECK (length(description) BETWEEN 1 AND 500),
    price_mpt reward_mpt CONSTRAINT titles_price_check CHECK (price_mpt > 0),
    min_level smallint NOT NULL DEFAULT 1 CONSTRAINT titles_min_level_check CHECK (min_level BETWEEN 1 AND 1000),
    retired_at timestamptz
);
COMMENT ON TABLE titles IS 'What players can call themselves; worn one at a time.';
COMMENT ON COLUMN titles.price_mpt IS 'NULL: cannot be bought, only earned.';

CREATE TABLE achievements (
    id integer CONSTRAINT achievements_pkey PRIMARY KEY CONSTRAINT achievements_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT achievements_key_key UNIQUE,
    metric achievement_metric NOT NULL,
    tier smallint NOT NULL CONSTRAINT achievements_tier_check CHECK (tier BETWEEN 1 AND 12),
    target bigint NOT NULL CONSTRAINT achievements_target_check CHECK (target >= 1),
    reward_mpt reward_mpt NOT NULL,
    reward_xp integer NOT NULL CONSTRAINT achievements_reward_xp_check CHECK (reward_xp BETWEEN 0 AND 1000000),
    name text NOT NULL CONSTRAINT achievements_name_check CHECK (length(name) BETWEEN 1 AND 80),
    description text NOT NULL CONSTRAINT achievements_description_check CHECK (length(description) BETWEEN 1 AND 500),
    badge_id integer CONSTRAINT achievements_badge_id_fkey REFERENCES badges,
    title_id integer CONSTRAINT achievements_title_id_fkey REFERENCES titles,
    retired_at timestamptz,
    CONSTRAINT achievements_metric_tier_key UNIQUE (metric, tier),
    CONSTRAINT achievements_metric_target_key UNIQUE (metric, target)
);
CREATE INDEX achievements_badge_id_idx ON achievements (badge_id) WHERE badge_id IS NOT NULL;
CREATE INDEX achievements_title_id_idx ON achievements (title_id) WHERE title_id IS NOT NULL;
COMMENT ON TABLE achievements IS 'A total to reach, in tiers; several may unlock at once, ascending.';
COMMENT ON COLUMN achievements.target IS 'In units of the metric; tokens in whole tokens.';

CREATE TABLE player_achievements (
    player_id bigint NOT NULL CONSTRAINT player_achievements_player_id_fkey REFERENCES players ON DELETE CASCADE,
    achievement_id integer NOT NULL CONSTRAINT player_achievements_achievement_id_fkey REFERENCES achievements,
    unlocked_at timestamptz NOT NULL,
    CONSTRAINT player_achievements_pkey PRIMARY KEY (player_id, achievement_id)
);
CREATE INDEX player_achievements_achievement_id_idx ON player_achievements (achievement_id);
COMMENT ON TABLE player_achievements IS 'Each achievement once per player.';

CREATE TABLE player_badges (
    player_id bigint NOT NULL CONSTRAINT player_badges_player_id_fkey REFERENCES players ON DELETE CASCADE,
    badge_id integer NOT NULL CONSTRAINT player_badges_badge_id_fkey REFERENCES badges,
    earned_at timestamptz NOT NULL,
    CONSTRAINT player_badges_pkey PRIMARY KEY (player_id, badge_id)
);
CREATE INDEX player_badges_badge_id_idx ON player_badges (badge_id);
COMMENT ON TABLE player_badges IS 'Each badge once per player.';

CREATE TABLE player_titles (
    player_id bigint NOT NULL CONSTRAINT player_titles_player_id_fkey REFERENCES players ON DELETE CASCADE,
    title_id integer NOT NULL CONSTRAINT player_titles_title_id_fkey REFERENCES titles,
    acquired_at timestamptz NOT NULL,
    worn boolean NOT NULL DEFAULT false,
    CONSTRAINT player_titles_pkey PRIMARY KEY (player_id, title_id)
);
CREATE INDEX player_titles_title_id_idx ON player_titles (title_id);
CREATE UNIQUE INDEX player_titles_worn_key ON player_titles (player_id) WHERE worn;
COMMENT ON TABLE player_titles IS 'Titles bought or earned; the index lets a player wear only one.';

-- Missions ----------------------------------------------------------------------------------------------------------

CREATE TABLE missions (
    id integer CONSTRAINT missions_pkey PRIMARY KEY CONSTRAINT missions_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT missions_key_key UNIQUE,
    period mission_period NOT NULL,
    metric mission_metric NOT NULL,
    base_target integer NOT NULL CONSTRAINT missions_base_target_check CHECK (base_target BETWEEN 1 AND 1000000),
    weight smallint NOT NULL CONSTRAINT missions_weight_check CHECK (weight BETWEEN 1 AND 1000),
    early boolean NOT NULL DEFAULT false,
    name text NOT NULL CONSTRAINT missions_name_check CHECK (length(name) BETWEEN 1 AND 80),
    description text NOT NULL CONSTRAINT missions_description_check
        CHECK (length(description) BETWEEN 1 AND 500 AND position('{target}' IN description) > 0),
    retired_at timestamptz
);
CREATE INDEX missions_period_idx ON missions (period, id) WHERE retired_at IS NULL;
COMMENT ON TABLE missions IS 'Templates; a player''s mission is drawn from those of its period, by weight, in the order of their ids.';
COMMENT ON COLUMN missions.base_target IS 'The target at level 1 is 11/10 of it; it grows with the level.';
COMMENT ON COLUMN missions.early IS 'Only for generations with the privilege of early missions.';
COMMENT ON COLUMN missions.description IS 'With {target} where the player''s own target stands.';

CREATE TABLE player_missions (
    player_id bigint NOT NULL CONSTRAINT player_missions_player_id_fkey REFERENCES players ON DELETE CASCADE,
    period mission_period NOT NULL,
    period_start date NOT NULL,
    slot smallint NOT NULL CONSTRAINT player_missions_slot_check CHECK (slot BETWEEN 0 AND 9),
    mission_id integer NOT NULL CONSTRAINT player_missions_mission_id_fkey REFERENCES missions,
    state mission_state NOT NULL DEFAULT 'active',
    target bigint NOT NULL CONSTRAINT player_missions_target_check CHECK (target >= 1),
    progress bigint NOT NULL DEFAULT 0,
    reward_mpt reward_mpt NOT NULL,
    reward_xp integer NOT NULL CONSTRAINT player_missions_reward_xp_check CHECK (reward_xp >= 0),
    created_at timestamptz NOT NULL,
    completed_at timestamptz,
    claimed_at timestamptz,
    CONSTRAINT player_missions_pkey PRIMARY KEY (player_id, period, period_start, slot),
    CONSTRAINT player_missions_mission_key UNIQUE (player_id, period, period_start, mission_id),
    CONSTRAINT player_missions_progress_check CHECK (progress BETWEEN 0 AND target),
    CONSTRAINT player_missions_completed_check
        CHECK ((state IN ('completed', 'claimed')) = (completed_at IS NOT NULL) AND (completed_at IS NULL OR progress = target)),
    CONSTRAINT player_missions_claimed_check CHECK ((state = 'claimed') = (claimed_at IS NOT NULL)),
    CONSTRAINT player_missions_week_check CHECK (period = 'day' OR extract(isodow FROM period_start) = 1)
) WITH (fillfactor = 80);
CREATE INDEX player_missions_mission_id_idx ON player_missions (mission_id);
CREATE INDEX player_missions_open_idx ON player_missions (period, period_start) WHERE state = 'active';
COMMENT ON TABLE player_missions IS 'A player''s missions by period and slot; written by the player''s actor, expired ones of absent players set-wise.';
COMMENT ON COLUMN player_missions.period_start IS 'The UTC day, or the Monday of the week.';

-- Habits ------------------------------------------------------------------------------------------------------------

CREATE TABLE daily_habits (
    id integer CONSTRAINT daily_habits_pkey PRIMARY KEY CONSTRAINT daily_habits_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT daily_habits_key_key UNIQUE,
    name text NOT NULL CONSTRAINT daily_habits_name_check CHECK (length(name) BETWEEN 1 AND 80),
    description text NOT NULL CONSTRAINT daily_habits_description_check CHECK (length(description) BETWEEN 1 AND 500),
    evidence habit_evidence NOT NULL,
    target integer NOT NULL CONSTRAINT daily_habits_target_check CHECK (target BETWEEN 1 AND 100000),
    retired_at timestamptz,
    CONSTRAINT daily_habits_evidence_check CHECK (evidence <> 'self_report' OR target = 1)
);
COMMENT ON TABLE daily_habits IS 'Small things to do every day; what counts as done is evidence that the server itself has seen.';
COMMENT ON COLUMN daily_habits.target IS 'How much of the evidence a day needs.';

CREATE TABLE player_habit_progress (
    player_id bigint NOT NULL CONSTRAINT player_habit_progress_player_id_fkey REFERENCES players ON DELETE CASCADE,
    day date NOT NULL,
    habit_id integer NOT NULL CONSTRAINT player_habit_progress_habit_id_fkey REFERENCES daily_habits,
    streak_day integer NOT NULL CONSTRAINT player_habit_progress_streak_day_check CHECK (streak_day >= 1),
    reward_mpt reward_mpt NOT NULL,
    done_at timestamptz NOT NULL,
    CONSTRAINT player_habit_progress_pkey PRIMARY KEY (player_id, day, habit_id),
    CONSTRAINT player_habit_progress_done_check CHECK ((done_at AT TIME ZONE 'UTC')::date = day)
);
CREATE INDEX player_habit_progress_habit_id_idx ON player_habit_progress (habit_id);
COMMENT ON TABLE player_habit_progress IS 'A habit done: once per player, habit and UTC day.';
COMMENT ON COLUMN player_habit_progress.streak_day IS 'Day of the streak that the reward was computed with.';

-- Mini-games --------------------------------------------------------------------------------------------------------

CREATE TABLE mini_games (
    id integer CONSTRAINT mini_games_pkey PRIMARY KEY CONSTRAINT mini_games_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT mini_games_key_key UNIQUE,
    name text NOT NULL CONSTRAINT mini_games_name_check CHECK (length(name) BETWEEN 1 AND 80),
    description text NOT NULL CONSTRAINT mini_games_description_check CHECK (length(description) BETWEEN 1 AND 500),
    time_limit_s smallint NOT NULL CONSTRAINT mini_games_time_limit_check CHECK (time_limit_s BETWEEN 5 AND 600),
    max_score_per_s smallint NOT NULL CONSTRAINT mini_games_max_score_check CHECK (max_score_per_s BETWEEN 1 AND 1000),
    score_cap integer NOT NULL CONSTRAINT mini_games_score_cap_check CHECK (score_cap >= 1),
    reward_mpt reward_mpt NOT NULL,
    paid_plays_per_day smallint NOT NULL
        CONSTRAINT mini_games_paid_plays_check CHECK (paid_plays_per_day BETWEEN 1 AND 100),
    min_level smallint NOT NULL DEFAULT 1 CONSTRAINT mini_games_min_level_check CHECK (min_level BETWEEN 1 AND 1000),
    retired_at timestamptz,
    CONSTRAINT mini_games_cap_check CHECK (score_cap <= max_score_per_s * time_limit_s)
);
COMMENT ON TABLE mini_games IS 'What can be played beside tapping, and what a play is worth.';
COMMENT ON COLUMN mini_games.score_cap IS 'The score that earns the whole reward.';

CREATE TABLE mini_game_sessions (
    id uuid CONSTRAINT mini_game_sessions_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT mini_game_sessions_player_id_fkey REFERENCES players ON DELETE CASCADE,
    mini_game_id integer NOT NULL CONSTRAINT mini_game_sessions_mini_game_id_fkey REFERENCES mini_games,
    state play_state NOT NULL DEFAULT 'started',
    seed bigint NOT NULL CONSTRAINT mini_game_sessions_seed_check CHECK (seed BETWEEN 0 AND 9007199254740991),
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    finished_at timestamptz,
    duration_ms integer CONSTRAINT mini_game_sessions_duration_check CHECK (duration_ms >= 0),
    score integer CONSTRAINT mini_game_sessions_score_check CHECK (score >= 0),
    reward_mpt reward_mpt NOT NULL DEFAULT 0,
    CONSTRAINT mini_game_sessions_expires_check CHECK (expires_at > started_at),
    CONSTRAINT mini_game_sessions_finished_check
        CHECK ((state = 'started') = (finished_at IS NULL) AND (state IN ('finished', 'refused')) = (score IS NOT NULL)),
    CONSTRAINT mini_game_sessions_reward_check CHECK (state = 'finished' OR reward_mpt = 0)
);
CREATE INDEX mini_game_sessions_player_id_idx ON mini_game_sessions (player_id, started_at DESC);
CREATE INDEX mini_game_sessions_mini_game_id_idx ON mini_game_sessions (mini_game_id);
CREATE INDEX mini_game_sessions_open_idx ON mini_game_sessions (expires_at) WHERE state = 'started';
COMMENT ON TABLE mini_game_sessions IS 'One play: the server draws the seed and the time limit, the client reports the score.';

-- Community upgrades ------------------------------------------------------------------------------------------------

CREATE TABLE community_upgrade_types (
    id integer CONSTRAINT community_upgrade_types_pkey PRIMARY KEY
        CONSTRAINT community_upgrade_types_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT community_upgrade_types_key_key UNIQUE,
    name text NOT NULL CONSTRAINT community_upgrade_types_name_check CHECK (length(name) BETWEEN 1 AND 80),
    description text NOT NULL
        CONSTRAINT community_upgrade_types_description_check CHECK (length(description) BETWEEN 1 AND 500),
    base_price_mpt reward_mpt NOT NULL CONSTRAINT community_upgrade_types_price_check CHECK (base_price_mpt > 0),
    bonus_bp_per_level smallint NOT NULL
        CONSTRAINT community_upgrade_types_bonus_check CHECK (bonus_bp_per_level BETWEEN 1 AND 1000),
    max_level smallint NOT NULL CONSTRAINT community_upgrade_types_max_level_check CHECK (max_level BETWEEN 1 AND 30),
    min_members integer NOT NULL DEFAULT 1
        CONSTRAINT community_upgrade_types_min_members_check CHECK (min_members BETWEEN 1 AND 10000),
    retired_at timestamptz
);
COMMENT ON TABLE community_upgrade_types IS 'What communities can buy from donated tokens; each level costs twice the one before.';
COMMENT ON COLUMN community_upgrade_types.bonus_bp_per_level IS 'What a level gives every member, within the cap on community bonuses.';

-- Story -------------------------------------------------------------------------------------------------------------

CREATE TABLE story_chapters (
    id integer CONSTRAINT story_chapters_pkey PRIMARY KEY CONSTRAINT story_chapters_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT story_chapters_key_key UNIQUE,
    position smallint NOT NULL CONSTRAINT story_chapters_position_key UNIQUE DEFERRABLE INITIALLY DEFERRED
        CONSTRAINT story_chapters_position_check CHECK (position >= 1),
    title text NOT NULL CONSTRAINT story_chapters_title_check CHECK (length(title) BETWEEN 1 AND 120),
    summary text NOT NULL CONSTRAINT story_chapters_summary_check CHECK (length(summary) BETWEEN 1 AND 1000),
    min_level smallint NOT NULL CONSTRAINT story_chapters_min_level_check CHECK (min_level BETWEEN 1 AND 1000),
    after_chapter_id integer CONSTRAINT story_chapters_after_chapter_id_fkey REFERENCES story_chapters
        CONSTRAINT story_chapters_after_check CHECK (after_chapter_id <> id),
    first_scene_id integer NOT NULL,
    reward_mpt reward_mpt NOT NULL,
    reward_xp integer NOT NULL CONSTRAINT story_chapters_reward_xp_check CHECK (reward_xp BETWEEN 0 AND 1000000),
    retired_at timestamptz
);
CREATE INDEX story_chapters_after_chapter_id_idx ON story_chapters (after_chapter_id);
CREATE INDEX story_chapters_first_scene_id_idx ON story_chapters (first_scene_id, id);
COMMENT ON TABLE story_chapters IS 'The story''s chapters; a chapter opens with a level and the chapter before it.';
COMMENT ON COLUMN story_chapters.reward_mpt IS 'For completing it, once.';

CREATE TABLE story_scenes (
    id integer CONSTRAINT story_scenes_pkey PRIMARY KEY CONSTRAINT story_scenes_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT story_scenes_key_key UNIQUE,
    chapter_id integer NOT NULL CONSTRAINT story_scenes_chapter_id_fkey REFERENCES story_chapters,
    title text NOT NULL CONSTRAINT story_scenes_title_check CHECK (length(title) BETWEEN 1 AND 120),
    body text NOT NULL CONSTRAINT story_scenes_body_check CHECK (length(body) BETWEEN 1 AND 4000),
    is_ending boolean NOT NULL DEFAULT false,
    CONSTRAINT story_scenes_chapter_id_id_key UNIQUE (chapter_id, id)
);
COMMENT ON TABLE story_scenes IS 'What a chapter shows; an ending completes the chapter and has no choices.';
ALTER TABLE story_chapters ADD CONSTRAINT story_chapters_first_scene_id_fkey
    FOREIGN KEY (first_scene_id, id) REFERENCES story_scenes (id, chapter_id) DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE story_choices (
    id integer CONSTRAINT story_choices_pkey PRIMARY KEY CONSTRAINT story_choices_id_check CHECK (id >= 1),
    key content_key NOT NULL CONSTRAINT story_choices_key_key UNIQUE,
    chapter_id integer NOT NULL,
    scene_id integer NOT NULL,
    next_scene_id integer NOT NULL,
    position smallint NOT NULL CONSTRAINT story_choices_position_check CHECK (position >= 1),
    label text NOT NULL CONSTRAINT story_choices_label_check CHECK (length(label) BETWEEN 1 AND 300),
    min_level smallint NOT NULL DEFAULT 1 CONSTRAINT story_choices_min_level_check CHECK (min_level BETWEEN 1 AND 1000),
    min_supporters integer NOT NULL DEFAULT 0 CONSTRAINT story_choices_min_supporters_check CHECK (min_supporters >= 0),
    required_choice_id integer CONSTRAINT story_choices_required_choice_id_fkey REFERENCES story_choices
        CONSTRAINT story_choices_required_check CHECK (required_choice_id <> id),
    reward_mpt reward_mpt NOT NULL DEFAULT 0,
    reward_xp integer NOT NULL DEFAULT 0 CONSTRAINT story_choices_reward_xp_check CHECK (reward_xp BETWEEN 0 AND 100000),
    reward_supporters smallint NOT NULL DEFAULT 0
        CONSTRAINT story_choices_reward_supporters_check CHECK (reward_supporters BETWEEN 0 AND 100),
    bonds jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT story_choices_bonds_check CHECK (jsonb_typeof(bonds) = 'object' AND NOT bonds @? '$.* ? (@.type() != "number")'),
    CONSTRAINT story_choices_scene_id_fkey FOREIGN KEY (chapter_id, scene_id) REFERENCES story_scenes (chapter_id, id),
    CONSTRAINT story_choices_next_scene_id_fkey
        FOREIGN KEY (chapter_id, next_scene_id) REFERENCES story_scenes (chapter_id, id),
    CONSTRAINT story_choices_position_key UNIQUE (scene_id, position),
    CONSTRAINT story_choices_loop_check CHECK (next_scene_id <> scene_id)
);
CREATE INDEX story_choices_scene_id_idx ON story_choices (chapter_id, scene_id);
CREATE INDEX story_choices_next_scene_id_idx ON story_choices (chapter_id, next_scene_id);
CREATE INDEX story_choices_required_choice_id_idx ON story_choices (required_choice_id);
COMMENT ON TABLE story_choices IS 'The ways out of a scene, always to another scene of the same chapter.';
COMMENT ON COLUMN story_choices.bonds IS 'Change of the player''s bond by character, e.g. {"mara": 300}.';

CREATE TABLE player_chapter_progress (
    player_id bigint NOT NULL CONSTRAINT player_chapter_progress_player_id_fkey REFERENCES players ON DELETE CASCADE,
    chapter_id integer NOT NULL CONSTRAINT player_chapter_progress_chapter_id_fkey REFERENCES story_chapters,
    scene_id integer NOT NULL,
    started_at timestamptz NOT NULL,
    completed_at timestamptz CONSTRAINT player_chapter_progress_completed_check CHECK (completed_at >= started_at),
    CONSTRAINT player_chapter_progress_pkey PRIMARY KEY (player_id, chapter_id),
    CONSTRAINT player_chapter_progress_scene_id_fkey
        FOREIGN KEY (chapter_id, scene_id) REFERENCES story_scenes (chapter_id, id)
);
CREATE INDEX player_chapter_progress_scene_id_idx ON player_chapter_progress (chapter_id, scene_id);
COMMENT ON TABLE player_chapter_progress IS 'Where a player stands in each chapter begun.';

CREATE TABLE player_story_choices (
    player_id bigint NOT NULL CONSTRAINT player_story_choices_player_id_fkey REFERENCES players ON DELETE CASCADE,
    choice_id integer NOT NULL CONSTRAINT player_story_choices_choice_id_fkey REFERENCES story_choices,
    chosen_at timestamptz NOT NULL,
    CONSTRAINT player_story_choices_pkey PRIMARY KEY (player_id, choice_id)
);
CREATE INDEX player_story_choices_choice_id_idx ON player_story_choices (choice_id);
COMMENT ON TABLE player_story_choices IS 'Each choice once per player: what it pays is paid once.';

CREATE FUNCTION story_problems() RETURNS TABLE (key text, problem text) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE reached (id) AS (
        SELECT c.first_scene_id FROM story_chapters AS c
        UNION
        SELECT o.next_scene_id FROM reached AS r JOIN story_choices AS o ON o.scene_id = r.id
    ), ending (id) AS (
        SELECT s.id FROM story_scenes AS s WHERE s.is_ending
        UNION
        -- without conditions: a way that only some may go is no way out
        SELECT o.scene_id FROM ending AS e JOIN story_choices AS o ON o.next_scene_id = e.id
        WHERE o.min_level = 1 AND o.min_supporters = 0 AND o.required_choice_id IS NULL
    )
    SELECT s.key::text, 'no choice leads to this scene'
    FROM story_scenes AS s WHERE NOT EXISTS (SELECT FROM reached AS r WHERE r.id = s.id)
    UNION ALL
    SELECT s.key::text, 'from this scene not everybody can reach an ending'
    FROM story_scenes AS s WHERE NOT EXISTS (SELECT FROM ending AS e WHERE e.id = s.id)
    UNION ALL
    SELECT s.key::text, 'an ending has choices'
    FROM story_scenes AS s WHERE s.is_ending AND EXISTS (SELECT FROM story_choices AS o WHERE o.scene_id = s.id)
$$;
COMMENT ON FUNCTION story_problems IS 'What keeps the story from being played to its end; empty when all is well. Asked when content is loaded.';
