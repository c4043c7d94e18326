-- What players decide about their own account: who sees what, how it is recovered, where it moves. Additive: an older node
-- runs on.

ALTER TYPE security_event ADD VALUE IF NOT EXISTS 'passphrase_set';
ALTER TYPE security_event ADD VALUE IF NOT EXISTS 'passphrase_refused';
ALTER TYPE security_event ADD VALUE IF NOT EXISTS 'account_recovered';
ALTER TYPE security_event ADD VALUE IF NOT EXISTS 'account_exported';
ALTER TYPE security_event ADD VALUE IF NOT EXISTS 'move_offered';
ALTER TYPE security_event ADD VALUE IF NOT EXISTS 'move_confirmed';
ALTER TYPE security_event ADD VALUE IF NOT EXISTS 'move_cancelled';
ALTER TYPE security_event ADD VALUE IF NOT EXISTS 'move_failed';

-- Settings ----------------------------------------------------------------------------------------------------------

CREATE TYPE audience AS ENUM ('everyone', 'friends', 'nobody');
COMMENT ON TYPE audience IS 'Who may see something of a player.';

CREATE TABLE player_settings (
    player_id bigint CONSTRAINT player_settings_pkey PRIMARY KEY
        CONSTRAINT player_settings_player_id_fkey REFERENCES players ON DELETE CASCADE,
    locale text CONSTRAINT player_settings_locale_check CHECK (locale ~ '^[a-z]{2,3}(-[A-Z]{2})?$'),
    profile_audience audience NOT NULL DEFAULT 'everyone',
    rank_audience audience NOT NULL DEFAULT 'everyone',
    status_audience audience NOT NULL DEFAULT 'everyone',
    renamed_at timestamptz
);
CREATE INDEX player_settings_unranked_idx ON player_settings (player_id) WHERE rank_audience <> 'everyone';
COMMENT ON TABLE player_settings IS 'What a player has chosen; a player without a row has the defaults.';
COMMENT ON COLUMN player_settings.locale IS 'Language, and country if it matters: de, pt-BR. NULL = what Telegram says.';
COMMENT ON COLUMN player_settings.profile_audience IS 'Who finds the player''s profile at all.';
COMMENT ON COLUMN player_settings.rank_audience IS 'Who sees level and influence; boards are seen by everyone, so only who shows it to everyone is on them.';
COMMENT ON COLUMN player_settings.status_audience IS 'Who sees whether and when the player plays.';
COMMENT ON COLUMN player_settings.renamed_at IS 'When the one free renaming was used.';

-- Recovery ----------------------------------------------------------------------------------------------------------

CREATE TABLE recovery_passphrases (
    player_id bigint CONSTRAINT recovery_passphrases_pkey PRIMARY KEY
        CONSTRAINT recovery_passphrases_player_id_fkey REFERENCES players ON DELETE CASCADE,
    hash text NOT NULL CONSTRAINT recovery_passphrases_hash_check CHECK (hash ~ '^\$2b\$[0-9]{2}\$[./A-Za-z0-9]{53}$'),
    set_at timestamptz NOT NULL
);
COMMENT ON TABLE recovery_passphrases IS 'What a player remembers to get the account back with, as bcrypt keeps it.';

CREATE TABLE account_throttles (
    subject bytea CONSTRAINT account_throttles_pkey PRIMARY KEY
        CONSTRAINT account_throttles_subject_check CHECK (octet_length(subject) = 32),
    attempts integer NOT NULL CONSTRAINT account_throttles_attempts_check CHECK (attempts >= 0),
    last_at timestamptz NOT NULL,
    open_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX account_throttles_last_at_idx ON account_throttles (last_at);
COMMENT ON TABLE account_throttles IS 'How often something was tried lately, and from when on it may be tried again; the same for all nodes.';
COMMENT ON COLUMN account_throttles.subject IS 'SHA-256 of what is tried and by whom or on whom: neither address nor account stands here.';

-- Moving to another Telegram account --------------------------------------------------------------------------------

CREATE TYPE move_state AS ENUM ('offered', 'confirmed', 'completed', 'cancelled', 'failed');
COMMENT ON TYPE move_state IS 'offered → confirmed → completed | failed; cancelled from either of the first two.';

CREATE TABLE account_moves (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT account_moves_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT account_moves_player_id_fkey REFERENCES players ON DELETE CASCADE,
    code_hash bytea NOT NULL CONSTRAINT account_moves_code_hash_key UNIQUE
        CONSTRAINT account_moves_code_hash_check CHECK (octet_length(code_hash) = 32),
    state move_state NOT NULL DEFAULT 'offered',
    telegram_id bigint CONSTRAINT account_moves_telegram_id_check CHECK (telegram_id > 0),
    offered_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    due_at timestamptz,
    closed_at timestamptz,
    CONSTRAINT account_moves_expires_check CHECK (expires_at > offered_at),
    CONSTRAINT account_moves_confirmed_check CHECK (confirmed_at BETWEEN offered_at AND expires_at),
    CONSTRAINT account_moves_due_check CHECK ((due_at IS NULL) = (confirmed_at IS NULL) AND (due_at IS NULL OR due_at > confirmed_at)),
    CONSTRAINT account_moves_state_check CHECK (CASE state WHEN 'offered' THEN confirmed_at IS NULL
        WHEN 'cancelled' THEN true ELSE confirmed_at IS NOT NULL END),
    CONSTRAINT account_moves_target_check CHECK ((state = 'confirmed') = (telegram_id IS NOT NULL)),
    CONSTRAINT account_moves_closed_check CHECK ((state IN ('offered', 'confirmed')) = (closed_at IS NULL))
);
CREATE INDEX account_moves_player_id_idx ON account_moves (player_id);
CREATE UNIQUE INDEX account_moves_open_key ON account_moves (player_id) WHERE closed_at IS NULL;
CREATE UNIQUE INDEX account_moves_target_key ON account_moves (telegram_id) WHERE state = 'confirmed';
CREATE INDEX account_moves_due_at_idx ON account_moves (due_at) WHERE state = 'confirmed';
COMMENT ON TABLE account_moves IS 'Moves of players to other Telegram accounts, confirmed on both sides; one open at a time for a player, and one to a Telegram account.';
COMMENT ON COLUMN account_moves.code_hash IS 'Of the code that the old side shows and the new side enters.';
COMMENT ON COLUMN account_moves.telegram_id IS 'Where it goes, from confirmation until it is closed.';
COMMENT ON COLUMN account_moves.due_at IS 'End of the time in which the old side may cancel.';

CREATE FUNCTION complete_moves(now_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    due record;
    moved bigint := 0;
BEGIN
    FOR due IN
        SELECT m.id, m.player_id, m.telegram_id FROM account_moves AS m WHERE m.state = 'confirmed' AND m.due_at <= now_at ORDER BY m.player_id
    LOOP
        -- The players first, as everyone who changes a move does, in the order of ids; then the move as it is after that
        -- wait: it may have been cancelled, or completed by another node.
        PERFORM FROM players WHERE id = due.player_id OR telegram_id = due.telegram_id ORDER BY id FOR UPDATE;
        PERFORM FROM account_moves WHERE id = due.id AND state = 'confirmed' FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        BEGIN
            UPDATE account_moves SET state = 'completed', telegram_id = NULL, closed_at = now_at WHERE id = due.id;
            PERFORM migrate_account((SELECT p.public_id FROM players AS p WHERE p.id = due.player_id), due.telegram_id, now_at, 'player');
            moved := moved + 1;
        EXCEPTION WHEN unique_violation THEN
            UPDATE account_moves SET state = 'failed', telegram_id = NULL, closed_at = now_at WHERE id = due.id;
            INSERT INTO security_logs (at, event, severity, player_id) VALUES (now_at, 'move_failed', 'warning', due.player_id);
        END;
    END LOOP;
    RETURN moved;
END $$;
COMMENT ON FUNCTION complete_moves IS
    'Completes the moves whose time to cancel is over, each once; returns how many. One whose Telegram account has a player who has played by now has failed.';

CREATE FUNCTION cancel_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH ended AS (
        UPDATE account_moves SET state = 'cancelled', telegram_id = NULL, closed_at = greatest(now(), confirmed_at, offered_at)
        WHERE player_id = NEW.id AND closed_at IS NULL RETURNING player_id
    )
    INSERT INTO security_logs (at, event, player_id) SELECT now(), 'move_cancelled', player_id FROM ended;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION cancel_moves IS 'Trigger: a player who has come to another Telegram account takes no open move along, which the one before may have begun.';
CREATE TRIGGER players_moved AFTER UPDATE OF telegram_id ON players
    FOR EACH ROW WHEN (NEW.telegram_id IS DISTINCT FROM OLD.telegram_id AND NEW.telegram_id IS NOT NULL)
    EXECUTE FUNCTION cancel_moves();
COMMENT ON TRIGGER players_moved ON players IS 'Whoever took an account away cannot take it back with a move begun before it was recovered.';

-- Erasing and pruning -----------------------------------------------------------------------------------------------

CREATE FUNCTION erase_choices() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM player_settings WHERE player_id = NEW.id;
    DELETE FROM recovery_passphrases WHERE player_id = NEW.id;
    DELETE FROM account_moves WHERE player_id = NEW.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION erase_choices IS 'Trigger: with a player go the settings, the passphrase and the moves; beside erase_traces, which is older.';
CREATE TRIGGER players_erased_choices AFTER UPDATE OF erased_at ON players
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION erase_choices();
COMMENT ON TRIGGER players_erased_choices ON players IS 'Whoever marks a player as erased erases what the player has chosen too.';

CREATE FUNCTION prune_accounts(today date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    now_at timestamptz := today::timestamp AT TIME ZONE 'UTC';
    removed bigint;
    total bigint := 0;
BEGIN
    DELETE FROM account_throttles WHERE greatest(last_at, open_at) < now_at - interval '2 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM account_moves WHERE closed_at < now_at - interval '90 days' OR (state = 'offered' AND expires_at < now_at);
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM schedules WHERE job = 'complete_moves' AND period_start < now_at - interval '3 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    RETURN total;
END $$;
COMMENT ON FUNCTION prune_accounts IS 'Removes what nobody asks for again: old attempts, closed moves, offers that nobody took; returns how many rows.';

-- Boards ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION board_scores(board board_kind, period board_period, first_day date, at timestamptz)
RETURNS TABLE (player_id bigint, community_id bigint, score bigint, reached_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT p.id, NULL::bigint,
        CASE board_scores.board WHEN 'taps' THEN p.taps WHEN 'tokens' THEN p.lifetime_mpt WHEN 'xp' THEN p.xp ELSE p.streak_days END,
        coalesce(p.last_tap_at, p.created_at)
    FROM players AS p
    WHERE (board_scores.board = 'streak' OR board_scores.board IN ('taps', 'tokens', 'xp') AND board_scores.period = 'all')
        AND is_shown(p.shadow_limited_at, p.erased_at, p.banned_until, board_scores.at)
        AND NOT EXISTS (SELECT FROM player_settings AS h WHERE h.player_id = p.id AND h.rank_audience <> 'everyone')
UNION ALL
    SELECT i.player_id, NULL, CASE board_scores.board WHEN 'influence' THEN i.influence ELSE i.supporters END, i.reached_at
    FROM player_influence AS i JOIN players AS p ON p.id = i.player_id
    WHERE board_scores.board IN ('influence', 'supporters')
        AND is_shown(p.shadow_limited_at, p.erased_at, p.banned_until, board_scores.at)
        AND NOT EXISTS (SELECT FROM player_settings AS h WHERE h.player_id = p.id AND h.rank_audience <> 'everyone')
UNION ALL
    SELECT d.player_id, NULL, d.score, d.reached_at
    FROM (
        SELECT s.player_id, max(s.reached_at) AS reached_at,
            sum(CASE board_scores.board WHEN 'taps' THEN s.taps WHEN 'tokens' THEN s.earned_mpt ELSE s.xp END)::bigint AS score
        FROM player_daily_stats AS s
        WHERE s.day >= board_scores.first_day AND s.day < period_end(board_scores.period, board_scores.first_day)
        GROUP BY s.player_id
    ) AS d JOIN players AS p ON p.id = d.player_id
    WHERE board_scores.board IN ('taps', 'tokens', 'xp') AND board_scores.period <> 'all'
        AND is_shown(p.shadow_limited_at, p.erased_at, p.banned_until, board_scores.at)
        AND NOT EXISTS (SELECT FROM player_settings AS h WHERE h.player_id = p.id AND h.rank_audience <> 'everyone')
UNION ALL
    SELECT NULL, c.id, c.power - coalesce((
        SELECT w.power FROM community_daily_power AS w
        WHERE w.community_id = c.id AND w.day < board_scores.first_day AND board_scores.period <> 'all' ORDER BY w.day DESC LIMIT 1
    ), 0), c.updated_at
    FROM communities AS c
    WHERE board_scores.board = 'community_power' AND c.closed_at IS NULL
$$;
COMMENT ON FUNCTION board_scores IS 'What everybody who is shown, and wants to be, has on a board in a period, as far as the database knows.';
