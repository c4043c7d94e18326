-- What is written down about accounts goes; who was erased stays erased. The ledger's partitions stay, and are made by
-- revision 0001's own function again.
DROP TRIGGER players_stay_erased ON players;
DROP TRIGGER players_erased ON players;
DROP FUNCTION keep_erased, erase_traces, erase_account, redeem_recovery_code, migrate_account, rotate_refresh_token, claim_players;
DROP INDEX write_batches_committed_at_idx, player_grants_applied_at_idx, player_grants_unapplied_idx,
    operation_cursors_updated_at_idx;
DROP TABLE schedules, write_dead_letters, operation_results, notification_outbox, notifications, admin_audit_log,
    account_recovery, rate_limit_logs, security_logs, analytics_events, impact_metrics, player_influence,
    player_daily_stats, game_sessions;
DROP INDEX player_sessions_expires_at_idx;
ALTER TABLE player_sessions DROP COLUMN device_id;
DROP TABLE devices;
DROP FUNCTION audit_problems, chain_audit, audit_hash;
COMMENT ON TRIGGER token_transactions_no_truncate ON token_transactions IS NULL;
COMMENT ON TRIGGER token_transactions_default_no_truncate ON token_transactions_default IS NULL;
COMMENT ON TRIGGER ledger_keys_no_truncate ON ledger_keys IS NULL;
DROP TYPE dead_letter_state, outbox_state, severity, security_event, impact_metric;
CREATE OR REPLACE FUNCTION create_ledger_partitions(first_day date, months integer) RETURNS integer LANGUAGE plpgsql AS $$
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
DROP FUNCTION drop_partitions, create_partitions, partition_key;
