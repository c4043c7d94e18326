-- What players have used up of what is limited per day: transfers to others, free boosts.

CREATE TABLE player_daily_limits (
    player_id bigint CONSTRAINT player_daily_limits_pkey PRIMARY KEY
        CONSTRAINT player_daily_limits_player_id_fkey REFERENCES players ON DELETE CASCADE,
    day date NOT NULL,
    sent_mpt bigint NOT NULL CONSTRAINT player_daily_limits_sent_check CHECK (sent_mpt >= 0),
    doubles smallint NOT NULL CONSTRAINT player_daily_limits_doubles_check CHECK (doubles >= 0),
    refills smallint NOT NULL CONSTRAINT player_daily_limits_refills_check CHECK (refills >= 0)
) WITH (fillfactor = 70);
COMMENT ON TABLE player_daily_limits IS
    'What a player has used up of what is limited per day; one row, of the last day on which any was used.';
COMMENT ON COLUMN player_daily_limits.day IS 'The UTC day that the counts belong to.';
COMMENT ON COLUMN player_daily_limits.sent_mpt IS 'Sent to others, fees not counted.';
COMMENT ON COLUMN player_daily_limits.doubles IS 'Free ×2 boosts used.';
COMMENT ON COLUMN player_daily_limits.refills IS 'Free refills of energy used.';
