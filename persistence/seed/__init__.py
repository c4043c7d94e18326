"""What a database is filled with: the game's content, from data files; made-up players with a past."""
