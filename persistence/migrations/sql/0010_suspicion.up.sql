-- Who taps like a machine: what the taps tell, cases for operators to judge, and what only a look at many players tells.
-- Additive: an older node runs on, and counts nothing.

CREATE TABLE player_signals (
    player_id bigint CONSTRAINT player_signals_pkey PRIMARY KEY
        CONSTRAINT player_signals_player_id_fkey REFERENCES players ON DELETE CASCADE,
    score integer NOT NULL CONSTRAINT player_signals_score_check CHECK (score BETWEEN 0 AND 10000),
    signs jsonb NOT NULL CONSTRAINT player_signals_signs_check CHECK (jsonb_typeof(signs) = 'object'),
    over_limit boolean NOT NULL,
    kept_at timestamptz NOT NULL,
    batches integer NOT NULL CONSTRAINT player_signals_batches_check CHECK (batches BETWEEN 0 AND 1024),
    capped integer NOT NULL CONSTRAINT player_signals_capped_check CHECK (capped BETWEEN 0 AND 1024),
    claimed integer NOT NULL CONSTRAINT player_signals_claimed_check CHECK (claimed BETWEEN 0 AND 102400),
    refused integer NOT NULL CONSTRAINT player_signals_refused_check CHECK (refused BETWEEN 0 AND 102400),
    gaps integer NOT NULL CONSTRAINT player_signals_gaps_check CHECK (gaps BETWEEN 0 AND 512),
    gaps_sum bigint NOT NULL CONSTRAINT player_signals_gaps_sum_check CHECK (gaps_sum BETWEEN 0 AND 1536000),
    gaps_squares bigint NOT NULL
        CONSTRAINT player_signals_gaps_squares_check CHECK (gaps_squares BETWEEN 0 AND 4608000000),
    paces integer NOT NULL CONSTRAINT player_signals_paces_check CHECK (paces BETWEEN 0 AND 512),
    paces_sum bigint NOT NULL CONSTRAINT player_signals_paces_sum_check CHECK (paces_sum BETWEEN 0 AND 1536000000),
    paces_squares bigint NOT NULL
        CONSTRAINT player_signals_paces_squares_check CHECK (paces_squares BETWEEN 0 AND 4608000000000000),
    refills integer NOT NULL CONSTRAINT player_signals_refills_check CHECK (refills BETWEEN 0 AND 64),
    quick_refills integer NOT NULL CONSTRAINT player_signals_quick_refills_check CHECK (quick_refills BETWEEN 0 AND 64),
    hours bigint NOT NULL CONSTRAINT player_signals_hours_check CHECK (hours BETWEEN 0 AND 281474976710655),
    last_gap_ms integer NOT NULL CONSTRAINT player_signals_last_gap_check CHECK (last_gap_ms BETWEEN 0 AND 3000),
    last_pace_us integer NOT NULL CONSTRAINT player_signals_last_pace_check CHECK (last_pace_us BETWEEN 0 AND 3000000),
    last_taps integer NOT NULL CONSTRAINT player_signals_last_taps_check CHECK (last_taps BETWEEN 0 AND 100),
    last_batch_at timestamptz,
    awake_since timestamptz,
    hour_ends_at timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE player_signals IS
    'What a player''s batches of taps tell of who taps: counters of the actor, written once an hour and when it leaves.';
COMMENT ON COLUMN player_signals.score IS 'What they came to when they were written.';
COMMENT ON COLUMN player_signals.signs IS 'Points by sign.';
COMMENT ON COLUMN player_signals.over_limit IS
    'The threshold was crossed and the score has not fallen far since: the next crossing is none.';
COMMENT ON COLUMN player_signals.gaps IS 'Gaps between batches in the window; a pace is a gap by the taps it took.';
COMMENT ON COLUMN player_signals.hours IS 'A bit for each of the last 48 clock hours, the latest lowest: whether it had a batch.';
COMMENT ON COLUMN player_signals.awake_since IS 'End of the last pause of four hours.';

CREATE TYPE suspicion_state AS ENUM ('open', 'confirmed', 'cleared');
COMMENT ON TYPE suspicion_state IS 'open → confirmed | cleared, by an operator; cleared → open after 30 days at the earliest.';

CREATE TABLE suspicion_cases (
    player_id bigint CONSTRAINT suspicion_cases_pkey PRIMARY KEY
        CONSTRAINT suspicion_cases_player_id_fkey REFERENCES players ON DELETE CASCADE,
    state suspicion_state NOT NULL DEFAULT 'open',
    taps_score integer NOT NULL DEFAULT 0
        CONSTRAINT suspicion_cases_taps_score_check CHECK (taps_score BETWEEN 0 AND 10000),
    taps_signs jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT suspicion_cases_taps_signs_check CHECK (jsonb_typeof(taps_signs) = 'object'),
    company_score integer NOT NULL DEFAULT 0
        CONSTRAINT suspicion_cases_company_score_check CHECK (company_score BETWEEN 0 AND 10000),
    company_signs jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT suspicion_cases_company_signs_check CHECK (jsonb_typeof(company_signs) = 'object'),
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    reviewed_at timestamptz,
    CONSTRAINT suspicion_cases_changed_check CHECK (changed_at >= opened_at),
    CONSTRAINT suspicion_cases_reviewed_check CHECK ((state = 'open') = (reviewed_at IS NULL))
);
COMMENT ON TABLE suspicion_cases IS 'The operators'' queue: who was over the threshold, by which signs, and what was decided.';
COMMENT ON COLUMN suspicion_cases.taps_score IS 'By how the player taps, as of the last crossing.';
COMMENT ON COLUMN suspicion_cases.company_score IS 'By accounts on the same device or address, and by invitees who never play.';
COMMENT ON COLUMN suspicion_cases.changed_at IS 'When it was last suspected.';

CREATE FUNCTION suspicion_limit() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 6000;
COMMENT ON FUNCTION suspicion_limit IS 'From this score on a player is over the threshold; the same as in the game rules.';

CREATE FUNCTION suspect(
    suspected bigint, new_taps_score integer, new_taps_signs jsonb, new_company_score integer, new_company_signs jsonb, at timestamptz
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    suspicion suspicion_cases;
BEGIN
    -- first the player's row, which a flush has locked already: two that suspect one player do not wait in a circle
    PERFORM FROM players WHERE id = suspected AND erased_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE suspicion_cases AS c SET state = 'open', opened_at = suspect.at, changed_at = suspect.at, reviewed_at = NULL
    WHERE c.player_id = suspected AND c.state = 'cleared' AND c.reviewed_at < suspect.at - interval '30 days';
    INSERT INTO suspicion_cases AS c (player_id, taps_score, taps_signs, company_score, company_signs, opened_at, changed_at)
    VALUES (
        suspected, coalesce(new_taps_score, 0), coalesce(new_taps_signs, '{}'),
        coalesce(new_company_score, 0), coalesce(new_company_signs, '{}'), suspect.at, suspect.at
    )
    ON CONFLICT (player_id) DO UPDATE
    SET taps_score = coalesce(new_taps_score, c.taps_score), taps_signs = coalesce(new_taps_signs, c.taps_signs),
        company_score = coalesce(new_company_score, c.company_score),
        company_signs = coalesce(new_company_signs, c.company_signs), changed_at = greatest(c.changed_at, suspect.at)
    RETURNING c.* INTO suspicion;
    INSERT INTO security_logs (at, event, severity, player_id, score, detail)
    VALUES (
        suspect.at, 'suspicion', 'warning', suspected, least(suspicion.taps_score + suspicion.company_score, 10000),
        suspicion.taps_signs || suspicion.company_signs
    );
    IF suspicion.state = 'cleared' THEN
        RETURN false;
    END IF;
    UPDATE players SET shadow_limited_at = suspect.at WHERE id = suspected AND shadow_limited_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO security_logs (at, event, severity, player_id) VALUES (suspect.at, 'shadow_limited', 'warning', suspected);
    RETURN true;
END $$;
COMMENT ON FUNCTION suspect IS
    'Notes that a player is over the threshold: case, log, shadow limit; whether the limit is new. Whom an operator cleared is not limited for 30 days. NULL for a score that is not known anew.';

CREATE FUNCTION company_scores(at timestamptz) RETURNS TABLE (player_id bigint, score integer, signs jsonb)
LANGUAGE sql STABLE AS $$
    WITH seen AS (
        SELECT d.player_id, d.device,
            network(set_masklen(d.address, CASE family(d.address) WHEN 4 THEN 32 ELSE 64 END)) AS network
        FROM devices AS d WHERE d.last_seen_at > company_scores.at - interval '30 days'
    ), shared AS (
        -- a family has a tablet; a farm has dozens of accounts on a telephone
        SELECT s.player_id, 'device' AS sign, least(1000 * (max(d.accounts) - 3), 7000) AS points
        FROM seen AS s JOIN (
            SELECT device, count(DISTINCT seen.player_id) AS accounts FROM seen GROUP BY device
            HAVING count(DISTINCT seen.player_id) > 3
        ) AS d USING (device) GROUP BY s.player_id
    UNION ALL
        -- a school or a mobile operator has one address for many: never enough by itself
        SELECT s.player_id, 'address', least(100 * (max(n.accounts) - 20), 3000)
        FROM seen AS s JOIN (
            SELECT network, count(DISTINCT seen.player_id) AS accounts FROM seen WHERE network IS NOT NULL GROUP BY network
            HAVING count(DISTINCT seen.player_id) > 20
        ) AS n USING (network) GROUP BY s.player_id
    UNION ALL
        -- nor are invitees who never play, whom everybody has who posts a link in public
        SELECT r.inviter_id, 'invitees',
            2 * (10000 * count(*) FILTER (WHERE r.activated_at IS NULL AND p.xp < 100) / count(*) - 8000)
        FROM referrals AS r JOIN players AS p ON p.id = r.player_id
        WHERE r.joined_at > company_scores.at - interval '97 days' AND r.joined_at <= company_scores.at - interval '7 days'
        GROUP BY r.inviter_id HAVING count(*) >= 10
    )
    SELECT shared.player_id, least(sum(shared.points), 10000)::integer, jsonb_object_agg(shared.sign, shared.points)
    FROM shared WHERE shared.points > 0 GROUP BY shared.player_id
$$;
COMMENT ON FUNCTION company_scores IS
    'Points of each player who has any for the accounts beside it, on its device, at its address, among its invitees; a level is left at 100 XP.';

CREATE FUNCTION suspect_company(at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    due record;
    suspects bigint := 0;
BEGIN
    DELETE FROM player_signals WHERE kept_at < suspect_company.at - interval '30 days';
    FOR due IN
        SELECT f.player_id, f.score, f.signs, s.score AS taps_score, s.signs AS taps_signs
        FROM company_scores(suspect_company.at) AS f
        LEFT JOIN player_signals AS s ON s.player_id = f.player_id
        LEFT JOIN suspicion_cases AS c ON c.player_id = f.player_id
        WHERE f.score + coalesce(s.score, 0) >= suspicion_limit()
            -- once: a case that stands, and what was cleared lately, are not suspected again each day
            AND (c.player_id IS NULL OR c.state = 'cleared' AND c.reviewed_at < suspect_company.at - interval '30 days')
        ORDER BY f.player_id
    LOOP
        PERFORM suspect(due.player_id, due.taps_score, due.taps_signs, due.score, due.signs, suspect_company.at);
        suspects := suspects + 1;
    END LOOP;
    -- who judges an open case sees the company as it is now
    UPDATE suspicion_cases AS c SET company_score = f.score, company_signs = f.signs
    FROM company_scores(suspect_company.at) AS f
    WHERE c.player_id = f.player_id AND c.state = 'open' AND (c.company_score, c.company_signs) <> (f.score, f.signs);
    RETURN suspects;
END $$;
COMMENT ON FUNCTION suspect_company IS
    'Suspects those whom their taps and the accounts beside them bring over the threshold together; returns how many. Forgets signals of who has been away for 30 days.';

CREATE FUNCTION judge_suspicion(account uuid, verdict suspicion_state, at timestamptz, actor text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    judged players;
BEGIN
    SELECT * INTO judged FROM players WHERE public_id = account AND erased_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO suspicion_cases AS c (player_id, state, opened_at, changed_at, reviewed_at)
    VALUES (judged.id, verdict, judge_suspicion.at, judge_suspicion.at, judge_suspicion.at)
    ON CONFLICT (player_id) DO UPDATE SET state = excluded.state, reviewed_at = excluded.reviewed_at;
    IF (verdict = 'confirmed') = (judged.shadow_limited_at IS NULL) THEN
        UPDATE players SET shadow_limited_at = CASE verdict WHEN 'confirmed' THEN judge_suspicion.at END WHERE id = judged.id;
        INSERT INTO security_logs (at, event, severity, player_id) VALUES (
            judge_suspicion.at,
            CASE verdict WHEN 'confirmed' THEN 'shadow_limited' ELSE 'shadow_limit_lifted' END::security_event,
            'warning', judged.id
        );
    END IF;
    INSERT INTO admin_audit_log (actor, action, player_id)
    VALUES (actor, CASE verdict WHEN 'confirmed' THEN 'account.shadow_limit' ELSE 'account.lift' END, judged.id);
    RETURN true;
END $$;
COMMENT ON FUNCTION judge_suspicion IS
    'An operator''s verdict, confirmed or cleared: the limit is set or lifted, and the case closed; false: there is no such player.';

CREATE FUNCTION erase_suspicion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM player_signals WHERE player_id = NEW.id;
    DELETE FROM suspicion_cases WHERE player_id = NEW.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION erase_suspicion IS 'Trigger: how somebody tapped, and what was made of it, goes with the player.';
CREATE TRIGGER players_erased_suspicion AFTER UPDATE OF erased_at ON players
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION erase_suspicion();
COMMENT ON TRIGGER players_erased_suspicion ON players IS 'Whoever marks a player as erased erases the suspicion too.';

DROP VIEW suspicious_players;
CREATE VIEW suspicious_players AS
    SELECT p.public_id, p.display_name, c.state, least(c.taps_score + c.company_score, 10000) AS score,
        (SELECT string_agg(format('%s %s', s.key, s.value), ', ' ORDER BY s.value::integer DESC, s.key)
            FROM jsonb_each_text(c.taps_signs || c.company_signs) AS s) AS signs,
        p.shadow_limited_at, c.opened_at, c.changed_at, c.reviewed_at
    FROM suspicion_cases AS c JOIN players AS p ON p.id = c.player_id;
COMMENT ON VIEW suspicious_players IS 'The queue: whom a person should look at, why, and what was decided about others.';
