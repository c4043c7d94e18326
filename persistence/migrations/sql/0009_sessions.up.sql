-- Logins as their owners see and end them, and what is barred from playing: told to every node at once.

ALTER TABLE player_sessions
    ADD COLUMN name text NOT NULL DEFAULT ''
        CONSTRAINT player_sessions_name_check CHECK (length(name) <= 64),
    ADD COLUMN address inet,
    ADD COLUMN last_seen_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX player_sessions_revoked_at_idx ON player_sessions (revoked_at) WHERE revoked_at IS NOT NULL;
COMMENT ON COLUMN player_sessions.name IS 'What the player calls it; empty: nothing.';
COMMENT ON COLUMN player_sessions.address IS 'Where it was last seen from.';
COMMENT ON COLUMN player_sessions.last_seen_at IS 'When a token or a socket of it was last used, to within some seconds.';

CREATE FUNCTION notify_barred_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('barred', 'session ' || OLD.id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION notify_barred_session IS 'Trigger: tells the nodes that a login has ended before its time.';
CREATE TRIGGER player_sessions_revoked AFTER UPDATE OF revoked_at ON player_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION notify_barred_session();
COMMENT ON TRIGGER player_sessions_revoked ON player_sessions IS 'Its sockets are closed at once, on whichever node they are.';
CREATE TRIGGER player_sessions_deleted AFTER DELETE ON player_sessions
    FOR EACH ROW WHEN (OLD.revoked_at IS NULL) EXECUTE FUNCTION notify_barred_session();
COMMENT ON TRIGGER player_sessions_deleted ON player_sessions IS 'The same for one whose row goes: its player is erased.';

CREATE FUNCTION notify_barred_player() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('barred', 'player ' || NEW.public_id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION notify_barred_player IS 'Trigger: tells the nodes that a player has been banned, or is no more.';
CREATE TRIGGER players_banned AFTER UPDATE OF banned_until ON players
    FOR EACH ROW WHEN (OLD.banned_until IS DISTINCT FROM NEW.banned_until) EXECUTE FUNCTION notify_barred_player();
COMMENT ON TRIGGER players_banned ON players IS 'Sockets of a banned player are closed at once; a ban that is lifted lets the player in again.';

CREATE FUNCTION set_ban(account uuid, until timestamptz, reason text, at timestamptz, actor text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    whom bigint;
BEGIN
    UPDATE players SET banned_until = set_ban.until, ban_reason = set_ban.reason
    WHERE public_id = account AND erased_at IS NULL RETURNING id INTO whom;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO security_logs (at, event, severity, player_id, detail)
    SELECT set_ban.at, CASE WHEN until IS NULL THEN 'unbanned' ELSE 'banned' END::security_event, 'warning', whom,
        CASE WHEN until IS NULL THEN '{}' ELSE jsonb_build_object('reason', set_ban.reason, 'until', until) END;
    INSERT INTO admin_audit_log (actor, action, player_id)
    VALUES (actor, CASE WHEN until IS NULL THEN 'account.unban' ELSE 'account.ban' END, whom);
    RETURN true;
END $$;
COMMENT ON FUNCTION set_ban IS 'Bans a player until a time, infinity for good, or lifts the ban where that is NULL; false: there is no such player.';
