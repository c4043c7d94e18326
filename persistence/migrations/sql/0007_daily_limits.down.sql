-- Today's limits begin anew; nothing else goes.
DROP TABLE player_daily_limits;
