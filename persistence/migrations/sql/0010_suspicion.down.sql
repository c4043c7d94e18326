-- What was counted and judged goes; shadow limits stay, and so does the security log.
DROP VIEW suspicious_players;
CREATE VIEW suspicious_players AS
    WITH seen AS (
        SELECT player_id, sum(score) AS score, count(*) AS signs, max(at) AS last_at,
            string_agg(DISTINCT detail ->> 'sign', ', ' ORDER BY detail ->> 'sign') AS what
        FROM security_logs WHERE event = 'suspicion' AND at > now() - interval '7 days' AND player_id IS NOT NULL GROUP BY player_id
    ), sharing AS (
        SELECT d.player_id, max(shared.accounts) AS accounts
        FROM devices AS d JOIN (
            SELECT device, count(*) AS accounts FROM devices GROUP BY device HAVING count(*) > 3
        ) AS shared ON shared.device = d.device
        GROUP BY d.player_id
    )
    SELECT p.public_id, p.display_name, coalesce(s.score, 0) AS score, coalesce(s.signs, 0) AS signs, s.what,
        coalesce(h.accounts, 1) AS accounts_on_device, p.shadow_limited_at, s.last_at
    FROM players AS p LEFT JOIN seen AS s ON s.player_id = p.id LEFT JOIN sharing AS h ON h.player_id = p.id
    WHERE (s.player_id IS NOT NULL OR h.player_id IS NOT NULL) AND p.erased_at IS NULL;
COMMENT ON VIEW suspicious_players IS 'Whom a person should look at: signs of the last seven days, and devices with more than three accounts.';

DROP TRIGGER players_erased_suspicion ON players;
DROP FUNCTION erase_suspicion, judge_suspicion, suspect_company, company_scores, suspect, suspicion_limit;
DROP TABLE suspicion_cases, player_signals;
DROP TYPE suspicion_state;
