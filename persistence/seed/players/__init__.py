"""A seeded game: players with a past, for measurements and for looking at (`gameserver seed --players N`).

    load        the transaction that fills an empty database
    history     who played on which day; in the end, what became of everybody
    play        one player's day
    extras, story, communities, invitations, competitions, contacts     what happens beside tapping
    population, ledger     who there is; what moved and what everybody has
    content, calendar, sheets     what the game offers; days and times; rows on their way to COPY

Nothing here looks at a clock or at the process's own randomness: the same plan and the same content give the same rows.
"""
