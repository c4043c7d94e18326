-- What players have chosen goes: settings, passphrases, moves that are under way. Boards show everybody again.
CREATE OR REPLACE FUNCTION board_scores(board board_kind, period board_period, first_day date, at timestamptz)
RETURNS TABLE (player_id bigint, community_id bigint, score bigint, reached_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT p.id, NULL::bigint,
        CASE board_scores.board WHEN 'taps' THEN p.taps WHEN 'tokens' THEN p.lifetime_mpt WHEN 'xp' THEN p.xp ELSE p.streak_days END,
        coalesce(p.last_tap_at, p.created_at)
    FROM players AS p
    WHERE (board_scores.board = 'streak' OR board_scores.board IN ('taps', 'tokens', 'xp') AND board_scores.period = 'all')
        AND is_shown(p.shadow_limited_at, p.erased_at, p.banned_until, board_scores.at)
UNION ALL
    SELECT i.player_id, NULL, CASE board_scores.board WHEN 'influence' THEN i.influence ELSE i.supporters END, i.reached_at
    FROM player_influence AS i JOIN players AS p ON p.id = i.player_id
    WHERE board_scores.board IN ('influence', 'supporters')
        AND is_shown(p.shadow_limited_at, p.erased_at, p.banned_until, board_scores.at)
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
UNION ALL
    SELECT NULL, c.id, c.power - coalesce((
        SELECT w.power FROM community_daily_power AS w
        WHERE w.community_id = c.id AND w.day < board_scores.first_day AND board_scores.period <> 'all' ORDER BY w.day DESC LIMIT 1
    ), 0), c.updated_at
    FROM communities AS c
    WHERE board_scores.board = 'community_power' AND c.closed_at IS NULL
$$;
COMMENT ON FUNCTION board_scores IS 'What everybody who is shown has on a board in a period, as far as the database knows.';
DROP TRIGGER players_erased_choices ON players;
DROP TRIGGER players_moved ON players;
DROP FUNCTION prune_accounts, erase_choices, cancel_moves, complete_moves;
DROP TABLE account_moves, account_throttles, recovery_passphrases, player_settings;
DROP TYPE move_state, audience;
