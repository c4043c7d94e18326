-- The walking skeleton: players and their logins, what write-behind needs, the ledger, nodes and their leases.
-- Times are timestamptz; where the server counts in milliseconds, 0 (never) is NULL here.

CREATE FUNCTION time_from_ms(ms bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN ms > 0 THEN to_timestamp(ms::double precision / 1000) END;
COMMENT ON FUNCTION time_from_ms IS 'Milliseconds since 1970-01-01 UTC as a time; 0 (never) is NULL.';

CREATE FUNCTION ms_from_time(moment timestamptz) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce((extract(epoch FROM moment) * 1000)::bigint, 0);
COMMENT ON FUNCTION ms_from_time IS 'A time as milliseconds since 1970-01-01 UTC; NULL (never) is 0.';

CREATE TYPE ledger_account AS ENUM ('player', 'mint', 'burn', 'escrow');
COMMENT ON TYPE ledger_account IS 'Whose side an entry is on; mint, burn and escrow have no stored balance.';

CREATE TYPE transaction_kind AS ENUM ('tap_income', 'level_reward');
COMMENT ON TYPE transaction_kind IS 'Why tokens moved.';

CREATE TYPE grant_kind AS ENUM ('full_energy');
COMMENT ON TYPE grant_kind IS 'What a grant gives.';

-- Generations -----------------------------------------------------------------------------------------------------

CREATE TABLE generations (
    generation smallint CONSTRAINT generations_pkey PRIMARY KEY
        CONSTRAINT generations_generation_check CHECK (generation >= 1),
    threshold bigint NOT NULL CONSTRAINT generations_threshold_key UNIQUE
        CONSTRAINT generations_threshold_check CHECK (threshold >= 1)
);
COMMENT ON TABLE generations IS 'Who joined when: generation g holds the players with join_seq up to its threshold.';
COMMENT ON COLUMN generations.threshold IS 'The last join_seq of this generation.';

INSERT INTO generations (generation, threshold)
SELECT g, 1000 * ((4::numeric ^ g)::bigint - 1) / 3 FROM generate_series(1, 14) AS g;

-- Nodes -----------------------------------------------------------------------------------------------------------

CREATE TABLE nodes (
    name text CONSTRAINT nodes_pkey PRIMARY KEY
        CONSTRAINT nodes_name_check CHECK (length(name) BETWEEN 1 AND 255),
    run uuid NOT NULL CONSTRAINT nodes_run_key UNIQUE,
    url text NOT NULL CONSTRAINT nodes_url_check CHECK (length(url) <= 2048),
    started_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz NOT NULL,
    flushed_until timestamptz,
    settled_batch bigint NOT NULL DEFAULT 0 CONSTRAINT nodes_settled_batch_check CHECK (settled_batch >= 0)
);
COMMENT ON TABLE nodes IS 'Server processes by name; whoever holds the advisory lock of a name writes its row.';
COMMENT ON COLUMN nodes.run IS 'This start of the process; another one of the same name replaces it.';
COMMENT ON COLUMN nodes.url IS 'The node''s own socket address, empty if it publishes none.';
COMMENT ON COLUMN nodes.lease_until IS 'Until then nobody else may claim the players it owns.';
COMMENT ON COLUMN nodes.flushed_until IS 'Watermark: everything it received before this time is committed.';
COMMENT ON COLUMN nodes.settled_batch IS 'Watermark: the outcome of every batch of this run up to this number is known to it.';

-- Players ---------------------------------------------------------------------------------------------------------

CREATE TABLE players (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT players_pkey PRIMARY KEY,
    public_id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT players_public_id_key UNIQUE,
    telegram_id bigint CONSTRAINT players_telegram_id_key UNIQUE
        CONSTRAINT players_telegram_id_check CHECK (telegram_id > 0),
    dev_name text CONSTRAINT players_dev_name_key UNIQUE
        CONSTRAINT players_dev_name_check CHECK (length(dev_name) BETWEEN 1 AND 64),
    display_name text NOT NULL CONSTRAINT players_display_name_check CHECK (length(display_name) BETWEEN 1 AND 128),
    premium boolean NOT NULL DEFAULT false,
    join_seq bigint NOT NULL CONSTRAINT players_join_seq_key UNIQUE
        CONSTRAINT players_join_seq_check CHECK (join_seq >= 1),
    generation smallint NOT NULL CONSTRAINT players_generation_fkey REFERENCES generations,
    owner_epoch bigint NOT NULL DEFAULT 0 CONSTRAINT players_owner_epoch_check CHECK (owner_epoch >= 0),
    owner_node text CONSTRAINT players_owner_node_fkey REFERENCES nodes,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- what follows is written by the player's actor alone
    balance_mpt bigint NOT NULL DEFAULT 0
        CONSTRAINT players_balance_check CHECK (balance_mpt BETWEEN 0 AND 8999999999999999),
    unposted_mpt bigint NOT NULL DEFAULT 0
        CONSTRAINT players_unposted_check CHECK (unposted_mpt BETWEEN 0 AND balance_mpt),
    lifetime_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT players_lifetime_check CHECK (lifetime_mpt >= 0),
    xp bigint NOT NULL DEFAULT 0 CONSTRAINT players_xp_check CHECK (xp BETWEEN 0 AND 9007199254740991),
    taps bigint NOT NULL DEFAULT 0 CONSTRAINT players_taps_check CHECK (taps >= 0),
    tap_level smallint NOT NULL DEFAULT 1 CONSTRAINT players_tap_level_check CHECK (tap_level BETWEEN 1 AND 20),
    energy_cap_level smallint NOT NULL DEFAULT 1
        CONSTRAINT players_energy_cap_level_check CHECK (energy_cap_level BETWEEN 1 AND 20),
    energy_regen_level smallint NOT NULL DEFAULT 1
        CONSTRAINT players_energy_regen_level_check CHECK (energy_regen_level BETWEEN 1 AND 20),
    offline_level smallint NOT NULL DEFAULT 0
        CONSTRAINT players_offline_level_check CHECK (offline_level BETWEEN 0 AND 9),
    energy_ue bigint NOT NULL DEFAULT 1000000000 CONSTRAINT players_energy_check CHECK (energy_ue >= 0),
    energy_at timestamptz DEFAULT now(),
    bucket_mt bigint NOT NULL DEFAULT 40000
        CONSTRAINT players_bucket_check CHECK (bucket_mt BETWEEN 0 AND 900000),
    bucket_at timestamptz DEFAULT now(),
    combo bigint NOT NULL DEFAULT 0 CONSTRAINT players_combo_check CHECK (combo >= 0),
    last_tap_at timestamptz,
    tap_carry bigint NOT NULL DEFAULT 0
        CONSTRAINT players_tap_carry_check CHECK (tap_carry BETWEEN 0 AND 99999999),
    raw_day date NOT NULL DEFAULT 'epoch',
    raw_today_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT players_raw_today_check CHECK (raw_today_mpt >= 0),
    streak_days integer NOT NULL DEFAULT 0 CONSTRAINT players_streak_check CHECK (streak_days >= 0),
    double_until timestamptz,
    last_seen_at timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
-- A flush changes no indexed column, so with room left in the page its new row versions stay out of the indexes (HOT).
CREATE INDEX players_generation_idx ON players (generation);
CREATE INDEX players_owner_node_idx ON players (owner_node) WHERE owner_node IS NOT NULL;
COMMENT ON TABLE players IS 'One row per player; from balance_mpt on written only by the player''s actor, through its owner''s flush.';
COMMENT ON COLUMN players.public_id IS 'The player''s name for everyone outside the database.';
COMMENT ON COLUMN players.dev_name IS 'Login name where GAME_ENV=dev; load-test players have one too.';
COMMENT ON COLUMN players.join_seq IS 'The how-manieth player; gap-free.';
COMMENT ON COLUMN players.owner_epoch IS 'Fencing token: grows with every claim, and only the latest claimant''s writes count.';
COMMENT ON COLUMN players.owner_node IS 'The node whose memory holds the player; NULL when none does.';
COMMENT ON COLUMN players.balance_mpt IS 'Spendable tokens in mPT, unposted included.';
COMMENT ON COLUMN players.unposted_mpt IS 'The part of the balance that is not yet in the ledger.';
COMMENT ON COLUMN players.lifetime_mpt IS 'All tokens ever earned, in mPT.';
COMMENT ON COLUMN players.energy_ue IS 'Micro-energy at energy_at.';
COMMENT ON COLUMN players.bucket_mt IS 'Milli-taps in the rate bucket at bucket_at.';
COMMENT ON COLUMN players.combo IS 'Taps in the present run.';
COMMENT ON COLUMN players.last_tap_at IS 'Last accepted batch of taps.';
COMMENT ON COLUMN players.tap_carry IS 'Remainder of the income division.';
COMMENT ON COLUMN players.raw_day IS 'The UTC day that raw_today_mpt belongs to.';
COMMENT ON COLUMN players.raw_today_mpt IS 'Income of that day before the daily soft cap.';
COMMENT ON COLUMN players.double_until IS 'End of the ×2 boost.';
COMMENT ON COLUMN players.last_seen_at IS 'Last time a socket of the player was open.';

CREATE TABLE player_sessions (
    id uuid CONSTRAINT player_sessions_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT player_sessions_player_id_fkey REFERENCES players ON DELETE CASCADE,
    refresh_hash bytea NOT NULL CONSTRAINT player_sessions_refresh_hash_key UNIQUE
        CONSTRAINT player_sessions_refresh_hash_check CHECK (octet_length(refresh_hash) = 32),
    previous_hashes bytea[] NOT NULL DEFAULT '{}'
        CONSTRAINT player_sessions_previous_hashes_check CHECK (cardinality(previous_hashes) <= 32),
    client text NOT NULL CONSTRAINT player_sessions_client_check CHECK (length(client) <= 256),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT player_sessions_expires_check CHECK (expires_at > created_at)
);
CREATE INDEX player_sessions_player_id_idx ON player_sessions (player_id);
CREATE INDEX player_sessions_previous_hashes_idx ON player_sessions USING gin (previous_hashes);
COMMENT ON TABLE player_sessions IS 'A login on a device: a family of refresh tokens, each replacing the one before.';
COMMENT ON COLUMN player_sessions.refresh_hash IS 'Hash of the token that is valid now.';
COMMENT ON COLUMN player_sessions.previous_hashes IS 'Hashes of the latest replaced tokens; one shown again ends the family.';
COMMENT ON COLUMN player_sessions.expires_at IS 'End of the valid token.';

CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
COMMENT ON FUNCTION set_updated_at IS 'Trigger: the row changed now. Not on tables that a flush updates, which sets the column itself.';
CREATE TRIGGER player_sessions_updated_at BEFORE UPDATE ON player_sessions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
COMMENT ON TRIGGER player_sessions_updated_at ON player_sessions IS 'Shows when a login was last refreshed or ended.';

CREATE TABLE player_grants (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT player_grants_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT player_grants_player_id_fkey REFERENCES players ON DELETE CASCADE,
    key text NOT NULL CONSTRAINT player_grants_key_key UNIQUE
        CONSTRAINT player_grants_key_check CHECK (length(key) BETWEEN 1 AND 200),
    kind grant_kind NOT NULL,
    amount_mpt bigint NOT NULL DEFAULT 0
        CONSTRAINT player_grants_amount_check CHECK (amount_mpt BETWEEN 0 AND 8999999999999999),
    created_at timestamptz NOT NULL DEFAULT now(),
    applied_at timestamptz
);
CREATE INDEX player_grants_player_id_idx ON player_grants (player_id, applied_at);
COMMENT ON TABLE player_grants IS 'What others owe a player; only the player''s actor applies it, once, in its own flush.';
COMMENT ON COLUMN player_grants.key IS 'Deterministic: the same grant made twice is one row.';
COMMENT ON COLUMN player_grants.applied_at IS 'NULL until the actor''s flush that contains it has committed.';

CREATE FUNCTION notify_player_grants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY player_grants;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION notify_player_grants IS 'Trigger: tells the nodes to look for grants to the players they own.';
CREATE TRIGGER player_grants_notify AFTER INSERT ON player_grants
    FOR EACH STATEMENT EXECUTE FUNCTION notify_player_grants();
COMMENT ON TRIGGER player_grants_notify ON player_grants IS 'Once a statement, without payload: nodes read the rows.';

-- Write-behind ----------------------------------------------------------------------------------------------------

CREATE TABLE operation_cursors (
    player_id bigint NOT NULL CONSTRAINT operation_cursors_player_id_fkey REFERENCES players ON DELETE CASCADE,
    lineage bytea NOT NULL CONSTRAINT operation_cursors_lineage_check CHECK (octet_length(lineage) = 16),
    applied_seq bigint NOT NULL
        CONSTRAINT operation_cursors_applied_seq_check CHECK (applied_seq BETWEEN 0 AND 4294967295),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT operation_cursors_pkey PRIMARY KEY (player_id, lineage)
) WITH (fillfactor = 70);
COMMENT ON TABLE operation_cursors IS 'How far a client''s queue of operations is committed; moves with their effect, in the same transaction.';
COMMENT ON COLUMN operation_cursors.lineage IS 'Drawn at random by the client for its queue.';

CREATE TABLE write_batches (
    node_run uuid NOT NULL,
    batch bigint NOT NULL CONSTRAINT write_batches_batch_check CHECK (batch >= 1),
    minted_mpt bigint NOT NULL CONSTRAINT write_batches_minted_check CHECK (minted_mpt >= 0),
    burned_mpt bigint NOT NULL CONSTRAINT write_batches_burned_check CHECK (burned_mpt >= 0),
    committed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT write_batches_pkey PRIMARY KEY (node_run, batch)
);
COMMENT ON TABLE write_batches IS 'One row per flush, its first insert: after a COMMIT of unknown outcome the key tells whether it happened.';
COMMENT ON COLUMN write_batches.minted_mpt IS 'Gross minted by this flush; old rows are folded into economy_state and removed.';

-- Ledger ----------------------------------------------------------------------------------------------------------

CREATE TABLE ledger_keys (
    key text CONSTRAINT ledger_keys_pkey PRIMARY KEY
        CONSTRAINT ledger_keys_key_check CHECK (length(key) BETWEEN 1 AND 200),
    transaction_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT ledger_keys_transaction_id_key UNIQUE,
    node_run uuid NOT NULL,
    batch bigint NOT NULL
);
CREATE INDEX ledger_keys_batch_idx ON ledger_keys (node_run, batch);
COMMENT ON TABLE ledger_keys IS 'Every ledger transaction once, for ever: a unique index of the partitioned ledger could not promise that.';
COMMENT ON COLUMN ledger_keys.batch IS 'The flush that wrote it (write_batches, whose old rows go).';

CREATE TABLE token_transactions (
    transaction_id bigint NOT NULL CONSTRAINT token_transactions_transaction_id_fkey
        REFERENCES ledger_keys (transaction_id),
    posted_at timestamptz NOT NULL,
    account ledger_account NOT NULL,
    player_id bigint CONSTRAINT token_transactions_player_id_fkey REFERENCES players,
    kind transaction_kind NOT NULL,
    amount_mpt bigint NOT NULL CONSTRAINT token_transactions_amount_check CHECK (amount_mpt <> 0),
    balance_after_mpt bigint CONSTRAINT token_transactions_balance_after_check CHECK (balance_after_mpt >= 0),
    CONSTRAINT token_transactions_pkey PRIMARY KEY (transaction_id, account, posted_at),
    CONSTRAINT token_transactions_player_check CHECK ((account = 'player') = (player_id IS NOT NULL)),
    CONSTRAINT token_transactions_balance_check CHECK ((account = 'player') = (balance_after_mpt IS NOT NULL))
) PARTITION BY RANGE (posted_at);
CREATE INDEX token_transactions_player_id_idx ON token_transactions (player_id, transaction_id);
COMMENT ON TABLE token_transactions IS 'The ledger: append-only, double entry, two rows per transaction that sum to 0; a partition per month.';
COMMENT ON COLUMN token_transactions.balance_after_mpt IS 'The player''s posted balance (balance − unposted) after this entry.';

CREATE TABLE token_transactions_default PARTITION OF token_transactions DEFAULT;
COMMENT ON TABLE token_transactions_default IS 'Entries of months without a partition, so that a wrong clock stops no flush.';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
COMMENT ON FUNCTION refuse_change IS 'Trigger: what is written stays as it is.';
CREATE TRIGGER token_transactions_append_only BEFORE UPDATE OR DELETE ON token_transactions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER token_transactions_no_truncate BEFORE TRUNCATE ON token_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER token_transactions_default_no_truncate BEFORE TRUNCATE ON token_transactions_default
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_keys_append_only BEFORE UPDATE OR DELETE ON ledger_keys
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_keys_no_truncate BEFORE TRUNCATE ON ledger_keys
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON TRIGGER token_transactions_append_only ON token_transactions IS 'Ledger entries are never changed or deleted.';
COMMENT ON TRIGGER ledger_keys_append_only ON ledger_keys IS 'A key given up could be used twice.';

CREATE FUNCTION create_ledger_partitions(first_day date, months integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    next_month timestamptz;
    partition text;
    created integer := 0;
BEGIN
    FOR i IN 0 .. months - 1 LOOP
        month := (date_trunc('month', first_day::timestamp) + make_interval(months => i)) AT TIME ZONE 'UTC';
        next_month := (date_trunc('month', first_day::timestamp) + make_interval(months => i + 1)) AT TIME ZONE 'UTC';
        partition := to_char(month AT TIME ZONE 'UTC', '"token_transactions_"YYYY_MM');
        CONTINUE WHEN to_regclass(format('public.%I', partition)) IS NOT NULL;
        -- a month that has begun in the default partition stays there: entries are never moved
        CONTINUE WHEN EXISTS (
            SELECT FROM token_transactions_default WHERE posted_at >= month AND posted_at < next_month
        );
        EXECUTE format('CREATE TABLE %I (LIKE token_transactions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
        EXECUTE format(
            'ALTER TABLE token_transactions ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, month, next_month
        );
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
            partition || '_no_truncate', partition
        );
        created := created + 1;
    END LOOP;
    RETURN created;
END $$;
COMMENT ON FUNCTION create_ledger_partitions IS 'Makes sure of the ledger''s partitions for some months from a day on; returns how many it made.';

SELECT create_ledger_partitions(current_date, 3);

CREATE FUNCTION check_ledger_of_batch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong text;
BEGIN
    IF NOT EXISTS (SELECT FROM ledger_keys WHERE node_run = NEW.node_run AND batch = NEW.batch) THEN
        RETURN NULL;
    END IF;
    WITH entries AS (
        SELECT t.*
        FROM ledger_keys AS k JOIN token_transactions AS t USING (transaction_id)
        WHERE k.node_run = NEW.node_run AND k.batch = NEW.batch
    ), unbalanced AS (
        SELECT format('transaction %s does not sum to 0', transaction_id) AS what
        FROM entries GROUP BY transaction_id HAVING sum(amount_mpt) <> 0
    ), ends AS (
        SELECT player_id, min(transaction_id) AS first_id, sum(amount_mpt) AS moved_mpt,
            (array_agg(balance_after_mpt ORDER BY transaction_id DESC))[1] AS balance_after_mpt
        FROM entries WHERE account = 'player' GROUP BY player_id
    ), disagreeing AS (
        SELECT format('player %s has %s posted, the ledger says %s', e.player_id,
            p.balance_mpt - p.unposted_mpt, coalesce(before.balance_after_mpt, 0) + e.moved_mpt) AS what
        FROM ends AS e
        JOIN players AS p ON p.id = e.player_id
        LEFT JOIN LATERAL (
            SELECT t.balance_after_mpt FROM token_transactions AS t
            WHERE t.player_id = e.player_id AND t.transaction_id < e.first_id
            ORDER BY t.transaction_id DESC LIMIT 1
        ) AS before ON true
        WHERE (p.balance_mpt - p.unposted_mpt, e.balance_after_mpt)
            IS DISTINCT FROM
            (coalesce(before.balance_after_mpt, 0) + e.moved_mpt, coalesce(before.balance_after_mpt, 0) + e.moved_mpt)
    )
    SELECT string_agg(what, '; ') INTO wrong FROM (TABLE unbalanced UNION ALL TABLE disagreeing) AS all_wrong;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'ledger and balances disagree: %', wrong
            USING ERRCODE = 'check_violation', CONSTRAINT = 'write_batches_ledger_check';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION check_ledger_of_batch IS 'Trigger: the ledger rows of one flush balance, and continue and end at the stored balances.';
CREATE CONSTRAINT TRIGGER write_batches_ledger_check AFTER INSERT ON write_batches
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_ledger_of_batch();
COMMENT ON TRIGGER write_batches_ledger_check ON write_batches IS
    'At COMMIT, set-wise and once a flush; a constraint trigger on the ledger itself would fire for every row.';

-- Economy ---------------------------------------------------------------------------------------------------------

CREATE TABLE economy_state (
    hour timestamptz CONSTRAINT economy_state_pkey PRIMARY KEY
        CONSTRAINT economy_state_hour_check CHECK (extract(epoch FROM hour) % 3600 = 0),
    minted_mpt bigint NOT NULL CONSTRAINT economy_state_minted_check CHECK (minted_mpt >= 0),
    burned_mpt bigint NOT NULL CONSTRAINT economy_state_burned_check CHECK (burned_mpt >= 0),
    emission_bp integer NOT NULL CONSTRAINT economy_state_emission_check CHECK (emission_bp BETWEEN 500 AND 10000),
    folded_minted_mpt bigint NOT NULL
        CONSTRAINT economy_state_folded_minted_check CHECK (folded_minted_mpt BETWEEN 0 AND minted_mpt),
    folded_burned_mpt bigint NOT NULL
        CONSTRAINT economy_state_folded_burned_check CHECK (folded_burned_mpt BETWEEN 0 AND burned_mpt),
    fixed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE economy_state IS 'The economy at the beginning of each hour, fixed by the first node that inserts the row.';
COMMENT ON COLUMN economy_state.minted_mpt IS 'Gross minted ever, at the time the hour was fixed.';
COMMENT ON COLUMN economy_state.emission_bp IS 'Emission factor of the hour, in basis points.';
COMMENT ON COLUMN economy_state.folded_minted_mpt IS 'The part of minted_mpt whose write_batches rows have been removed.';

CREATE FUNCTION fold_write_batches(OUT minted_mpt bigint, OUT burned_mpt bigint) LANGUAGE sql AS $$
    WITH gone AS (
        DELETE FROM write_batches AS b
        WHERE b.committed_at < now() - interval '1 hour' AND (
            EXISTS (SELECT FROM nodes AS n WHERE n.run = b.node_run AND b.batch <= n.settled_batch)
            OR b.committed_at < now() - interval '1 day' AND NOT EXISTS (SELECT FROM nodes AS n WHERE n.run = b.node_run)
        )
        RETURNING b.minted_mpt, b.burned_mpt
    )
    SELECT coalesce(sum(gone.minted_mpt), 0)::bigint, coalesce(sum(gone.burned_mpt), 0)::bigint FROM gone
$$;
COMMENT ON FUNCTION fold_write_batches IS
    'Removes the batches whose outcome nobody will ask for again and returns their sums; the caller keeps those in economy_state.';

CREATE VIEW ledger_reconciliation AS
    SELECT 'player' AS what, p.id, (p.balance_mpt - p.unposted_mpt)::numeric AS expected_mpt,
        coalesce(l.ledger_mpt, 0) AS found_mpt
    FROM players AS p
    LEFT JOIN (
        SELECT player_id, sum(amount_mpt) AS ledger_mpt
        FROM token_transactions WHERE account = 'player' GROUP BY player_id
    ) AS l ON l.player_id = p.id
    WHERE p.balance_mpt - p.unposted_mpt <> coalesce(l.ledger_mpt, 0)
UNION ALL
    SELECT 'transaction', transaction_id, 0, sum(amount_mpt)
    FROM token_transactions GROUP BY transaction_id HAVING sum(amount_mpt) <> 0
UNION ALL
    SELECT 'economy', 0, total.minted_mpt - total.burned_mpt, total.held_mpt
    FROM (
        SELECT
            (SELECT coalesce(sum(minted_mpt), 0) FROM write_batches)
                + (SELECT coalesce(max(folded_minted_mpt), 0) FROM economy_state) AS minted_mpt,
            (SELECT coalesce(sum(burned_mpt), 0) FROM write_batches)
                + (SELECT coalesce(max(folded_burned_mpt), 0) FROM economy_state) AS burned_mpt,
            (SELECT coalesce(sum(balance_mpt), 0) FROM players)
                + coalesce((SELECT sum(amount_mpt) FROM token_transactions WHERE account = 'escrow'), 0) AS held_mpt
    ) AS total
    WHERE total.minted_mpt - total.burned_mpt <> total.held_mpt;
COMMENT ON VIEW ledger_reconciliation IS
    'Empty when all is well: balance − unposted = Σ ledger per player; entries sum to 0 per transaction; Σ balances + escrow = minted − burned.';
