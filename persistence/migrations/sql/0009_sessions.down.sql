-- Names, addresses and times of logins go; bans stay.
DROP FUNCTION set_ban;
DROP TRIGGER players_banned ON players;
DROP FUNCTION notify_barred_player;
DROP TRIGGER player_sessions_deleted ON player_sessions;
DROP TRIGGER player_sessions_revoked ON player_sessions;
DROP FUNCTION notify_barred_session;
DROP INDEX player_sessions_revoked_at_idx;
ALTER TABLE player_sessions DROP COLUMN last_seen_at, DROP COLUMN address, DROP COLUMN name;
