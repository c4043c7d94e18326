-- Players among each other: who invited whom, friends, communities, chat, what they share; competitions and leaderboards.
-- Additive: an older node runs on.

-- What operators and the tree of invitations need to know of a player -----------------------------------------------

CREATE FUNCTION random_referral_code() RETURNS text LANGUAGE sql VOLATILE
BEGIN ATOMIC
    -- ten bytes of a random UUID that are random throughout; the remainder favours the first eight characters by a quarter
    SELECT string_agg(
        substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', get_byte(drawn.bytes, i) % 62 + 1, 1), ''
    )
    FROM (SELECT uuid_send(gen_random_uuid()) AS bytes) AS drawn, unnest(ARRAY[0, 1, 2, 3, 4, 5, 9, 10, 11, 12]) AS i;
END;
COMMENT ON FUNCTION random_referral_code IS 'Ten random base62 characters: a new player''s code, which is public.';

-- The default is drawn for each row there is, which rewrites the table once: seconds for a million players.
ALTER TABLE players
    ADD COLUMN referral_code text NOT NULL DEFAULT random_referral_code()
        CONSTRAINT players_referral_code_key UNIQUE
        CONSTRAINT players_referral_code_check CHECK (referral_code ~ '^[0-9A-Za-z]{8,12}$'),
    ADD COLUMN banned_until timestamptz,
    ADD COLUMN ban_reason text CONSTRAINT players_ban_reason_length_check CHECK (length(ban_reason) BETWEEN 1 AND 500),
    ADD COLUMN shadow_limited_at timestamptz,
    ADD COLUMN erased_at timestamptz,
    ADD CONSTRAINT players_ban_reason_check CHECK ((banned_until IS NULL) = (ban_reason IS NULL)),
    ADD CONSTRAINT players_erased_check CHECK (erased_at IS NULL OR (telegram_id IS NULL AND dev_name IS NULL));
CREATE INDEX players_created_at_idx ON players (created_at);
CREATE INDEX players_banned_until_idx ON players (banned_until) WHERE banned_until IS NOT NULL;
CREATE INDEX players_shadow_limited_idx ON players (id) WHERE shadow_limited_at IS NOT NULL;
COMMENT ON COLUMN players.referral_code IS 'Invites others: start_param r_<code>.';
COMMENT ON COLUMN players.banned_until IS 'No login before; infinity = for good.';
COMMENT ON COLUMN players.shadow_limited_at IS 'Since then others do not see this player on boards.';
COMMENT ON COLUMN players.erased_at IS 'Erased on the player''s own wish: nothing personal is left, the ledger stays whole.';

-- Invitations -------------------------------------------------------------------------------------------------------

CREATE TABLE referrals (
    player_id bigint CONSTRAINT referrals_pkey PRIMARY KEY CONSTRAINT referrals_player_id_fkey REFERENCES players,
    inviter_id bigint NOT NULL CONSTRAINT referrals_inviter_id_fkey REFERENCES players,
    premium boolean NOT NULL DEFAULT false,
    joined_at timestamptz NOT NULL,
    activated_at timestamptz CONSTRAINT referrals_activated_check CHECK (activated_at >= joined_at),
    paid boolean NOT NULL DEFAULT false,
    first_due_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT referrals_first_due_check CHECK (first_due_mpt >= 0),
    first_carry smallint NOT NULL DEFAULT 0 CONSTRAINT referrals_first_carry_check CHECK (first_carry BETWEEN 0 AND 9999),
    second_due_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT referrals_second_due_check CHECK (second_due_mpt >= 0),
    second_carry smallint NOT NULL DEFAULT 0 CONSTRAINT referrals_second_carry_check CHECK (second_carry BETWEEN 0 AND 9999),
    -- An inviter was there first, and ids only grow: no circle can be closed.
    CONSTRAINT referrals_acyclic_check CHECK (inviter_id < player_id),
    CONSTRAINT referrals_paid_check CHECK (activated_at IS NOT NULL OR NOT paid)
) WITH (fillfactor = 80);
CREATE INDEX referrals_inviter_id_idx ON referrals (inviter_id, activated_at);
CREATE INDEX referrals_waiting_idx ON referrals (joined_at) WHERE activated_at IS NULL;
COMMENT ON TABLE referrals IS 'Who was invited by whom: a tree, written once, in the transaction that creates the player.';
COMMENT ON COLUMN referrals.premium IS 'The invited player had Telegram Premium on joining; pays the inviter twice as much.';
COMMENT ON COLUMN referrals.activated_at IS 'When the invited player reached level 5, if that was within 7 days.';
COMMENT ON COLUMN referrals.paid IS 'Whether the activation was among the inviter''s paid ones of that day.';
COMMENT ON COLUMN referrals.first_due_mpt IS 'Commission for the inviter from this player''s tap income, all time; grows with it, in its transaction.';
COMMENT ON COLUMN referrals.second_due_mpt IS 'The same for the inviter''s inviter.';

CREATE FUNCTION keep_referral() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR (NEW.player_id, NEW.inviter_id, NEW.joined_at) <> (OLD.player_id, OLD.inviter_id, OLD.joined_at)
        OR (OLD.activated_at IS NOT NULL AND NEW.activated_at IS DISTINCT FROM OLD.activated_at)
        OR NEW.first_due_mpt < OLD.first_due_mpt OR NEW.second_due_mpt < OLD.second_due_mpt
    THEN
        RAISE EXCEPTION 'who invited player % is written once, and what is due only grows', OLD.player_id
            USING ERRCODE = 'restrict_violation', TABLE = 'referrals', CONSTRAINT = 'referrals_write_once';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION keep_referral IS 'Trigger: the tree of invitations is written once.';
CREATE TRIGGER referrals_write_once BEFORE UPDATE OR DELETE ON referrals
    FOR EACH ROW EXECUTE FUNCTION keep_referral();
COMMENT ON TRIGGER referrals_write_once ON referrals IS 'Nobody is moved to another inviter; totals that only grow cannot be paid twice.';

CREATE TABLE viral_events (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT viral_events_pkey PRIMARY KEY,
    tier smallint NOT NULL CONSTRAINT viral_events_tier_check CHECK (tier BETWEEN 1 AND 5),
    activations integer NOT NULL CONSTRAINT viral_events_activations_check CHECK (activations >= 100 * 2 ^ (tier - 1)),
    event_bp integer NOT NULL CONSTRAINT viral_events_event_bp_check CHECK (event_bp = 1000 * tier),
    started_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    CONSTRAINT viral_events_ends_check CHECK (ends_at > started_at AND ends_at <= started_at + interval '1 hour'),
    CONSTRAINT viral_events_never_stack EXCLUDE USING gist (tstzrange(started_at, ends_at) WITH &&)
);
CREATE INDEX viral_events_started_at_idx ON viral_events (started_at DESC);
COMMENT ON TABLE viral_events IS 'A bonus for everyone when many invitations come to life at once; a higher one cuts the running one short.';

CREATE TABLE viral_event_participants (
    viral_event_id bigint NOT NULL CONSTRAINT viral_event_participants_viral_event_id_fkey REFERENCES viral_events
        ON DELETE CASCADE,
    player_id bigint NOT NULL CONSTRAINT viral_event_participants_player_id_fkey REFERENCES players ON DELETE CASCADE,
    activations integer NOT NULL CONSTRAINT viral_event_participants_activations_check CHECK (activations >= 1),
    CONSTRAINT viral_event_participants_pkey PRIMARY KEY (viral_event_id, player_id)
);
CREATE INDEX viral_event_participants_player_id_idx ON viral_event_participants (player_id);
COMMENT ON TABLE viral_event_participants IS 'Whose invitations brought the event about, and how many.';

-- Sharing, bonds, friends -------------------------------------------------------------------------------------------

CREATE TYPE share_platform AS ENUM ('telegram_story', 'telegram_chat', 'x', 'facebook', 'instagram', 'whatsapp', 'tiktok');
COMMENT ON TYPE share_platform IS 'Where something was shared.';

CREATE TABLE social_shares (
    player_id bigint NOT NULL CONSTRAINT social_shares_player_id_fkey REFERENCES players ON DELETE CASCADE,
    platform share_platform NOT NULL,
    day date NOT NULL,
    reward_mpt reward_mpt NOT NULL,
    shared_at timestamptz NOT NULL,
    CONSTRAINT social_shares_pkey PRIMARY KEY (player_id, platform, day),
    CONSTRAINT social_shares_day_check CHECK ((shared_at AT TIME ZONE 'UTC')::date = day)
);
CREATE INDEX social_shares_day_idx ON social_shares (day);
COMMENT ON TABLE social_shares IS 'A share is rewarded once per player, platform and UTC day.';

CREATE TYPE bond_target AS ENUM ('character', 'community');
COMMENT ON TYPE bond_target IS 'Whom a player can have a bond with.';

CREATE TABLE emotional_investments (
    player_id bigint NOT NULL CONSTRAINT emotional_investments_player_id_fkey REFERENCES players ON DELETE CASCADE,
    target_kind bond_target NOT NULL,
    target text NOT NULL CONSTRAINT emotional_investments_target_check CHECK (length(target) BETWEEN 1 AND 64),
    bond smallint NOT NULL CONSTRAINT emotional_investments_bond_check CHECK (bond BETWEEN 0 AND 10000),
    seen_day date NOT NULL,
    CONSTRAINT emotional_investments_pkey PRIMARY KEY (player_id, target_kind, target)
);
COMMENT ON TABLE emotional_investments IS 'A player''s bond with characters of the story and communities; shown, never money.';
COMMENT ON COLUMN emotional_investments.target IS 'The character''s key, or the community''s public id.';
COMMENT ON COLUMN emotional_investments.bond IS 'On seen_day, in hundredths of a percent; it has lost 1 % for each day since.';

CREATE TYPE friendship_state AS ENUM ('requested', 'accepted', 'blocked');
COMMENT ON TYPE friendship_state IS 'requested → accepted; blocked by one side ends it until that side unblocks.';

CREATE TABLE friendships (
    low_id bigint NOT NULL CONSTRAINT friendships_low_id_fkey REFERENCES players ON DELETE CASCADE,
    high_id bigint NOT NULL CONSTRAINT friendships_high_id_fkey REFERENCES players ON DELETE CASCADE,
    state friendship_state NOT NULL,
    acted_by bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT friendships_pkey PRIMARY KEY (low_id, high_id),
    CONSTRAINT friendships_order_check CHECK (low_id < high_id),
    CONSTRAINT friendships_acted_by_check CHECK (acted_by IN (low_id, high_id))
);
CREATE INDEX friendships_high_id_idx ON friendships (high_id);
COMMENT ON TABLE friendships IS 'A pair of players once, the lower id first.';
COMMENT ON COLUMN friendships.acted_by IS 'Who asked, accepted or blocked.';

-- Communities -------------------------------------------------------------------------------------------------------

CREATE TYPE community_joining AS ENUM ('open', 'request', 'invitation');
COMMENT ON TYPE community_joining IS 'How one becomes a member.';
CREATE TYPE community_role AS ENUM ('owner', 'officer', 'member');
COMMENT ON TYPE community_role IS 'What a member may do.';
CREATE TYPE membership_state AS ENUM ('applied', 'invited', 'active', 'left');
COMMENT ON TYPE membership_state IS 'applied | invited → active → left, and back.';

CREATE TABLE communities (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT communities_pkey PRIMARY KEY,
    public_id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT communities_public_id_key UNIQUE,
    name text NOT NULL CONSTRAINT communities_name_check CHECK (length(name) BETWEEN 3 AND 40 AND name = btrim(name)),
    description text NOT NULL DEFAULT '' CONSTRAINT communities_description_check CHECK (length(description) <= 500),
    joining community_joining NOT NULL DEFAULT 'open',
    power bigint NOT NULL DEFAULT 0 CONSTRAINT communities_power_check CHECK (power >= 0),
    treasury_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT communities_treasury_check CHECK (treasury_mpt >= 0),
    member_count integer NOT NULL DEFAULT 0 CONSTRAINT communities_member_count_check CHECK (member_count BETWEEN 0 AND 10000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
);
CREATE UNIQUE INDEX communities_name_key ON communities (lower(name)) WHERE closed_at IS NULL;
CREATE INDEX communities_power_idx ON communities (power DESC, id) WHERE closed_at IS NULL;
COMMENT ON TABLE communities IS 'Groups of players with a common power and a common treasury.';
COMMENT ON COLUMN communities.power IS 'Accepted taps of its members while they were members, all time.';
COMMENT ON COLUMN communities.treasury_mpt IS 'Donated and not yet spent; the ledger holds it in escrow.';
COMMENT ON COLUMN communities.member_count IS 'Kept by triggers on community_members.';
CREATE TRIGGER communities_updated_at BEFORE UPDATE ON communities
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
COMMENT ON TRIGGER communities_updated_at ON communities IS 'Clients load a community again when this has moved.';

CREATE TABLE community_members (
    community_id bigint NOT NULL CONSTRAINT community_members_community_id_fkey REFERENCES communities,
    player_id bigint NOT NULL CONSTRAINT community_members_player_id_fkey REFERENCES players ON DELETE CASCADE,
    role community_role NOT NULL DEFAULT 'member',
    state membership_state NOT NULL DEFAULT 'active',
    contributed_taps bigint NOT NULL DEFAULT 0 CONSTRAINT community_members_contributed_check CHECK (contributed_taps >= 0),
    donated_mpt bigint NOT NULL DEFAULT 0 CONSTRAINT community_members_donated_check CHECK (donated_mpt >= 0),
    joined_at timestamptz NOT NULL,
    left_at timestamptz CONSTRAINT community_members_left_check CHECK (left_at >= joined_at),
    CONSTRAINT community_members_pkey PRIMARY KEY (community_id, player_id),
    CONSTRAINT community_members_state_check CHECK ((state = 'left') = (left_at IS NOT NULL)),
    CONSTRAINT community_members_role_check CHECK (role = 'member' OR state = 'active')
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX community_members_owner_key ON community_members (community_id) WHERE role = 'owner';
CREATE UNIQUE INDEX community_members_active_key ON community_members (player_id) WHERE state = 'active';
CREATE INDEX community_members_player_id_idx ON community_members (player_id);
COMMENT ON TABLE community_members IS 'Who is, was or wants to be in a community; one owner each, one active membership a player.';
COMMENT ON COLUMN community_members.contributed_taps IS 'The member''s own total, which only grows; the community takes the largest it has seen.';

CREATE FUNCTION count_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- set-wise, and in the order of ids: two that change the same communities do not wait in a circle
    IF TG_OP = 'INSERT' THEN
        PERFORM FROM communities WHERE id IN (SELECT community_id FROM arrived) ORDER BY id FOR NO KEY UPDATE;
        UPDATE communities AS c SET member_count = c.member_count + moved.number
        FROM (SELECT community_id, count(*) AS number FROM arrived WHERE state = 'active' GROUP BY community_id) AS moved
        WHERE c.id = moved.community_id;
    ELSIF TG_OP = 'DELETE' THEN
        UPDATE communities AS c SET member_count = c.member_count - moved.number
        FROM (SELECT community_id, count(*) AS number FROM gone WHERE state = 'active' GROUP BY community_id) AS moved
        WHERE c.id = moved.community_id;
    ELSE
        UPDATE communities AS c SET member_count = c.member_count + moved.number
        FROM (
            SELECT community_id, sum(number) AS number FROM (
                SELECT community_id, 1 AS number FROM arrived WHERE state = 'active'
                UNION ALL SELECT community_id, -1 FROM gone WHERE state = 'active'
            ) AS each GROUP BY community_id HAVING sum(number) <> 0
        ) AS moved
        WHERE c.id = moved.community_id;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION count_members IS 'Trigger: member_count follows the active rows of community_members.';
CREATE TRIGGER community_members_count_arrived AFTER INSERT ON community_members
    REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION count_members();
CREATE TRIGGER community_members_count_moved AFTER UPDATE ON community_members
    REFERENCING OLD TABLE AS gone NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION count_members();
CREATE TRIGGER community_members_count_gone AFTER DELETE ON community_members
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION count_members();
COMMENT ON TRIGGER community_members_count_arrived ON community_members IS 'Counts who joins; the community''s check refuses the 10 001st.';
COMMENT ON TRIGGER community_members_count_moved ON community_members IS 'Counts who becomes active or leaves.';
COMMENT ON TRIGGER community_members_count_gone ON community_members IS 'Counts who is removed.';

CREATE FUNCTION insist_on_owner() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    community bigint := CASE TG_TABLE_NAME WHEN 'communities' THEN (to_jsonb(NEW) ->> 'id')::bigint
        ELSE (to_jsonb(OLD) ->> 'community_id')::bigint END;
BEGIN
    IF EXISTS (SELECT FROM communities WHERE id = community AND closed_at IS NULL)
        AND NOT EXISTS (SELECT FROM community_members WHERE community_id = community AND role = 'owner')
    THEN
        RAISE EXCEPTION 'community % would have no owner', community
            USING ERRCODE = 'check_violation', TABLE = 'community_members', CONSTRAINT = 'communities_owner_check';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION insist_on_owner IS 'Trigger: at COMMIT a community that is not closed has an owner.';
CREATE CONSTRAINT TRIGGER communities_owner_check AFTER INSERT OR UPDATE OF closed_at ON communities
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION insist_on_owner();
COMMENT ON TRIGGER communities_owner_check ON communities IS 'A community is born with an owner.';
CREATE CONSTRAINT TRIGGER community_members_owner_check AFTER UPDATE OR DELETE ON community_members
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.role = 'owner') EXECUTE FUNCTION insist_on_owner();
COMMENT ON TRIGGER community_members_owner_check ON community_members IS 'Ownership passes on, it does not vanish.';

CREATE TABLE community_upgrades (
    community_id bigint NOT NULL CONSTRAINT community_upgrades_community_id_fkey REFERENCES communities ON DELETE CASCADE,
    upgrade_type_id integer NOT NULL CONSTRAINT community_upgrades_upgrade_type_id_fkey REFERENCES community_upgrade_types,
    level smallint NOT NULL CONSTRAINT community_upgrades_level_check CHECK (level BETWEEN 1 AND 30),
    spent_mpt bigint NOT NULL CONSTRAINT community_upgrades_spent_check CHECK (spent_mpt > 0),
    bought_at timestamptz NOT NULL,
    CONSTRAINT community_upgrades_pkey PRIMARY KEY (community_id, upgrade_type_id)
);
CREATE INDEX community_upgrades_upgrade_type_id_idx ON community_upgrades (upgrade_type_id);
COMMENT ON TABLE community_upgrades IS 'What a community has bought from its treasury, to which level.';

-- Chat --------------------------------------------------------------------------------------------------------------

CREATE TABLE chat_channels (
    channel text CONSTRAINT chat_channels_pkey PRIMARY KEY
        CONSTRAINT chat_channels_channel_check CHECK (channel ~ '^[a-z_]+(:[0-9A-Za-z-]+)?$' AND length(channel) <= 80),
    last_seq bigint NOT NULL CONSTRAINT chat_channels_last_seq_check CHECK (last_seq >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE chat_channels IS 'The last number of each channel; outlives the messages, which are pruned.';

CREATE TABLE chat_messages (
    channel text NOT NULL CONSTRAINT chat_messages_channel_fkey REFERENCES chat_channels DEFERRABLE INITIALLY DEFERRED,
    seq bigint NOT NULL CONSTRAINT chat_messages_seq_check CHECK (seq >= 1),
    player_id bigint NOT NULL CONSTRAINT chat_messages_player_id_fkey REFERENCES players ON DELETE CASCADE,
    body text NOT NULL CONSTRAINT chat_messages_body_check CHECK (length(body) BETWEEN 1 AND 500),
    sent_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT chat_messages_pkey PRIMARY KEY (channel, seq)
);
CREATE INDEX chat_messages_player_id_idx ON chat_messages (player_id);
CREATE INDEX chat_messages_sent_at_idx ON chat_messages USING brin (sent_at);
COMMENT ON TABLE chat_messages IS 'What was said, numbered without gaps in each channel.';
COMMENT ON COLUMN chat_messages.removed_at IS 'Taken down by a moderator or its author; the number stays.';

CREATE FUNCTION number_chat() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    torn text;
BEGIN
    INSERT INTO chat_channels (channel, last_seq) SELECT DISTINCT channel, 0 FROM arrived ON CONFLICT DO NOTHING;
    WITH runs AS (
        SELECT channel, min(seq) AS first_seq, max(seq) AS last_seq, count(*) AS number FROM arrived GROUP BY channel
    ), moved AS (
        UPDATE chat_channels AS c SET last_seq = runs.last_seq FROM runs
        WHERE c.channel = runs.channel AND runs.first_seq = c.last_seq + 1
            AND runs.last_seq = c.last_seq + runs.number
        RETURNING c.channel
    )
    SELECT runs.channel INTO torn FROM runs WHERE runs.channel NOT IN (SELECT channel FROM moved) LIMIT 1;
    IF torn IS NOT NULL THEN
        RAISE EXCEPTION 'messages of channel % do not follow the last one', torn
            USING ERRCODE = 'check_violation', TABLE = 'chat_messages', CONSTRAINT = 'chat_messages_gapless_check';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION number_chat IS 'Trigger: the numbers of a channel''s messages go on where the last one ended.';
CREATE TRIGGER chat_messages_gapless AFTER INSERT ON chat_messages
    REFERENCING NEW TABLE AS arrived FOR EACH STATEMENT EXECUTE FUNCTION number_chat();
COMMENT ON TRIGGER chat_messages_gapless ON chat_messages IS 'A reader who has n and n + 1 knows that nothing came between.';
CREATE TRIGGER chat_messages_numbered BEFORE UPDATE OF channel, seq ON chat_messages
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
COMMENT ON TRIGGER chat_messages_numbered ON chat_messages IS 'A message keeps its number, also when it is taken down.';

-- Competitions ------------------------------------------------------------------------------------------------------

CREATE TYPE competition_state AS ENUM ('scheduled', 'open', 'running', 'frozen', 'settled', 'cancelled');
COMMENT ON TYPE competition_state IS 'scheduled → open → running → frozen → settled; cancelled from any state before frozen.';

CREATE TABLE competitions (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT competitions_pkey PRIMARY KEY,
    public_id uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT competitions_public_id_key UNIQUE,
    title text NOT NULL CONSTRAINT competitions_title_check CHECK (length(title) BETWEEN 1 AND 80),
    state competition_state NOT NULL DEFAULT 'scheduled',
    entry_fee_mpt reward_mpt NOT NULL,
    bonus_mpt reward_mpt NOT NULL,
    min_level smallint NOT NULL DEFAULT 1 CONSTRAINT competitions_min_level_check CHECK (min_level BETWEEN 1 AND 1000),
    opens_at timestamptz NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    frozen_at timestamptz,
    settled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT competitions_times_check CHECK (opens_at <= starts_at AND starts_at < ends_at),
    CONSTRAINT competitions_frozen_check CHECK ((state IN ('frozen', 'settled')) = (frozen_at IS NOT NULL)),
    CONSTRAINT competitions_settled_check CHECK ((state IN ('settled', 'cancelled')) = (settled_at IS NOT NULL)),
    CONSTRAINT competitions_frozen_at_check CHECK (frozen_at >= ends_at AND (settled_at IS NULL OR settled_at >= frozen_at))
);
CREATE INDEX competitions_due_idx ON competitions (ends_at) WHERE state IN ('scheduled', 'open', 'running', 'frozen');
COMMENT ON TABLE competitions IS 'Who taps most between two instants, for the entry fees and a bonus.';
COMMENT ON COLUMN competitions.bonus_mpt IS 'Minted on top of the fees, only with ten entrants or more.';
CREATE TRIGGER competitions_updated_at BEFORE UPDATE ON competitions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
COMMENT ON TRIGGER competitions_updated_at ON competitions IS 'Clients load a competition again when this has moved.';

CREATE FUNCTION guard_competition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('scheduled', 'open'), ('open', 'running'), ('running', 'frozen'), ('frozen', 'settled'),
        ('scheduled', 'cancelled'), ('open', 'cancelled'), ('running', 'cancelled')
    ) THEN
        RAISE EXCEPTION 'competition % cannot go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation', TABLE = 'competitions', CONSTRAINT = 'competitions_state_machine';
    END IF;
    IF OLD.state <> 'scheduled' AND (NEW.entry_fee_mpt, NEW.bonus_mpt, NEW.starts_at, NEW.ends_at)
        <> (OLD.entry_fee_mpt, OLD.bonus_mpt, OLD.starts_at, OLD.ends_at)
    THEN
        RAISE EXCEPTION 'the terms of competition % are fixed since it opened', OLD.id
            USING ERRCODE = 'restrict_violation', TABLE = 'competitions', CONSTRAINT = 'competitions_terms_fixed';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION guard_competition IS 'Trigger: the life of a competition as a table of transitions; terms are fixed when it opens.';
CREATE TRIGGER competitions_state_machine BEFORE UPDATE ON competitions
    FOR EACH ROW EXECUTE FUNCTION guard_competition();
COMMENT ON TRIGGER competitions_state_machine ON competitions IS 'No step is skipped or taken back: prizes are settled once.';

CREATE TABLE player_competitions (
    competition_id bigint NOT NULL CONSTRAINT player_competitions_competition_id_fkey REFERENCES competitions,
    player_id bigint NOT NULL CONSTRAINT player_competitions_player_id_fkey REFERENCES players,
    fee_mpt reward_mpt NOT NULL,
    score bigint NOT NULL DEFAULT 0 CONSTRAINT player_competitions_score_check CHECK (score >= 0),
    entered_at timestamptz NOT NULL,
    reached_at timestamptz NOT NULL,
    place integer CONSTRAINT player_competitions_place_check CHECK (place >= 1),
    prize_mpt bigint NOT NULL DEFAULT 0
        CONSTRAINT player_competitions_prize_check CHECK (prize_mpt BETWEEN 0 AND 8999999999999999),
    refund_mpt reward_mpt NOT NULL DEFAULT 0,
    CONSTRAINT player_competitions_pkey PRIMARY KEY (competition_id, player_id),
    CONSTRAINT player_competitions_place_key UNIQUE (competition_id, place) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT player_competitions_refund_check CHECK (refund_mpt IN (0, fee_mpt) AND (refund_mpt = 0 OR prize_mpt = 0))
) WITH (fillfactor = 80);
CREATE INDEX player_competitions_player_id_idx ON player_competitions (player_id);
CREATE INDEX player_competitions_score_idx ON player_competitions (competition_id, score DESC, reached_at, player_id);
COMMENT ON TABLE player_competitions IS 'An entry: the player''s own total of accepted taps between start and end; place and prize once it is settled.';
COMMENT ON COLUMN player_competitions.prize_mpt IS 'Its limit is a balance''s: the fees of ten thousand entrants may be more than any one reward.';
COMMENT ON COLUMN player_competitions.reached_at IS 'When the score was reached: of equals, the earlier is ahead.';

-- Leaderboards ------------------------------------------------------------------------------------------------------

CREATE TYPE board_kind AS ENUM ('taps', 'tokens', 'xp', 'influence', 'supporters', 'streak', 'community_power');
COMMENT ON TYPE board_kind IS 'What a board ranks by.';
CREATE TYPE board_period AS ENUM ('day', 'week', 'month', 'all');
COMMENT ON TYPE board_period IS 'UTC days, weeks from Monday, months, or since the launch.';

CREATE TABLE leaderboards (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT leaderboards_pkey PRIMARY KEY,
    board board_kind NOT NULL,
    period board_period NOT NULL,
    period_start date NOT NULL,
    snapshot_at timestamptz,
    frozen_at timestamptz,
    CONSTRAINT leaderboards_period_key UNIQUE (board, period, period_start),
    CONSTRAINT leaderboards_period_start_check CHECK (
        CASE period WHEN 'week' THEN extract(isodow FROM period_start) = 1
            WHEN 'month' THEN extract(day FROM period_start) = 1
            WHEN 'all' THEN period_start = date 'epoch' ELSE true END
    ),
    CONSTRAINT leaderboards_frozen_check CHECK (frozen_at IS NULL OR (period <> 'all' AND snapshot_at IS NOT NULL))
);
CREATE INDEX leaderboards_open_idx ON leaderboards (period, period_start) WHERE frozen_at IS NULL;
COMMENT ON TABLE leaderboards IS 'A board in a period; frozen for good once every node has written past the period''s end.';
COMMENT ON COLUMN leaderboards.snapshot_at IS 'When its entries were last written.';

CREATE TABLE leaderboard_entries (
    leaderboard_id bigint NOT NULL CONSTRAINT leaderboard_entries_leaderboard_id_fkey REFERENCES leaderboards
        ON DELETE CASCADE,
    rank integer NOT NULL CONSTRAINT leaderboard_entries_rank_check CHECK (rank >= 1),
    player_id bigint CONSTRAINT leaderboard_entries_player_id_fkey REFERENCES players,
    community_id bigint CONSTRAINT leaderboard_entries_community_id_fkey REFERENCES communities,
    score bigint NOT NULL CONSTRAINT leaderboard_entries_score_check CHECK (score >= 0),
    reached_at timestamptz NOT NULL,
    previous_rank integer CONSTRAINT leaderboard_entries_previous_rank_check CHECK (previous_rank >= 1),
    CONSTRAINT leaderboard_entries_pkey PRIMARY KEY (leaderboard_id, rank),
    CONSTRAINT leaderboard_entries_player_key UNIQUE (player_id, leaderboard_id),
    CONSTRAINT leaderboard_entries_community_key UNIQUE (community_id, leaderboard_id),
    CONSTRAINT leaderboard_entries_who_check CHECK ((player_id IS NULL) <> (community_id IS NULL))
);
COMMENT ON TABLE leaderboard_entries IS 'A board''s latest snapshot: score descending, then who reached it first, then id, so ranks are unique.';
COMMENT ON COLUMN leaderboard_entries.previous_rank IS 'Rank in the snapshot before; NULL = new.';

CREATE FUNCTION refuse_frozen_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    frozen bigint;
BEGIN
    -- set-wise: a snapshot writes many. Entries that go with their whole board no longer find it, and may go.
    SELECT l.id INTO frozen FROM leaderboards AS l
    WHERE l.id IN (SELECT leaderboard_id FROM changed) AND l.frozen_at IS NOT NULL LIMIT 1;
    IF frozen IS NOT NULL THEN
        RAISE EXCEPTION 'leaderboard % is frozen: % refused', frozen, TG_OP
            USING ERRCODE = 'restrict_violation', TABLE = 'leaderboard_entries', CONSTRAINT = 'leaderboard_entries_frozen';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION refuse_frozen_entries IS 'Trigger: the entries of a frozen board stay as they are.';
CREATE TRIGGER leaderboard_entries_frozen_insert AFTER INSERT ON leaderboard_entries
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_frozen_entries();
CREATE TRIGGER leaderboard_entries_frozen_update AFTER UPDATE ON leaderboard_entries
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_frozen_entries();
CREATE TRIGGER leaderboard_entries_frozen_move AFTER UPDATE ON leaderboard_entries
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_frozen_entries();
CREATE TRIGGER leaderboard_entries_frozen_delete AFTER DELETE ON leaderboard_entries
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION refuse_frozen_entries();
COMMENT ON TRIGGER leaderboard_entries_frozen_insert ON leaderboard_entries IS 'Nobody is added to a frozen board.';
COMMENT ON TRIGGER leaderboard_entries_frozen_update ON leaderboard_entries IS 'Nothing on a frozen board is changed.';
COMMENT ON TRIGGER leaderboard_entries_frozen_move ON leaderboard_entries IS 'Nobody is moved from another board onto a frozen one.';
COMMENT ON TRIGGER leaderboard_entries_frozen_delete ON leaderboard_entries IS 'Nobody is taken off a frozen board.';

CREATE FUNCTION keep_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.frozen_at IS NULL OR (TG_OP = 'DELETE' AND OLD.frozen_at < now() - interval '366 days') THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    RAISE EXCEPTION 'leaderboard % is frozen: % refused', OLD.id, TG_OP
        USING ERRCODE = 'restrict_violation', TABLE = 'leaderboards', CONSTRAINT = 'leaderboards_frozen';
END $$;
COMMENT ON FUNCTION keep_frozen IS 'Trigger: a frozen board is neither opened again nor deleted within a year.';
CREATE TRIGGER leaderboards_frozen BEFORE UPDATE OR DELETE ON leaderboards
    FOR EACH ROW EXECUTE FUNCTION keep_frozen();
COMMENT ON TRIGGER leaderboards_frozen ON leaderboards IS 'Frozen means frozen.';

CREATE FUNCTION refuse_frozen_scores() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    competition bigint := coalesce(NEW.competition_id, OLD.competition_id);
BEGIN
    IF EXISTS (SELECT FROM competitions WHERE id = competition AND state IN ('frozen', 'settled', 'cancelled')) THEN
        RAISE EXCEPTION 'competition % is frozen: % refused', competition, TG_OP
            USING ERRCODE = 'restrict_violation', TABLE = 'player_competitions', CONSTRAINT = 'player_competitions_frozen';
    END IF;
    RETURN coalesce(NEW, OLD);
END $$;
COMMENT ON FUNCTION refuse_frozen_scores IS 'Trigger: after a competition''s end its entries and scores stay as they are.';
CREATE TRIGGER player_competitions_frozen BEFORE INSERT OR DELETE OR UPDATE OF score, reached_at, fee_mpt ON player_competitions
    FOR EACH ROW EXECUTE FUNCTION refuse_frozen_scores();
COMMENT ON TRIGGER player_competitions_frozen ON player_competitions IS
    'Refuses direct writes; a flush looks first and puts what comes too late into late_scores.';

CREATE TABLE late_scores (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT late_scores_pkey PRIMARY KEY,
    player_id bigint NOT NULL CONSTRAINT late_scores_player_id_fkey REFERENCES players ON DELETE CASCADE,
    competition_id bigint CONSTRAINT late_scores_competition_id_fkey REFERENCES competitions,
    leaderboard_id bigint CONSTRAINT late_scores_leaderboard_id_fkey REFERENCES leaderboards ON DELETE CASCADE,
    score bigint NOT NULL CONSTRAINT late_scores_score_check CHECK (score >= 0),
    received_at timestamptz NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT late_scores_where_check CHECK ((competition_id IS NULL) <> (leaderboard_id IS NULL))
);
CREATE INDEX late_scores_player_id_idx ON late_scores (player_id);
CREATE INDEX late_scores_competition_id_idx ON late_scores (competition_id) WHERE competition_id IS NOT NULL;
CREATE INDEX late_scores_leaderboard_id_idx ON late_scores (leaderboard_id) WHERE leaderboard_id IS NOT NULL;
COMMENT ON TABLE late_scores IS 'Scores that reached the database after their period was frozen: kept for an operator to judge, counted nowhere.';
