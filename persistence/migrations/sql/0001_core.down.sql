-- Everything of the first revision goes, data included.
DROP VIEW ledger_reconciliation;
DROP FUNCTION fold_write_batches;
DROP TABLE economy_state, write_batches, token_transactions, ledger_keys, operation_cursors, player_grants,
    player_sessions, players, nodes, generations;
DROP FUNCTION create_ledger_partitions, check_ledger_of_batch, refuse_change, notify_player_grants, set_updated_at,
    ms_from_time, time_from_ms;
DROP TYPE grant_kind, transaction_kind, ledger_account;
