-- What happens at its time, whoever is playing: for everybody at once, for a period that is over, once. The server's
-- schedule calls these functions and tells them the time; nothing here asks the clock. No balance is changed: what
-- players are owed becomes rows of player_grants, which their actors apply.

CREATE FUNCTION isqrt(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN floor(sqrt(n::double precision))::bigint;
COMMENT ON FUNCTION isqrt IS 'Integer square root, exact below 2^52: the root of a square is exact, and of k² − 1 it is a double below k.';

CREATE FUNCTION level_of(xp bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN 1 + isqrt(xp / 100);
COMMENT ON FUNCTION level_of IS 'The level that total XP amounts to; level l ends at 100·l².';

CREATE FUNCTION period_end(period board_period, period_start date) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE period WHEN 'day' THEN period_start + 1 WHEN 'week' THEN period_start + 7
    WHEN 'month' THEN (period_start + interval '1 month')::date ELSE date 'infinity' END;
COMMENT ON FUNCTION period_end IS 'The first day after a period.';

CREATE FUNCTION flushed_past(moment timestamptz, now_at timestamptz) RETURNS boolean LANGUAGE sql STABLE
RETURN now_at >= moment + interval '5 minutes' OR now_at >= moment AND NOT EXISTS (
    SELECT FROM nodes AS n WHERE n.lease_until > now_at AND (n.flushed_until IS NULL OR n.flushed_until < moment)
);
COMMENT ON FUNCTION flushed_past IS 'Whether all that happened before a moment is in the database: every live node has written past it, or has had five minutes.';

-- Partitions and pruning --------------------------------------------------------------------------------------------

CREATE FUNCTION maintain_partitions(today date) RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(create_partitions(parent, today, 3))
    FROM unnest(ARRAY['token_transactions', 'analytics_events', 'security_logs', 'rate_limit_logs']) AS parent
$$;
COMMENT ON FUNCTION maintain_partitions IS 'Makes sure that everything partitioned has this month and the next two; returns how many it made.';

CREATE FUNCTION prune(today date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    now_at timestamptz := today::timestamp AT TIME ZONE 'UTC';
    removed bigint;
    total bigint;
BEGIN
    total := drop_partitions('analytics_events', (today - interval '13 months')::date)
        + drop_partitions('security_logs', (today - interval '13 months')::date)
        + drop_partitions('rate_limit_logs', (today - interval '2 months')::date);
    -- longer than any client may keep its operations, which is 7 days; their stored answers go with them
    DELETE FROM operation_cursors WHERE updated_at < now_at - interval '30 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM player_sessions WHERE expires_at < now_at - interval '30 days' OR revoked_at < now_at - interval '30 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM account_recovery WHERE expires_at < now_at - interval '90 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM notifications WHERE expires_at < now_at;
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM chat_messages WHERE sent_at < now_at - interval '90 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    -- the ledger's keys stay for ever, so an old grant that came again would still be refused
    DELETE FROM player_grants WHERE applied_at < now_at - interval '90 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM player_missions WHERE state <> 'active' AND period_start < today - 180;
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM game_sessions WHERE started_at < now_at - interval '400 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM leaderboards WHERE period = 'day' AND frozen_at < now_at - interval '400 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM community_daily_power WHERE day < today - 400;
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    DELETE FROM write_dead_letters WHERE closed_at < now_at - interval '90 days';
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    -- of what comes every few minutes nobody asks later than the next time
    DELETE FROM schedules AS s WHERE s.period_start < now_at - interval '400 days' OR s.period_start < now_at - interval '3 days'
        AND s.job IN ('advance_competitions', 'snapshot_leaderboards', 'activate_referrals');
    GET DIAGNOSTICS removed = ROW_COUNT; total := total + removed;
    RETURN total;
END $$;
COMMENT ON FUNCTION prune IS 'Removes what has outlived its use; returns how many rows and partitions. Ledger, keys and statistics stay.';

-- Missions ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION expire_missions(today date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    expired bigint;
BEGIN
    -- who is in a node's memory expires his own
    UPDATE player_missions AS m SET state = 'expired'
    FROM players AS p
    WHERE m.state = 'active' AND p.id = m.player_id AND p.owner_node IS NULL
        AND (m.period = 'day' AND m.period_start < today OR m.period = 'week' AND m.period_start <= today - 7);
    GET DIAGNOSTICS expired = ROW_COUNT;
    RETURN expired;
END $$;
COMMENT ON FUNCTION expire_missions IS 'Ends the open missions of absent players whose period is over; returns how many. What is completed stays claimable.';

-- Statistics --------------------------------------------------------------------------------------------------------

CREATE TABLE community_daily_power (
    community_id bigint NOT NULL CONSTRAINT community_daily_power_community_id_fkey REFERENCES communities ON DELETE CASCADE,
    day date NOT NULL,
    power bigint NOT NULL CONSTRAINT community_daily_power_power_check CHECK (power >= 0),
    CONSTRAINT community_daily_power_pkey PRIMARY KEY (community_id, day)
);
CREATE INDEX community_daily_power_day_idx ON community_daily_power (day);
COMMENT ON TABLE community_daily_power IS 'A community''s power at the end of a UTC day; a period''s is the difference of two.';

CREATE FUNCTION roll_up_day(for_day date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    from_at timestamptz := for_day::timestamp AT TIME ZONE 'UTC';
    to_at timestamptz := (for_day + 1)::timestamp AT TIME ZONE 'UTC';
    written bigint;
BEGIN
    INSERT INTO community_daily_power (community_id, day, power)
    SELECT id, for_day, power FROM communities WHERE closed_at IS NULL AND power > 0 AND created_at < to_at
    ON CONFLICT (community_id, day) DO NOTHING;  -- asked again, it is another day's power by now

    INSERT INTO impact_metrics (day, metric, player_id, value)
    SELECT for_day, counted.metric::impact_metric, NULL, coalesce(counted.value, 0) FROM (
        SELECT stats.* FROM (
            SELECT count(*) FILTER (WHERE taps > 0) AS active, sum(taps) AS taps, sum(earned_mpt) AS earned,
                sum(spent_mpt) AS spent, sum(xp) AS xp, sum(sessions) AS sessions, sum(play_s) AS play
            FROM player_daily_stats WHERE day = for_day
        ) AS s, LATERAL (VALUES
            ('active_players', s.active), ('taps', s.taps), ('earned_mpt', s.earned), ('spent_mpt', s.spent),
            ('xp', s.xp), ('sessions', s.sessions), ('play_s', s.play)
        ) AS stats (metric, value)
        UNION ALL SELECT moved.* FROM (
            SELECT -sum(amount_mpt) FILTER (WHERE account = 'mint') AS minted,
                sum(amount_mpt) FILTER (WHERE account = 'burn') AS burned
            FROM token_transactions WHERE posted_at >= from_at AND posted_at < to_at
        ) AS t, LATERAL (VALUES ('minted_mpt', t.minted), ('burned_mpt', t.burned)) AS moved (metric, value)
        UNION ALL SELECT 'registrations', count(*) FROM players WHERE created_at >= from_at AND created_at < to_at
        UNION ALL SELECT 'missions_claimed', count(*) FROM player_missions
            WHERE period_start BETWEEN for_day - 7 AND for_day AND claimed_at >= from_at AND claimed_at < to_at
        UNION ALL SELECT 'habits_done', count(*) FROM player_habit_progress WHERE day = for_day
        UNION ALL SELECT 'mini_games_played', count(*) FROM mini_game_sessions
            WHERE state = 'finished' AND started_at >= from_at AND started_at < to_at
        UNION ALL SELECT 'story_choices', count(*) FROM player_story_choices WHERE chosen_at >= from_at AND chosen_at < to_at
        UNION ALL SELECT 'shares', count(*) FROM social_shares WHERE day = for_day
        UNION ALL SELECT 'chat_messages', count(*) FROM chat_messages WHERE sent_at >= from_at AND sent_at < to_at
        UNION ALL SELECT 'activations', count(*) FROM referrals WHERE activated_at >= from_at AND activated_at < to_at
    ) AS counted (metric, value)
    UNION ALL
    SELECT for_day, 'influence', i.player_id, i.influence
    FROM player_influence AS i JOIN player_daily_stats AS s ON s.player_id = i.player_id AND s.day = for_day
    WHERE s.taps > 0
    ON CONFLICT (day, metric, player_id) DO UPDATE SET value = excluded.value;
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN written;
END $$;
COMMENT ON FUNCTION roll_up_day IS 'Counts a UTC day that is over, for the whole game and for who was active; may be asked again and then corrects.';
-- what the day's counts look for
CREATE INDEX token_transactions_posted_at_idx ON token_transactions USING brin (posted_at);
CREATE INDEX player_habit_progress_day_idx ON player_habit_progress (day);
CREATE INDEX mini_game_sessions_started_at_idx ON mini_game_sessions USING brin (started_at);
CREATE INDEX player_story_choices_chosen_at_idx ON player_story_choices USING brin (chosen_at);
CREATE INDEX player_missions_period_start_idx ON player_missions (period_start);
CREATE INDEX referrals_activated_at_idx ON referrals (activated_at) WHERE activated_at IS NOT NULL;

-- Influence and the daily pool --------------------------------------------------------------------------------------

CREATE FUNCTION recompute_influence(at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    changed bigint;
BEGIN
    WITH active AS (
        SELECT r.player_id, r.inviter_id FROM referrals AS r JOIN players AS p ON p.id = r.player_id
        WHERE p.xp >= 1600 AND p.last_seen_at > recompute_influence.at - interval '7 days'
    ), invited AS (
        SELECT id, sum(direct)::integer AS direct, sum(second)::integer AS second FROM (
            SELECT a.inviter_id AS id, 1 AS direct, 0 AS second FROM active AS a
            UNION ALL
            SELECT r.inviter_id, 0, 1 FROM active AS a JOIN referrals AS r ON r.player_id = a.inviter_id
        ) AS each GROUP BY id
    ), derived AS (
        SELECT p.id, coalesce(i.direct, 0) AS direct, coalesce(i.second, 0) AS second,
            (10 * (level_of(p.xp) - 1) + isqrt(p.lifetime_mpt / 1000) + 25 * coalesce(i.direct, 0) + 5 * coalesce(i.second, 0))
                * (10000 + (5000 >> least(p.generation - 1, 13))) / 10000 AS influence
        FROM players AS p LEFT JOIN invited AS i ON i.id = p.id
        WHERE p.erased_at IS NULL AND (p.xp > 0 OR p.lifetime_mpt > 0 OR i.id IS NOT NULL)
    ), written AS (
        INSERT INTO player_influence AS f (player_id, active_direct, active_second, influence, supporters, reached_at)
        SELECT id, direct, second, influence, isqrt(influence / 50) + direct, recompute_influence.at
        FROM derived WHERE influence > 0
        ON CONFLICT (player_id) DO UPDATE
        SET active_direct = excluded.active_direct, active_second = excluded.active_second, influence = excluded.influence,
            supporters = excluded.supporters,
            reached_at = CASE WHEN f.influence = excluded.influence THEN f.reached_at ELSE excluded.reached_at END
        WHERE (f.active_direct, f.active_second, f.influence, f.supporters)
            <> (excluded.active_direct, excluded.active_second, excluded.influence, excluded.supporters)
        RETURNING 1
    ), faded AS (
        -- whose invitees have all gone quiet, and who was erased
        DELETE FROM player_influence AS f
        WHERE NOT EXISTS (SELECT FROM derived AS d WHERE d.id = f.player_id AND d.influence > 0)
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM written) + (SELECT count(*) FROM faded) INTO changed;
    RETURN changed;
END $$;
COMMENT ON FUNCTION recompute_influence IS
    'Influence and supporters of everybody (game rules, "Progression and economy"); returns how many changed.';

CREATE FUNCTION pool_of(for_day date, launch date) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    pool_mpt bigint := 100000000;
BEGIN
    FOR week IN 1 .. least(greatest(for_day - launch, 0) / 7, 1000) LOOP
        pool_mpt := greatest(pool_mpt * 9900 / 10000, 1000000);
    END LOOP;
    RETURN pool_mpt;
END $$;
COMMENT ON FUNCTION pool_of IS 'The pool of a day in mPT: 100 000 tokens in the week of the launch, 1 % less each week, never below 1 000.';

CREATE FUNCTION pool_shares(for_day date, pool_mpt bigint) RETURNS TABLE (player_id bigint, share_mpt bigint)
LANGUAGE sql STABLE AS $$
    WITH entitled AS (
        SELECT i.player_id, i.influence::numeric AS weight, sum(i.influence) OVER () AS weights
        FROM player_influence AS i JOIN player_daily_stats AS s ON s.player_id = i.player_id AND s.day = for_day
        WHERE s.taps > 0
    ), floored AS (
        SELECT e.player_id, div(pool_mpt * e.weight, e.weights)::bigint AS share_mpt,
            row_number() OVER (ORDER BY mod(pool_mpt * e.weight, e.weights) DESC, e.player_id) AS turn
        FROM entitled AS e
    )
    SELECT f.player_id, f.share_mpt + (f.turn <= pool_mpt - (SELECT sum(g.share_mpt) FROM floored AS g))::integer
    FROM floored AS f
$$;
COMMENT ON FUNCTION pool_shares IS 'A day''s pool shared by influence among who tapped that day, by largest remainder: the shares sum to the pool.';

CREATE FUNCTION pay_pool(for_day date, launch date) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    granted bigint;
BEGIN
    INSERT INTO player_grants (player_id, key, kind, amount_mpt)
    SELECT s.player_id, format('pool:%s:%s', for_day, s.player_id), 'pool_share', s.share_mpt
    FROM pool_shares(for_day, pool_of(for_day, launch)) AS s WHERE s.share_mpt > 0
    ON CONFLICT (key) DO NOTHING;
    GET DIAGNOSTICS granted = ROW_COUNT;
    RETURN granted;
END $$;
COMMENT ON FUNCTION pay_pool IS 'Grants everybody the share of a day''s pool; returns how many were granted one.';

-- Invitations -------------------------------------------------------------------------------------------------------

CREATE FUNCTION due_activations(now_at timestamptz) RETURNS TABLE (player_id bigint, inviter_id bigint, premium boolean, paid boolean)
LANGUAGE sql STABLE AS $$
    SELECT r.player_id, r.inviter_id, r.premium,
        row_number() OVER (PARTITION BY r.inviter_id ORDER BY r.joined_at, r.player_id) + (
            SELECT count(*) FROM referrals AS earlier
            WHERE earlier.inviter_id = r.inviter_id AND earlier.paid
                AND earlier.activated_at >= date_trunc('day', now_at, 'UTC') AND earlier.activated_at <= now_at
        ) <= 20
    FROM referrals AS r JOIN players AS p ON p.id = r.player_id
    -- an hour longer than seven days: whoever reached the level in time is found by the next hourly look
    WHERE r.activated_at IS NULL AND r.joined_at > now_at - interval '169 hours' AND r.joined_at <= now_at AND p.xp >= 1600
$$;
COMMENT ON FUNCTION due_activations IS 'Invited players who have reached level 5 within seven days, and whether the inviter is still paid for them that day.';

CREATE FUNCTION activate_referrals(now_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    activated bigint;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT * FROM due_activations(now_at)
    ), marked AS (
        UPDATE referrals AS r SET activated_at = now_at, paid = due.paid FROM due
        WHERE r.player_id = due.player_id AND r.activated_at IS NULL
        RETURNING due.*
    ), granted AS (
        INSERT INTO player_grants (player_id, key, kind, amount_mpt)
        SELECT m.inviter_id, format('referral:%s:inviter', m.player_id), 'referral_reward'::grant_kind,
            CASE WHEN m.premium THEN 5000000 ELSE 2500000 END
        FROM marked AS m WHERE m.paid
        UNION ALL
        SELECT m.player_id, format('referral:%s:friend', m.player_id), 'referral_reward', 2500000 FROM marked AS m WHERE m.paid
        ON CONFLICT (key) DO NOTHING
    )
    SELECT count(*) INTO activated FROM marked;
    RETURN activated;
END $$;
COMMENT ON FUNCTION activate_referrals IS 'Marks invitations that have come to life and grants both sides their reward; returns how many.';

-- Leaderboards ------------------------------------------------------------------------------------------------------

CREATE FUNCTION is_shown(shadow_limited_at timestamptz, erased_at timestamptz, banned_until timestamptz, at timestamptz)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN shadow_limited_at IS NULL AND erased_at IS NULL AND (banned_until IS NULL OR banned_until < at);
COMMENT ON FUNCTION is_shown IS 'Whether others see a player on boards: not if shadow-limited, erased or banned at that time.';

-- One query, so that it becomes a part of the one that asks: only the branch of the board is run, and who wants the best
-- thousand of a million does not sort the others.
CREATE FUNCTION board_scores(board board_kind, period board_period, first_day date, at timestamptz)
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

CREATE FUNCTION snapshot_leaderboard(board_id bigint, at timestamptz, ranks integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    shown leaderboards;
    entered bigint;
    old_ids bigint[];
    old_ranks integer[];
BEGIN
    SELECT * INTO STRICT shown FROM leaderboards WHERE id = board_id FOR UPDATE;
    SELECT array_agg(coalesce(e.player_id, e.community_id)), array_agg(e.rank) INTO old_ids, old_ranks
    FROM leaderboard_entries AS e WHERE e.leaderboard_id = board_id;
    DELETE FROM leaderboard_entries WHERE leaderboard_id = board_id;
    INSERT INTO leaderboard_entries (leaderboard_id, rank, player_id, community_id, score, reached_at, previous_rank)
    SELECT board_id, row_number() OVER (ORDER BY r.score DESC, r.reached_at, coalesce(r.player_id, r.community_id)),
        r.player_id, r.community_id, r.score, r.reached_at, b.rank
    FROM (
        SELECT s.* FROM board_scores(shown.board, shown.period, shown.period_start, at) AS s
        WHERE s.score > 0 ORDER BY s.score DESC, s.reached_at, coalesce(s.player_id, s.community_id) LIMIT ranks
    ) AS r
    LEFT JOIN unnest(old_ids, old_ranks) AS b (id, rank) ON b.id = coalesce(r.player_id, r.community_id);
    GET DIAGNOSTICS entered = ROW_COUNT;
    UPDATE leaderboards SET snapshot_at = at WHERE id = board_id;
    RETURN entered;
END $$;
COMMENT ON FUNCTION snapshot_leaderboard IS
    'Writes the ranks of a board anew (NULL: all of them), each with the rank before; who is shadow-limited, banned or erased is left out.';

CREATE FUNCTION snapshot_leaderboards(at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    today date := (at AT TIME ZONE 'UTC')::date;
    shown bigint;
    entered bigint := 0;
BEGIN
    INSERT INTO leaderboards (board, period, period_start)
    SELECT b, p.period, p.first_day
    FROM unnest(enum_range(NULL::board_kind)) AS b, (VALUES
        ('day'::board_period, today), ('week', date_trunc('week', today::timestamp)::date),
        ('month', date_trunc('month', today::timestamp)::date), ('all', date 'epoch')
    ) AS p (period, first_day)
    ON CONFLICT (board, period, period_start) DO NOTHING;
    FOR shown IN
        SELECT l.id FROM leaderboards AS l
        WHERE l.frozen_at IS NULL AND today >= l.period_start AND today < period_end(l.period, l.period_start) ORDER BY l.id
    LOOP
        entered := entered + snapshot_leaderboard(shown, at, 1000);
    END LOOP;
    RETURN entered;
END $$;
COMMENT ON FUNCTION snapshot_leaderboards IS 'Opens the boards of the periods that are running and writes the best thousand of each; returns how many entries.';

CREATE FUNCTION close_leaderboard_period(closing board_period, first_day date, at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    shown bigint;
    ranks integer;
    entered bigint := 0;
BEGIN
    INSERT INTO leaderboards (board, period, period_start) SELECT b, closing, first_day FROM unnest(enum_range(NULL::board_kind)) AS b
    ON CONFLICT (board, period, period_start) DO NOTHING;
    FOR shown, ranks IN
        -- everybody who did something in the period; of what is no sum over it, but how everybody stands, the best
        SELECT l.id, CASE WHEN l.board IN ('influence', 'supporters', 'streak') THEN 1000 END FROM leaderboards AS l
        WHERE l.period = closing AND l.period_start = first_day AND l.frozen_at IS NULL ORDER BY l.id
    LOOP
        entered := entered + snapshot_leaderboard(shown, at, ranks);
        UPDATE leaderboards SET frozen_at = at WHERE id = shown;
    END LOOP;
    RETURN entered;
END $$;
COMMENT ON FUNCTION close_leaderboard_period IS
    'Writes the final ranks of a period that is over and freezes its boards; what is frozen stays. Everybody''s where the board sums up the period, else the best thousand. Returns how many entries.';

-- Competitions ------------------------------------------------------------------------------------------------------

CREATE FUNCTION competition_settlement(competition bigint)
RETURNS TABLE (player_id bigint, place integer, from_fees_mpt bigint, from_bonus_mpt bigint, refund_mpt bigint)
LANGUAGE sql STABLE AS $$
    WITH entrant AS (
        SELECT e.player_id, e.fee_mpt, row_number() OVER (ORDER BY e.score DESC, e.reached_at, e.player_id)::integer AS place,
            count(*) OVER () AS entrants
        FROM player_competitions AS e WHERE e.competition_id = competition
    ), pool AS (
        -- in numeric, for nine thousand times the fees may be too much for a bigint
        SELECT div(sum(e.fee_mpt) * 9000, 10000)::bigint AS fees_mpt,
            div(sum(e.fee_mpt) * 9000, 10000)::bigint + CASE WHEN count(*) >= 10 THEN max(c.bonus_mpt) ELSE 0 END AS total_mpt,
            count(*) AS entrants
        FROM entrant AS e, competitions AS c WHERE c.id = competition
    ), weighted AS (
        SELECT e.player_id, e.place, w.weight, sum(w.weight) OVER () AS weights, pool.*
        FROM entrant AS e JOIN (VALUES (1, 5000), (2, 3000), (3, 2000)) AS w (place, weight) ON w.place = e.place, pool
        WHERE pool.entrants >= 2
    ), floored AS (
        SELECT w.*, div(w.total_mpt::numeric * w.weight, w.weights)::bigint AS floor_mpt,
            row_number() OVER (ORDER BY mod(w.total_mpt::numeric * w.weight, w.weights) DESC, w.place) AS turn
        FROM weighted AS w
    ), prized AS (
        SELECT f.*, f.floor_mpt + (f.turn <= f.total_mpt - sum(f.floor_mpt) OVER ())::integer AS prize_mpt FROM floored AS f
    ), filled AS (
        -- the fees pay the first places first, the bonus the rest: both sum exactly, and neither is ever negative
        SELECT p.player_id, p.prize_mpt,
            greatest(least(p.prize_mpt, p.fees_mpt - coalesce(sum(p.prize_mpt) OVER (ORDER BY p.place ROWS UNBOUNDED PRECEDING), 0) + p.prize_mpt), 0)::bigint
                AS from_fees_mpt
        FROM prized AS p
    )
    SELECT e.player_id, e.place, coalesce(f.from_fees_mpt, 0), coalesce(f.prize_mpt - f.from_fees_mpt, 0),
        CASE WHEN e.entrants < 2 THEN e.fee_mpt ELSE 0 END
    FROM entrant AS e LEFT JOIN filled AS f ON f.player_id = e.player_id
$$;
COMMENT ON FUNCTION competition_settlement IS
    'Places and prizes of a competition: nine tenths of the fees and the bonus, 5 : 3 : 2 by largest remainder; with one entrant the fee goes back.';

CREATE FUNCTION settle_competition(competition bigint, at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    burned bigint;
    run uuid := md5('settle_competition:' || competition)::uuid;
    entry bigint;
    granted bigint;
BEGIN
    UPDATE competitions SET state = 'settled', settled_at = at WHERE id = competition AND state = 'frozen';
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE player_competitions AS e SET place = s.place, prize_mpt = s.from_fees_mpt + s.from_bonus_mpt, refund_mpt = s.refund_mpt
    FROM competition_settlement(competition) AS s WHERE e.competition_id = competition AND e.player_id = s.player_id;
    INSERT INTO player_grants (player_id, key, kind, amount_mpt)
    SELECT s.player_id, format('%s:%s:%s', due.kind, competition, s.player_id), due.kind, due.amount_mpt
    FROM competition_settlement(competition) AS s, LATERAL (VALUES
        ('competition_prize'::grant_kind, s.from_fees_mpt), ('competition_bonus', s.from_bonus_mpt), ('competition_refund', s.refund_mpt)
    ) AS due (kind, amount_mpt)
    WHERE due.amount_mpt > 0;
    GET DIAGNOSTICS granted = ROW_COUNT;
    SELECT sum(e.fee_mpt - s.from_fees_mpt - s.refund_mpt) INTO burned
    FROM competition_settlement(competition) AS s JOIN player_competitions AS e
        ON e.competition_id = competition AND e.player_id = s.player_id;
    IF burned > 0 THEN
        INSERT INTO write_batches (node_run, batch, minted_mpt, burned_mpt) VALUES (run, 1, 0, burned);
        INSERT INTO ledger_keys (key, node_run, batch) VALUES (format('competition_burn:%s', competition), run, 1)
        RETURNING transaction_id INTO entry;
        INSERT INTO token_transactions (transaction_id, posted_at, account, kind, amount_mpt)
        VALUES (entry, at, 'escrow', 'competition_burn', -burned), (entry, at, 'burn', 'competition_burn', burned);
    END IF;
    RETURN granted;
END $$;
COMMENT ON FUNCTION settle_competition IS 'Grants the prizes of a frozen competition and burns the rest of its fees, once; returns how many grants.';

CREATE FUNCTION advance_competitions(now_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    moved bigint := 0;
    step bigint;
    due bigint;
BEGIN
    UPDATE competitions SET state = 'open' WHERE state = 'scheduled' AND opens_at <= now_at;
    GET DIAGNOSTICS step = ROW_COUNT; moved := moved + step;
    UPDATE competitions SET state = 'running' WHERE state = 'open' AND starts_at <= now_at;
    GET DIAGNOSTICS step = ROW_COUNT; moved := moved + step;
    UPDATE competitions SET state = 'frozen', frozen_at = now_at WHERE state = 'running' AND ends_at <= now_at AND flushed_past(ends_at, now_at);
    GET DIAGNOSTICS step = ROW_COUNT; moved := moved + step;
    FOR due IN SELECT id FROM competitions WHERE state = 'frozen' ORDER BY id FOR UPDATE SKIP LOCKED LOOP
        PERFORM settle_competition(due, now_at);
        moved := moved + 1;
    END LOOP;
    RETURN moved;
END $$;
COMMENT ON FUNCTION advance_competitions IS 'Takes every competition as far as the time allows: opens, starts, freezes, settles; returns how many steps.';
