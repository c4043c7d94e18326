-- Accounts and what is written down about them: devices, stretches of play, statistics, security, recovery, erasure,
-- notifications, stored answers, dead letters, the operators' audit log. Additive: an older node runs on.

-- Months ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION create_partitions(parent text, first_day date, months integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    next_month timestamptz;
    partition text;
    began boolean;
    created integer := 0;
BEGIN
    FOR i IN 0 .. months - 1 LOOP
        month := (date_trunc('month', first_day::timestamp) + make_interval(months => i)) AT TIME ZONE 'UTC';
        next_month := (date_trunc('month', first_day::timestamp) + make_interval(months => i + 1)) AT TIME ZONE 'UTC';
        partition := parent || to_char(month AT TIME ZONE 'UTC', '"_"YYYY_MM');
        CONTINUE WHEN to_regclass(format('public.%I', partition)) IS NOT NULL;
        -- a month that has begun in the default partition stays there: rows are never moved
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I >= $1 AND %2$I < $2)', parent || '_default', partition_key(parent))
            INTO began USING month, next_month;
        CONTINUE WHEN began;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition, parent);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, partition, month, next_month);
        IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = parent::regclass AND tgname = parent || '_no_truncate') THEN
            EXECUTE format(
                'CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
                partition || '_no_truncate', partition
            );
        END IF;
        created := created + 1;
    END LOOP;
    RETURN created;
END $$;
COMMENT ON FUNCTION create_partitions IS 'Makes sure of a table''s partitions for some months from a day on; returns how many it made.';

CREATE FUNCTION partition_key(parent text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT a.attname::text FROM pg_partitioned_table AS p
    JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = parent::regclass
$$;
COMMENT ON FUNCTION partition_key IS 'The column by which a table is partitioned.';

CREATE FUNCTION drop_partitions(parent text, before date) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    partition text;
    dropped integer := 0;
BEGIN
    FOR partition IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass AND c.relname ~ '_\d{4}_\d{2}$'
            AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= before
    LOOP
        EXECUTE format('DROP TABLE %I', partition);
        dropped := dropped + 1;
    END LOOP;
    EXECUTE format('DELETE FROM %I WHERE %I < %L', parent || '_default', partition_key(parent), before::timestamp AT TIME ZONE 'UTC');
    RETURN dropped;
END $$;
COMMENT ON FUNCTION drop_partitions IS 'Drops the months of a log that ended before a day; returns how many. The ledger''s are never dropped.';

CREATE OR REPLACE FUNCTION create_ledger_partitions(first_day date, months integer) RETURNS integer LANGUAGE sql AS $$
    SELECT create_partitions('token_transactions', first_day, months)
$$;
COMMENT ON FUNCTION create_ledger_partitions IS 'What servers before revision 0004 call each hour: create_partitions for the ledger.';

-- Devices and stretches of play -------------------------------------------------------------------------------------

CREATE TABLE devices (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT devices_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT devices_player_id_fkey REFERENCES players ON DELETE CASCADE,
    device text NOT NULL CONSTRAINT devices_device_check CHECK (length(device) BETWEEN 1 AND 128),
    client text NOT NULL DEFAULT '' CONSTRAINT devices_client_check CHECK (length(client) <= 256),
    address inet,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    CONSTRAINT devices_device_key UNIQUE (player_id, device),
    CONSTRAINT devices_seen_check CHECK (last_seen_at >= first_seen_at)
) WITH (fillfactor = 80);
CREATE INDEX devices_device_idx ON devices (device);
CREATE INDEX devices_address_idx ON devices (address) WHERE address IS NOT NULL;
COMMENT ON TABLE devices IS 'What a player plays on, as the client names it.';
COMMENT ON COLUMN devices.address IS 'Where it was last seen from; many accounts behind one are a sign.';

ALTER TABLE player_sessions
    ADD COLUMN device_id bigint CONSTRAINT player_sessions_device_id_fkey REFERENCES devices ON DELETE SET NULL;
CREATE INDEX player_sessions_device_id_idx ON player_sessions (device_id) WHERE device_id IS NOT NULL;
CREATE INDEX player_sessions_expires_at_idx ON player_sessions (expires_at);
COMMENT ON COLUMN player_sessions.device_id IS 'The device it was made on, where the client named one.';

CREATE TABLE game_sessions (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT game_sessions_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT game_sessions_player_id_fkey REFERENCES players ON DELETE CASCADE,
    device_id bigint CONSTRAINT game_sessions_device_id_fkey REFERENCES devices ON DELETE SET NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    taps integer NOT NULL DEFAULT 0 CONSTRAINT game_sessions_taps_check CHECK (taps >= 0),
    refused_taps integer NOT NULL DEFAULT 0 CONSTRAINT game_sessions_refused_check CHECK (refused_taps >= 0),
    earned_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT game_sessions_earned_check CHECK (earned_mpt >= 0),
    best_combo integer NOT NULL DEFAULT 0 CONSTRAINT game_sessions_best_combo_check CHECK (best_combo >= 0),
    CONSTRAINT game_sessions_start_key UNIQUE (player_id, started_at),
    CONSTRAINT game_sessions_ended_check CHECK (ended_at >= started_at)
);
CREATE INDEX game_sessions_device_id_idx ON game_sessions (device_id) WHERE device_id IS NOT NULL;
CREATE INDEX game_sessions_started_at_idx ON game_sessions USING brin (started_at);
COMMENT ON TABLE game_sessions IS 'A stretch of play from the first socket to the last, with what came of it.';

-- Statistics --------------------------------------------------------------------------------------------------------

CREATE TABLE player_daily_stats (
    player_id bigint NOT NULL CONSTRAINT player_daily_stats_player_id_fkey REFERENCES players ON DELETE CASCADE,
    day date NOT NULL,
    taps integer NOT NULL DEFAULT 0 CONSTRAINT player_daily_stats_taps_check CHECK (taps >= 0),
    earned_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT player_daily_stats_earned_check CHECK (earned_mpt >= 0),
    spent_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT player_daily_stats_spent_check CHECK (spent_mpt >= 0),
    xp integer NOT NULL DEFAULT 0 CONSTRAINT player_daily_stats_xp_check CHECK (xp >= 0),
    best_combo integer NOT NULL DEFAULT 0 CONSTRAINT player_daily_stats_best_combo_check CHECK (best_combo >= 0),
    sessions smallint NOT NULL DEFAULT 0 CONSTRAINT player_daily_stats_sessions_check CHECK (sessions >= 0),
    play_s integer NOT NULL DEFAULT 0 CONSTRAINT player_daily_stats_play_check CHECK (play_s BETWEEN 0 AND 86400),
    reached_at timestamptz NOT NULL,
    CONSTRAINT player_daily_stats_pkey PRIMARY KEY (player_id, day)
) WITH (fillfactor = 70);
CREATE INDEX player_daily_stats_day_idx ON player_daily_stats (day, player_id) INCLUDE (taps, earned_mpt, xp, reached_at);
COMMENT ON TABLE player_daily_stats IS 'What a player did on a UTC day: the player''s own totals of that day, which only grow.';
COMMENT ON COLUMN player_daily_stats.reached_at IS 'Last time one of the totals grew: of equals on a board, the earlier is ahead.';

CREATE TABLE player_influence (
    player_id bigint CONSTRAINT player_influence_pkey PRIMARY KEY
        CONSTRAINT player_influence_player_id_fkey REFERENCES players ON DELETE CASCADE,
    active_direct integer NOT NULL CONSTRAINT player_influence_active_direct_check CHECK (active_direct >= 0),
    active_second integer NOT NULL CONSTRAINT player_influence_active_second_check CHECK (active_second >= 0),
    influence bigint NOT NULL CONSTRAINT player_influence_influence_check CHECK (influence >= 0),
    supporters integer NOT NULL CONSTRAINT player_influence_supporters_check CHECK (supporters >= 0),
    reached_at timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE player_influence IS 'Influence and supporters of who has any, derived once a day for everybody at once; nobody''s own state.';
COMMENT ON COLUMN player_influence.active_direct IS 'A1 of the formula: invitees of level 5 and more, seen within 7 days.';
COMMENT ON COLUMN player_influence.active_second IS 'A2: the same of invitees'' invitees.';
COMMENT ON COLUMN player_influence.reached_at IS 'When influence last changed.';

CREATE TYPE impact_metric AS ENUM (
    'registrations', 'active_players', 'taps', 'earned_mpt', 'spent_mpt', 'xp', 'sessions', 'play_s',
    'minted_mpt', 'burned_mpt', 'missions_claimed', 'habits_done', 'mini_games_played', 'story_choices',
    'shares', 'chat_messages', 'activations', 'influence'
);
COMMENT ON TYPE impact_metric IS 'What is counted a day; influence only by player.';

CREATE TABLE impact_metrics (
    day date NOT NULL,
    metric impact_metric NOT NULL,
    player_id bigint CONSTRAINT impact_metrics_player_id_fkey REFERENCES players ON DELETE CASCADE,
    value bigint NOT NULL CONSTRAINT impact_metrics_value_check CHECK (value >= 0),
    CONSTRAINT impact_metrics_key UNIQUE NULLS NOT DISTINCT (day, metric, player_id),
    CONSTRAINT impact_metrics_player_check CHECK ((metric = 'influence') = (player_id IS NOT NULL))
);
CREATE INDEX impact_metrics_player_id_idx ON impact_metrics (player_id, day) WHERE player_id IS NOT NULL;
COMMENT ON TABLE impact_metrics IS 'Figures of a UTC day, for the whole game (player_id NULL) and, for influence, by active player.';

CREATE SEQUENCE analytics_events_id_seq;
CREATE TABLE analytics_events (
    id bigint NOT NULL DEFAULT nextval('analytics_events_id_seq'),
    at timestamptz NOT NULL,
    name content_key NOT NULL,
    player_id bigint CONSTRAINT analytics_events_player_id_fkey REFERENCES players ON DELETE CASCADE,
    properties jsonb NOT NULL DEFAULT '{}' CONSTRAINT analytics_events_properties_check CHECK (jsonb_typeof(properties) = 'object'),
    CONSTRAINT analytics_events_pkey PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
ALTER SEQUENCE analytics_events_id_seq OWNED BY analytics_events.id;
CREATE INDEX analytics_events_player_id_idx ON analytics_events (player_id) WHERE player_id IS NOT NULL;
CREATE INDEX analytics_events_name_idx ON analytics_events (name, at);
CREATE TABLE analytics_events_default PARTITION OF analytics_events DEFAULT;
COMMENT ON TABLE analytics_events IS 'What happened, for those who study the game; a partition a month, kept for 13 months.';
COMMENT ON TABLE analytics_events_default IS 'Events of months without a partition.';

-- Security ----------------------------------------------------------------------------------------------------------

CREATE TYPE security_event AS ENUM (
    'login', 'login_refused', 'refresh_reuse', 'session_revoked', 'recovery_code_issued', 'recovery_code_used',
    'recovery_code_refused', 'account_migrated', 'account_erased', 'banned', 'unbanned', 'suspicion', 'shadow_limited',
    'shadow_limit_lifted', 'admin_login_refused'
);
COMMENT ON TYPE security_event IS 'What is worth knowing when something was broken into.';
CREATE TYPE severity AS ENUM ('info', 'warning', 'critical');
COMMENT ON TYPE severity IS 'How soon a person should look.';

CREATE SEQUENCE security_logs_id_seq;
CREATE TABLE security_logs (
    id bigint NOT NULL DEFAULT nextval('security_logs_id_seq'),
    at timestamptz NOT NULL,
    event security_event NOT NULL,
    severity severity NOT NULL DEFAULT 'info',
    player_id bigint CONSTRAINT security_logs_player_id_fkey REFERENCES players,
    address inet,
    score integer NOT NULL DEFAULT 0 CONSTRAINT security_logs_score_check CHECK (score BETWEEN 0 AND 10000),
    detail jsonb NOT NULL DEFAULT '{}' CONSTRAINT security_logs_detail_check CHECK (jsonb_typeof(detail) = 'object'),
    CONSTRAINT security_logs_pkey PRIMARY KEY (id, at),
    CONSTRAINT security_logs_score_event_check CHECK (score = 0 OR event = 'suspicion')
) PARTITION BY RANGE (at);
ALTER SEQUENCE security_logs_id_seq OWNED BY security_logs.id;
CREATE INDEX security_logs_player_id_idx ON security_logs (player_id, at) WHERE player_id IS NOT NULL;
CREATE INDEX security_logs_suspicion_idx ON security_logs (at) WHERE event = 'suspicion';
CREATE INDEX security_logs_event_idx ON security_logs (event, at);
CREATE TABLE security_logs_default PARTITION OF security_logs DEFAULT;
COMMENT ON TABLE security_logs IS 'Logins and what looks like an attack; a partition a month, kept for 13 months.';
COMMENT ON TABLE security_logs_default IS 'Events of months without a partition.';
COMMENT ON COLUMN security_logs.score IS 'How suspicious, of a suspicion.';

CREATE SEQUENCE rate_limit_logs_id_seq;
CREATE TABLE rate_limit_logs (
    id bigint NOT NULL DEFAULT nextval('rate_limit_logs_id_seq'),
    at timestamptz NOT NULL,
    player_id bigint CONSTRAINT rate_limit_logs_player_id_fkey REFERENCES players ON DELETE CASCADE,
    address inet,
    action text NOT NULL CONSTRAINT rate_limit_logs_action_check CHECK (length(action) BETWEEN 1 AND 64),
    refused integer NOT NULL CONSTRAINT rate_limit_logs_refused_check CHECK (refused >= 1),
    window_s integer NOT NULL CONSTRAINT rate_limit_logs_window_check CHECK (window_s BETWEEN 1 AND 86400),
    CONSTRAINT rate_limit_logs_pkey PRIMARY KEY (id, at),
    CONSTRAINT rate_limit_logs_whom_check CHECK (player_id IS NOT NULL OR address IS NOT NULL)
) PARTITION BY RANGE (at);
ALTER SEQUENCE rate_limit_logs_id_seq OWNED BY rate_limit_logs.id;
CREATE INDEX rate_limit_logs_player_id_idx ON rate_limit_logs (player_id) WHERE player_id IS NOT NULL;
CREATE TABLE rate_limit_logs_default PARTITION OF rate_limit_logs DEFAULT;
COMMENT ON TABLE rate_limit_logs IS 'Who was held back, how often in a window; a partition a month, kept for 2 months.';
COMMENT ON TABLE rate_limit_logs_default IS 'Entries of months without a partition.';

CREATE TABLE account_recovery (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT account_recovery_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT account_recovery_player_id_fkey REFERENCES players ON DELETE CASCADE,
    code_hash bytea NOT NULL CONSTRAINT account_recovery_code_hash_key UNIQUE
        CONSTRAINT account_recovery_code_hash_check CHECK (octet_length(code_hash) = 32),
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT account_recovery_expires_check CHECK (expires_at > issued_at AND expires_at <= issued_at + interval '30 days'),
    CONSTRAINT account_recovery_used_check CHECK (used_at BETWEEN issued_at AND expires_at)
);
CREATE INDEX account_recovery_player_id_idx ON account_recovery (player_id);
COMMENT ON TABLE account_recovery IS 'Codes that move an account to another Telegram account: drawn by us, stored as hashes, good once.';

-- Operators ---------------------------------------------------------------------------------------------------------

CREATE TABLE admin_audit_log (
    id bigint CONSTRAINT admin_audit_log_pkey PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL CONSTRAINT admin_audit_log_actor_check CHECK (length(actor) BETWEEN 1 AND 100),
    action text NOT NULL CONSTRAINT admin_audit_log_action_check CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
    player_id bigint CONSTRAINT admin_audit_log_player_id_fkey REFERENCES players,
    detail jsonb NOT NULL DEFAULT '{}' CONSTRAINT admin_audit_log_detail_check CHECK (jsonb_typeof(detail) = 'object'),
    previous_hash bytea NOT NULL CONSTRAINT admin_audit_log_previous_hash_check CHECK (octet_length(previous_hash) = 32),
    hash bytea NOT NULL CONSTRAINT admin_audit_log_hash_key UNIQUE CONSTRAINT admin_audit_log_hash_check CHECK (octet_length(hash) = 32)
);
CREATE INDEX admin_audit_log_player_id_idx ON admin_audit_log (player_id) WHERE player_id IS NOT NULL;
COMMENT ON TABLE admin_audit_log IS 'What operators did, each entry hashed together with the one before. Nothing personal goes in here: it is never erased.';

CREATE FUNCTION audit_hash(previous_hash bytea, id bigint, at timestamptz, actor text, action text, player_id bigint, detail jsonb)
RETURNS bytea LANGUAGE sql IMMUTABLE
RETURN sha256(previous_hash || convert_to(
    jsonb_build_array(id, (extract(epoch FROM at) * 1000000)::bigint, actor, action, player_id, detail)::text, 'UTF8'
));
COMMENT ON FUNCTION audit_hash IS 'SHA-256 over the hash before and the entry as a JSON array.';

CREATE FUNCTION chain_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('ppj_audit', 0));  -- one after the other, so that ids have no gap
    SELECT a.id + 1, a.hash INTO NEW.id, NEW.previous_hash FROM admin_audit_log AS a ORDER BY a.id DESC LIMIT 1;
    NEW.id := coalesce(NEW.id, 1);
    NEW.previous_hash := coalesce(NEW.previous_hash, sha256(''));
    NEW.at := date_trunc('milliseconds', clock_timestamp());
    NEW.hash := audit_hash(NEW.previous_hash, NEW.id, NEW.at, NEW.actor, NEW.action, NEW.player_id, NEW.detail);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION chain_audit IS 'Trigger: numbers and hashes an entry.';
CREATE TRIGGER admin_audit_log_chain BEFORE INSERT ON admin_audit_log
    FOR EACH ROW EXECUTE FUNCTION chain_audit();
CREATE TRIGGER admin_audit_log_append_only BEFORE UPDATE OR DELETE ON admin_audit_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER admin_audit_log_no_truncate BEFORE TRUNCATE ON admin_audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON TRIGGER admin_audit_log_chain ON admin_audit_log IS 'The writer chooses neither number nor time nor hash.';
COMMENT ON TRIGGER admin_audit_log_append_only ON admin_audit_log IS 'What was done stays written.';
COMMENT ON TRIGGER admin_audit_log_no_truncate ON admin_audit_log IS 'All of it.';
COMMENT ON TRIGGER token_transactions_no_truncate ON token_transactions IS 'Ledger entries are never removed, not even all at once.';
COMMENT ON TRIGGER token_transactions_default_no_truncate ON token_transactions_default IS 'The same for entries of months without a partition.';
COMMENT ON TRIGGER ledger_keys_no_truncate ON ledger_keys IS 'Keys given up all at once could be used twice.';

CREATE FUNCTION audit_problems() RETURNS TABLE (id bigint, problem text) LANGUAGE sql STABLE AS $$
    SELECT e.id, CASE
            WHEN e.hash <> audit_hash(e.previous_hash, e.id, e.at, e.actor, e.action, e.player_id, e.detail) THEN 'was changed'
            WHEN e.id <> e.position THEN 'an entry before it is missing'
            ELSE 'does not follow the entry before it' END
    FROM (
        SELECT a.*, row_number() OVER (ORDER BY a.id) AS position,
            coalesce(lag(a.hash) OVER (ORDER BY a.id), sha256('')) AS hash_before
        FROM admin_audit_log AS a
    ) AS e
    WHERE e.hash <> audit_hash(e.previous_hash, e.id, e.at, e.actor, e.action, e.player_id, e.detail)
        OR e.id <> e.position OR e.previous_hash <> e.hash_before
$$;
COMMENT ON FUNCTION audit_problems IS 'Entries of the audit log that were changed, or before which one is missing.';

-- Notifications -----------------------------------------------------------------------------------------------------

CREATE TABLE notifications (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT notifications_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT notifications_player_id_fkey REFERENCES players ON DELETE CASCADE,
    key text NOT NULL CONSTRAINT notifications_key_check CHECK (length(key) BETWEEN 1 AND 200),
    kind content_key NOT NULL,
    body jsonb NOT NULL CONSTRAINT notifications_body_check CHECK (jsonb_typeof(body) = 'object' AND length(body::text) <= 4000),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    read_at timestamptz,
    CONSTRAINT notifications_key_key UNIQUE (player_id, key),
    CONSTRAINT notifications_expires_check CHECK (expires_at > created_at)
);
CREATE INDEX notifications_unread_idx ON notifications (player_id, id) WHERE read_at IS NULL;
CREATE INDEX notifications_expires_at_idx ON notifications (expires_at);
COMMENT ON TABLE notifications IS 'The inbox: what a player has been told, and whether it was read.';
COMMENT ON COLUMN notifications.key IS 'The same notification sent twice is one row.';

CREATE TYPE outbox_state AS ENUM ('waiting', 'sent', 'failed');
COMMENT ON TYPE outbox_state IS 'waiting → sent | failed (the player blocked the bot, or too many tries).';

CREATE TABLE notification_outbox (
    notification_id bigint CONSTRAINT notification_outbox_pkey PRIMARY KEY
        CONSTRAINT notification_outbox_notification_id_fkey REFERENCES notifications ON DELETE CASCADE,
    state outbox_state NOT NULL DEFAULT 'waiting',
    attempts smallint NOT NULL DEFAULT 0 CONSTRAINT notification_outbox_attempts_check CHECK (attempts BETWEEN 0 AND 20),
    next_try_at timestamptz NOT NULL,
    done_at timestamptz,
    last_error text CONSTRAINT notification_outbox_last_error_check CHECK (length(last_error) <= 500),
    CONSTRAINT notification_outbox_done_check CHECK ((state = 'waiting') = (done_at IS NULL))
);
CREATE INDEX notification_outbox_due_idx ON notification_outbox (next_try_at) WHERE state = 'waiting';
COMMENT ON TABLE notification_outbox IS 'What is to go to Telegram because no socket of the player was open.';

-- Write-behind: stored answers, what was refused, what fired ---------------------------------------------------------

CREATE TABLE operation_results (
    player_id bigint NOT NULL,
    lineage bytea NOT NULL,
    seq bigint NOT NULL CONSTRAINT operation_results_seq_check CHECK (seq BETWEEN 1 AND 4294967294),
    answer bytea NOT NULL CONSTRAINT operation_results_answer_check CHECK (octet_length(answer) BETWEEN 1 AND 16384),
    committed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT operation_results_pkey PRIMARY KEY (player_id, lineage, seq),
    CONSTRAINT operation_results_cursor_fkey FOREIGN KEY (player_id, lineage) REFERENCES operation_cursors ON DELETE CASCADE
);
CREATE INDEX operation_results_committed_at_idx ON operation_results USING brin (committed_at);
COMMENT ON TABLE operation_results IS 'Answers of hard operations, written with their effect: a repeat gets the same one.';
COMMENT ON COLUMN operation_results.answer IS 'MessagePack, as it was sent.';

CREATE TYPE dead_letter_state AS ENUM ('open', 'retried', 'discarded');
COMMENT ON TYPE dead_letter_state IS 'open → retried | discarded, by an operator.';

CREATE TABLE write_dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT write_dead_letters_pkey PRIMARY KEY,
    node_run uuid NOT NULL,
    batch bigint NOT NULL CONSTRAINT write_dead_letters_batch_check CHECK (batch >= 1),
    player_ids bigint[] NOT NULL CONSTRAINT write_dead_letters_player_ids_check CHECK (cardinality(player_ids) >= 1),
    writes jsonb NOT NULL CONSTRAINT write_dead_letters_writes_check CHECK (jsonb_typeof(writes) = 'object'),
    sqlstate text NOT NULL CONSTRAINT write_dead_letters_sqlstate_check CHECK (sqlstate ~ '^([0-9A-Z]{5})?$'),
    constraint_name text NOT NULL DEFAULT '',
    error text NOT NULL CONSTRAINT write_dead_letters_error_check CHECK (length(error) BETWEEN 1 AND 4000),
    state dead_letter_state NOT NULL DEFAULT 'open',
    refused_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz,
    CONSTRAINT write_dead_letters_closed_check CHECK ((state = 'open') = (closed_at IS NULL))
);
CREATE INDEX write_dead_letters_open_idx ON write_dead_letters (id) WHERE state = 'open';
CREATE INDEX write_dead_letters_player_ids_idx ON write_dead_letters USING gin (player_ids);
COMMENT ON TABLE write_dead_letters IS 'What the database refused for good, with everything needed to judge it and to write it after all.';

CREATE TABLE schedules (
    job text NOT NULL CONSTRAINT schedules_job_check CHECK (job ~ '^[a-z_]{1,60}$'),
    period_start timestamptz NOT NULL,
    fired_at timestamptz NOT NULL,
    outcome bigint NOT NULL DEFAULT 0,
    took_ms integer NOT NULL DEFAULT 0 CONSTRAINT schedules_took_check CHECK (took_ms >= 0),
    CONSTRAINT schedules_pkey PRIMARY KEY (job, period_start)
);
COMMENT ON TABLE schedules IS 'What fired for which period: each once, in the transaction that did it.';
COMMENT ON COLUMN schedules.outcome IS 'What the job counted: rows, partitions, players.';

CREATE INDEX operation_cursors_updated_at_idx ON operation_cursors USING brin (updated_at);
CREATE INDEX player_grants_unapplied_idx ON player_grants (player_id, id) WHERE applied_at IS NULL;
CREATE INDEX player_grants_applied_at_idx ON player_grants USING brin (applied_at);
CREATE INDEX write_batches_committed_at_idx ON write_batches USING brin (committed_at);

-- Claiming ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION claim_players(wanted uuid[], node text) RETURNS SETOF players LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
BEGIN
    -- Locks first, in the order of ids as everyone else does (flushes, other claims), so that nobody waits in a circle.
    -- The claim is a statement of its own after that, with a snapshot of its own: one that waits for a lock itself would
    -- re-read the player's row as it is then, but judge the owner's lease as it was before the wait.
    SELECT array_agg(locked.id) INTO ids FROM (
        SELECT p.id FROM players AS p WHERE p.public_id = ANY (wanted) ORDER BY p.id FOR NO KEY UPDATE
    ) AS locked;
    RETURN QUERY
        UPDATE players AS p SET owner_epoch = p.owner_epoch + 1, owner_node = node
        WHERE p.id = ANY (ids) AND p.erased_at IS NULL AND (
            p.owner_node IS NULL OR p.owner_node = node
            OR NOT EXISTS (SELECT FROM nodes AS n WHERE n.name = p.owner_node AND n.lease_until > clock_timestamp())
        )
        RETURNING p.*;
END $$;
COMMENT ON FUNCTION claim_players IS
    'Makes a node the owner of players that no other node with a live lease owns, and raises their epochs; at READ COMMITTED only.';

-- Logins ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION rotate_refresh_token(old_hash bytea, new_hash bytea, now_at timestamptz, new_expires_at timestamptz)
RETURNS TABLE (player_id bigint, public_id uuid, session_id uuid, display_name text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        UPDATE player_sessions AS s
        SET refresh_hash = new_hash, previous_hashes = (array_prepend(s.refresh_hash, s.previous_hashes))[1:32],
            expires_at = new_expires_at
        FROM players AS p
        WHERE s.refresh_hash = old_hash AND s.revoked_at IS NULL AND s.expires_at > now_at AND p.id = s.player_id
        RETURNING p.id, p.public_id, s.id, p.display_name;
    IF NOT FOUND THEN
        WITH ended AS (
            UPDATE player_sessions AS s SET revoked_at = now_at
            WHERE s.previous_hashes @> ARRAY[old_hash] AND s.revoked_at IS NULL
            RETURNING s.id, s.player_id
        )
        INSERT INTO security_logs (at, event, severity, player_id, detail)
        SELECT now_at, 'refresh_reuse', 'warning', e.player_id, jsonb_build_object('session', e.id) FROM ended AS e;
    END IF;
END $$;
COMMENT ON FUNCTION rotate_refresh_token IS
    'Replaces a refresh token; no row: unknown, expired or ended. One that was replaced before ends its whole family, for nobody can tell the thief from the robbed.';

-- Moving, recovering, erasing ---------------------------------------------------------------------------------------

CREATE FUNCTION migrate_account(account uuid, new_telegram_id bigint, at timestamptz, actor text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    moved players;
    other players;
BEGIN
    PERFORM FROM players WHERE public_id = account OR telegram_id = new_telegram_id ORDER BY id FOR UPDATE;
    -- the epoch first: whoever has the player in memory can write nothing any more
    UPDATE players SET owner_epoch = owner_epoch + 1, owner_node = NULL
    WHERE public_id = account AND erased_at IS NULL RETURNING * INTO moved;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT * INTO other FROM players WHERE telegram_id = new_telegram_id AND id <> moved.id;
    IF FOUND THEN
        IF other.xp > 0 OR other.balance_mpt > 0 OR EXISTS (SELECT FROM referrals WHERE inviter_id = other.id) THEN
            RAISE EXCEPTION 'that Telegram account has a player of its own who has played' USING
                ERRCODE = 'unique_violation', TABLE = 'players', CONSTRAINT = 'players_telegram_id_key',
                HINT = 'Erase that player first, or choose another Telegram account.';
        END IF;
        PERFORM erase_account(other.public_id, at, actor);
    END IF;
    UPDATE players SET telegram_id = new_telegram_id, dev_name = NULL WHERE id = moved.id;
    UPDATE player_sessions SET revoked_at = at WHERE player_id = moved.id AND revoked_at IS NULL;
    INSERT INTO security_logs (at, event, severity, player_id) VALUES (at, 'account_migrated', 'warning', moved.id);
    INSERT INTO admin_audit_log (actor, action, player_id) VALUES (actor, 'account.migrate', moved.id);
    RETURN true;
END $$;
COMMENT ON FUNCTION migrate_account IS
    'Moves a player to another Telegram account and ends all logins; false: there is no such player. A blank player of the new account is erased, any other refused: no tokens change hands.';

CREATE FUNCTION redeem_recovery_code(code_hash bytea, new_telegram_id bigint, at timestamptz, actor text) RETURNS uuid
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    account uuid;
    owner bigint;
BEGIN
    UPDATE account_recovery AS r SET used_at = redeem_recovery_code.at
    WHERE r.code_hash = redeem_recovery_code.code_hash AND r.used_at IS NULL
        AND redeem_recovery_code.at BETWEEN r.issued_at AND r.expires_at
    RETURNING r.player_id INTO owner;
    IF NOT FOUND THEN
        INSERT INTO security_logs (at, event, severity, player_id)
        SELECT redeem_recovery_code.at, 'recovery_code_refused', 'warning',
            (SELECT r.player_id FROM account_recovery AS r WHERE r.code_hash = redeem_recovery_code.code_hash);
        RETURN NULL;
    END IF;
    SELECT p.public_id INTO account FROM players AS p WHERE p.id = owner;
    PERFORM migrate_account(account, new_telegram_id, redeem_recovery_code.at, actor);
    INSERT INTO security_logs (at, event, severity, player_id)
    VALUES (redeem_recovery_code.at, 'recovery_code_used', 'warning', owner);
    RETURN account;
END $$;
COMMENT ON FUNCTION redeem_recovery_code IS 'Moves the account a code was issued for to a Telegram account, once; NULL: unknown, used or expired.';

CREATE FUNCTION erase_account(account uuid, at timestamptz, actor text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    erased bigint;
    heir record;
BEGIN
    UPDATE players SET owner_epoch = owner_epoch + 1, owner_node = NULL
    WHERE public_id = account AND erased_at IS NULL RETURNING id INTO erased;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- communities pass on to the senior officer, else to the senior member; one with nobody left is closed
    FOR heir IN
        SELECT o.community_id, (
            SELECT m.player_id FROM community_members AS m
            WHERE m.community_id = o.community_id AND m.state = 'active' AND m.player_id <> erased
            ORDER BY m.role, m.joined_at, m.player_id LIMIT 1
        ) AS player_id
        FROM community_members AS o WHERE o.player_id = erased AND o.role = 'owner'
    LOOP
        UPDATE community_members SET role = 'member', state = 'left', left_at = greatest(joined_at, erase_account.at)
        WHERE community_id = heir.community_id AND player_id = erased;
        UPDATE community_members SET role = 'owner' WHERE community_id = heir.community_id AND player_id = heir.player_id;
        UPDATE communities SET closed_at = erase_account.at, name = 'closed community', description = ''
        WHERE id = heir.community_id AND heir.player_id IS NULL;
    END LOOP;
    UPDATE players SET erased_at = erase_account.at, telegram_id = NULL, dev_name = NULL, display_name = 'erased player',
        premium = false, referral_code = random_referral_code(), public_id = gen_random_uuid(),
        ban_reason = CASE WHEN banned_until IS NOT NULL THEN 'banned before it was erased' END WHERE id = erased;
    INSERT INTO security_logs (at, event, severity, player_id) VALUES (erase_account.at, 'account_erased', 'info', erased);
    INSERT INTO admin_audit_log (actor, action, player_id) VALUES (actor, 'account.erase', erased);
    RETURN true;
END $$;
COMMENT ON FUNCTION erase_account IS
    'Erases everything personal of a player; false: there is no such player. Balance and ledger stay, of a player without a name.';

CREATE FUNCTION erase_traces() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM player_sessions WHERE player_id = NEW.id;
    DELETE FROM game_sessions WHERE player_id = NEW.id;
    DELETE FROM devices WHERE player_id = NEW.id;
    DELETE FROM account_recovery WHERE player_id = NEW.id;
    DELETE FROM notifications WHERE player_id = NEW.id;
    DELETE FROM friendships WHERE low_id = NEW.id OR high_id = NEW.id;
    DELETE FROM emotional_investments WHERE player_id = NEW.id;
    DELETE FROM social_shares WHERE player_id = NEW.id;
    DELETE FROM player_story_choices WHERE player_id = NEW.id;
    DELETE FROM analytics_events WHERE player_id = NEW.id;
    DELETE FROM rate_limit_logs WHERE player_id = NEW.id;
    UPDATE chat_messages SET body = '(removed)', removed_at = NEW.erased_at WHERE player_id = NEW.id;
    UPDATE security_logs SET address = NULL, detail = '{}' WHERE player_id = NEW.id;
    UPDATE community_members SET state = 'left', left_at = greatest(joined_at, NEW.erased_at), role = 'member'
    WHERE player_id = NEW.id AND state <> 'left';
    DELETE FROM operation_cursors WHERE player_id = NEW.id;
    DELETE FROM player_influence WHERE player_id = NEW.id;
    -- what could not be written for this player never will be; where others were in the same unit, their figures stay
    UPDATE write_dead_letters SET error = '(of an erased player)', writes = CASE cardinality(player_ids) WHEN 1 THEN '{}' ELSE writes END,
        state = CASE WHEN state = 'open' AND cardinality(player_ids) = 1 THEN 'discarded' ELSE state END,
        closed_at = CASE WHEN state = 'open' AND cardinality(player_ids) = 1 THEN NEW.erased_at ELSE closed_at END
    WHERE player_ids @> ARRAY[NEW.id];
    RETURN NULL;
END $$;
COMMENT ON FUNCTION erase_traces IS 'Trigger: with a player everything personal goes; what the ledger, the boards and the communities need stays without a name.';
CREATE TRIGGER players_erased AFTER UPDATE OF erased_at ON players
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION erase_traces();
COMMENT ON TRIGGER players_erased ON players IS 'Whoever marks a player as erased erases the traces too.';

CREATE FUNCTION keep_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'player % is erased and stays so', OLD.id
        USING ERRCODE = 'restrict_violation', TABLE = 'players', CONSTRAINT = 'players_stay_erased';
END $$;
COMMENT ON FUNCTION keep_erased IS 'Trigger: nobody comes back under an erased player''s row.';
CREATE TRIGGER players_stay_erased BEFORE UPDATE OF erased_at, telegram_id, dev_name ON players
    FOR EACH ROW WHEN (OLD.erased_at IS NOT NULL AND (NEW.erased_at IS NULL OR NEW.telegram_id IS NOT NULL OR NEW.dev_name IS NOT NULL))
    EXECUTE FUNCTION keep_erased();
COMMENT ON TRIGGER players_stay_erased ON players IS 'An erased account cannot be logged into again.';
