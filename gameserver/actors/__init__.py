"""Who owns which state, and in which order its messages run.

actor       what an actor is; its cell: mailbox, turns, phases
registry    key -> cell: single-flight activation, passivation, reload;  load_queue  who waits for it, in batches
supervisor  a turn that raised: log it, answer it, quarantine who raises too often
messages    what a player's actor is told, and whom it answers
player      the player's actor;  lineage  one queue of operations and its cursor;  feed  the player's own channel
player_view what clients see of it;  journal  what its turns wrote since the last flush
purchases   upgrades and boosts;  transfers  tokens to another player
suspicion   what a player's taps tell of who taps, looked at seldom
errands     what an operation looks up before its turn;  habitat  what all players of a node share
tally       what all of them did, for the metrics
schedule    what happens at fixed times: the hour's emission
player_loader  claims players in the database and makes actors of them
"""
