-- What has been counted, ranked and granted stays; only the means go, and the daily powers of communities.
DROP FUNCTION advance_competitions, settle_competition, competition_settlement, close_leaderboard_period,
    snapshot_leaderboards, snapshot_leaderboard, board_scores, is_shown, activate_referrals, due_activations, pay_pool, pool_shares,
    pool_of, recompute_influence, roll_up_day, expire_missions, prune, maintain_partitions, flushed_past, period_end,
    level_of, isqrt;
DROP INDEX token_transactions_posted_at_idx, player_habit_progress_day_idx, mini_game_sessions_started_at_idx,
    player_story_choices_chosen_at_idx, player_missions_period_start_idx, referrals_activated_at_idx;
DROP TABLE community_daily_power;
