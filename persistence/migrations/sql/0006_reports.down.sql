-- Views only: no data goes.
DROP FUNCTION reconcile;
DROP VIEW query_statistics, mission_funnel, community_ranking, competition_standings, suspicious_players, retention_cohorts,
    economy_overview, current_standings, player_profiles;
DROP FUNCTION query_statistics_rows;
