-- What operators look at: `gameserver report NAME` shows each of these views, `gameserver reconcile` asks whether all that
-- must agree does.

CREATE VIEW player_profiles AS
    SELECT p.id, p.public_id, p.display_name, p.generation, level_of(p.xp) AS level, p.xp, p.taps, p.balance_mpt, p.lifetime_mpt,
        p.streak_days, coalesce(i.influence, 0) AS influence, coalesce(i.supporters, 0) AS supporters,
        (SELECT count(*) FROM referrals AS r WHERE r.inviter_id = p.id) AS invited,
        (SELECT count(*) FROM player_achievements AS a WHERE a.player_id = p.id) AS achievements,
        (SELECT count(*) FROM player_badges AS b WHERE b.player_id = p.id) AS badges,
        (SELECT t.name FROM player_titles AS w JOIN titles AS t ON t.id = w.title_id WHERE w.player_id = p.id AND w.worn) AS title,
        (SELECT c.name FROM community_members AS m JOIN communities AS c ON c.id = m.community_id
            WHERE m.player_id = p.id AND m.state = 'active') AS community,
        (SELECT count(*) FROM player_sessions AS s WHERE s.player_id = p.id AND s.revoked_at IS NULL AND s.expires_at > now()) AS logins,
        p.banned_until, p.shadow_limited_at, p.erased_at, p.owner_node, p.created_at, p.last_seen_at
    FROM players AS p LEFT JOIN player_influence AS i ON i.player_id = p.id;
COMMENT ON VIEW player_profiles IS 'A player at a glance.';

CREATE VIEW current_standings AS
    SELECT l.board, l.period, l.period_start, e.rank, e.previous_rank - e.rank AS change,
        coalesce(p.display_name, c.name) AS name, coalesce(p.public_id, c.public_id) AS public_id, e.score, l.snapshot_at
    FROM leaderboards AS l
    JOIN leaderboard_entries AS e ON e.leaderboard_id = l.id
    LEFT JOIN players AS p ON p.id = e.player_id
    LEFT JOIN communities AS c ON c.id = e.community_id
    WHERE l.frozen_at IS NULL AND e.rank <= 100;
COMMENT ON VIEW current_standings IS 'The best hundred of every board that is not frozen, as of its last snapshot; change is + for up, NULL for new.';

CREATE VIEW economy_overview AS
    WITH moved AS (
        SELECT kind::text AS source,
            coalesce(-sum(amount_mpt) FILTER (WHERE account = 'mint'), 0) AS minted_mpt,
            coalesce(sum(amount_mpt) FILTER (WHERE account = 'burn'), 0) AS burned_mpt,
            coalesce(sum(amount_mpt) FILTER (WHERE account = 'escrow'), 0) AS escrow_mpt,
            count(*) FILTER (WHERE account = 'player') AS entries
        FROM token_transactions GROUP BY kind
    )
    SELECT source, minted_mpt, burned_mpt, escrow_mpt, entries, NULL::numeric AS float_mpt FROM moved
UNION ALL
    SELECT '(not yet posted)', coalesce(sum(unposted_mpt), 0), 0, 0, count(*) FILTER (WHERE unposted_mpt > 0), NULL FROM players
UNION ALL
    SELECT '(all)', coalesce(sum(minted_mpt), 0) + (SELECT coalesce(sum(unposted_mpt), 0) FROM players),
        coalesce(sum(burned_mpt), 0), coalesce(sum(escrow_mpt), 0), coalesce(sum(entries), 0)::bigint,
        (SELECT coalesce(sum(balance_mpt), 0) FROM players)
    FROM moved;
COMMENT ON VIEW economy_overview IS 'Where tokens come from and go to, by source; the last row sums up, with all that players hold.';

CREATE VIEW retention_cohorts AS
    SELECT (p.created_at AT TIME ZONE 'UTC')::date AS joined, count(*) AS players,
        count(*) FILTER (WHERE d1.day IS NOT NULL) AS day_1, count(*) FILTER (WHERE d7.day IS NOT NULL) AS day_7,
        count(*) FILTER (WHERE d30.day IS NOT NULL) AS day_30
    FROM players AS p
    LEFT JOIN player_daily_stats AS d1 ON d1.player_id = p.id AND d1.day = (p.created_at AT TIME ZONE 'UTC')::date + 1
    LEFT JOIN player_daily_stats AS d7 ON d7.player_id = p.id AND d7.day = (p.created_at AT TIME ZONE 'UTC')::date + 7
    LEFT JOIN player_daily_stats AS d30 ON d30.player_id = p.id AND d30.day = (p.created_at AT TIME ZONE 'UTC')::date + 30
    GROUP BY 1;
COMMENT ON VIEW retention_cohorts IS 'Of who joined on a day, how many played one, seven and thirty days later.';

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

CREATE VIEW competition_standings AS
    SELECT c.public_id AS competition, c.title, c.state, c.starts_at, c.ends_at,
        coalesce(e.place::bigint, row_number() OVER (PARTITION BY c.id ORDER BY e.score DESC, e.reached_at, e.player_id)) AS place,
        p.display_name, p.public_id, e.score, e.prize_mpt, e.refund_mpt
    FROM competitions AS c
    JOIN player_competitions AS e ON e.competition_id = c.id
    JOIN players AS p ON p.id = e.player_id;
COMMENT ON VIEW competition_standings IS 'Who is where in every competition; final once it is settled.';

CREATE VIEW community_ranking AS
    SELECT row_number() OVER (ORDER BY c.power DESC, c.id) AS rank, c.public_id, c.name, c.power, c.member_count, c.treasury_mpt,
        (SELECT p.display_name FROM community_members AS m JOIN players AS p ON p.id = m.player_id
            WHERE m.community_id = c.id AND m.role = 'owner') AS owner,
        (SELECT coalesce(least(sum(u.level * t.bonus_bp_per_level), 1000), 0) FROM community_upgrades AS u
            JOIN community_upgrade_types AS t ON t.id = u.upgrade_type_id WHERE u.community_id = c.id) AS bonus_bp
    FROM communities AS c WHERE c.closed_at IS NULL;
COMMENT ON VIEW community_ranking IS 'Communities by power, with what their upgrades give every member.';

CREATE VIEW mission_funnel AS
    SELECT m.key, m.period, count(p.*) AS drawn,
        count(*) FILTER (WHERE p.progress > 0) AS begun,
        count(*) FILTER (WHERE p.state IN ('completed', 'claimed')) AS completed,
        count(*) FILTER (WHERE p.state = 'claimed') AS claimed,
        count(*) FILTER (WHERE p.state = 'expired') AS expired,
        count(*) FILTER (WHERE p.state = 'rerolled') AS rerolled
    FROM missions AS m LEFT JOIN player_missions AS p ON p.mission_id = m.id
    GROUP BY m.id;
COMMENT ON VIEW mission_funnel IS 'How far players get in each mission; a step many do not take is too hard or not understood.';

CREATE FUNCTION query_statistics_rows()
RETURNS TABLE (query text, calls bigint, total_ms double precision, mean_ms double precision, rows bigint)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- an extension that an operator may have created, and that only counts where the server preloads it
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')
        AND 'pg_stat_statements' = ANY (string_to_array(replace(current_setting('shared_preload_libraries'), ' ', ''), ','))
    THEN
        RETURN QUERY EXECUTE format(
            'SELECT s.query, s.calls, s.total_exec_time, s.mean_exec_time, s.rows FROM %s AS s
             WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())',
            (SELECT format('%I.pg_stat_statements', n.nspname) FROM pg_extension AS e
                JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements')
        );
    END IF;
END $$;
COMMENT ON FUNCTION query_statistics_rows IS 'pg_stat_statements where it is installed and loaded, else nothing.';
CREATE VIEW query_statistics AS
    SELECT regexp_replace(query, '\s+', ' ', 'g') AS query, calls, round(total_ms::numeric, 1) AS total_ms,
        round(mean_ms::numeric, 3) AS mean_ms, rows
    FROM query_statistics_rows();
COMMENT ON VIEW query_statistics IS 'Which queries cost the database most; empty where pg_stat_statements is not installed.';

CREATE FUNCTION reconcile() RETURNS TABLE (invariant text, subject text, expected text, found text) LANGUAGE sql STABLE AS $$
    SELECT CASE r.what WHEN 'player' THEN 'a player''s balance without what is unposted is the sum of the ledger'
            WHEN 'transaction' THEN 'the entries of a transaction sum to 0'
            ELSE 'all balances and the escrow are what was minted and not burned' END,
        r.what || ' ' || r.id, r.expected_mpt::text, r.found_mpt::text
    FROM ledger_reconciliation AS r
UNION ALL
    SELECT 'the escrow holds what is on its way, what competitions and what communities hold', 'escrow',
        owed.mpt::text, held.mpt::text
    FROM (
        SELECT (SELECT coalesce(sum(amount_mpt), 0) FROM player_grants WHERE applied_at IS NULL
                AND kind IN ('transfer_received', 'competition_prize', 'competition_refund'))
            + (SELECT coalesce(sum(e.fee_mpt), 0) FROM player_competitions AS e JOIN competitions AS c ON c.id = e.competition_id
                WHERE c.state NOT IN ('settled', 'cancelled'))
            + (SELECT coalesce(sum(treasury_mpt), 0) FROM communities) AS mpt
    ) AS owed, (SELECT coalesce(sum(amount_mpt), 0) AS mpt FROM token_transactions WHERE account = 'escrow') AS held
    WHERE owed.mpt <> held.mpt
UNION ALL
    SELECT 'every entry of the ledger has its key', 'transaction ' || t.transaction_id, 'a key', 'none'
    FROM token_transactions AS t LEFT JOIN ledger_keys AS k ON k.transaction_id = t.transaction_id WHERE k.key IS NULL
UNION ALL
    SELECT 'a key has its entries', 'key ' || k.key, 'entries', 'none'
    FROM ledger_keys AS k WHERE NOT EXISTS (SELECT FROM token_transactions AS t WHERE t.transaction_id = k.transaction_id)
UNION ALL
    SELECT 'players are numbered without a gap', 'join_seq', count(*)::text, max(join_seq)::text
    FROM players HAVING count(*) <> coalesce(max(join_seq), 0)
UNION ALL
    SELECT 'a generation holds the players up to its threshold', 'player ' || p.id, g.generation::text, p.generation::text
    FROM players AS p CROSS JOIN LATERAL (
        SELECT min(t.generation) AS generation FROM generations AS t WHERE t.threshold >= p.join_seq
    ) AS g WHERE p.generation <> g.generation
UNION ALL
    SELECT 'member_count counts the active members', 'community ' || c.id, count(m.*)::text, c.member_count::text
    FROM communities AS c LEFT JOIN community_members AS m ON m.community_id = c.id AND m.state = 'active'
    GROUP BY c.id HAVING c.member_count <> count(m.*)
UNION ALL
    SELECT 'a channel''s last number is that of its last message', 'channel ' || c.channel, max(m.seq)::text, c.last_seq::text
    FROM chat_channels AS c JOIN chat_messages AS m ON m.channel = c.channel GROUP BY c.channel, c.last_seq HAVING max(m.seq) <> c.last_seq
UNION ALL
    SELECT 'ranks of a board have no gap', 'leaderboard ' || e.leaderboard_id, count(*)::text, max(e.rank)::text
    FROM leaderboard_entries AS e GROUP BY e.leaderboard_id HAVING count(*) <> max(e.rank)
UNION ALL
    SELECT 'the audit log is whole', 'entry ' || a.id, 'as it was written', a.problem FROM audit_problems() AS a
UNION ALL
    SELECT 'the story can be played to its end', 'scene ' || s.key, 'playable', s.problem FROM story_problems() AS s
$$;
COMMENT ON FUNCTION reconcile IS 'Every invariant that does not hold, with what is wrong; empty when all is well.';
