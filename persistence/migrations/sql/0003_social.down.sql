-- Everything between players goes; the players, their balances and the ledger stay.
DROP TABLE late_scores, leaderboard_entries, leaderboards, player_competitions, competitions, chat_messages, chat_channels,
    community_upgrades, community_members, communities, friendships, emotional_investments, social_shares,
    viral_event_participants, viral_events, referrals;
DROP FUNCTION refuse_frozen_scores, keep_frozen, refuse_frozen_entries, guard_competition, number_chat, insist_on_owner,
    count_members, keep_referral;
DROP TYPE board_period, board_kind, competition_state, membership_state, community_role, community_joining,
    friendship_state, bond_target, share_platform;
DROP INDEX players_shadow_limited_idx, players_banned_until_idx, players_created_at_idx;
ALTER TABLE players
    DROP CONSTRAINT players_erased_check, DROP CONSTRAINT players_ban_reason_check,
    DROP COLUMN erased_at, DROP COLUMN shadow_limited_at, DROP COLUMN ban_reason, DROP COLUMN banned_until,
    DROP COLUMN referral_code;
DROP FUNCTION random_referral_code;
