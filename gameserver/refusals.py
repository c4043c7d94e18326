"""What the database refuses, as peers are told: the one place where a constraint becomes a wire error.

The database guards what must hold whatever the process does. An operation that gets that far has passed our own rules,
so most of these name a race or a bug; the peer is told what it can do about it, and the log has the constraint.
"""

from gameserver.errors import Conflict, Forbidden, Insufficient, Internal, InvalidArgument, NotFound, WireError
from persistence.errors import Rejected

_BUG = "the server failed at this; it changed nothing"

#: Constraints whose meaning is another than their kind says.
_BY_CONSTRAINT: dict[str, tuple[type[WireError], str]] = {
    "players_balance_check": (Insufficient, "there are not enough tokens"),
    "players_unposted_check": (Insufficient, "there are not enough tokens"),
    "communities_treasury_check": (Insufficient, "the treasury does not hold that much"),
    "communities_member_count_check": (Conflict, "the community is full"),
    "communities_owner_check": (Conflict, "a community cannot be without an owner"),
    "referrals_acyclic_check": (InvalidArgument, "nobody can be invited by who came later"),
    "leaderboard_entries_frozen": (Conflict, "the period is over"),
    "leaderboards_frozen": (Conflict, "the period is over"),
    "player_competitions_frozen": (Conflict, "the competition is over"),
    "competitions_state_machine": (Conflict, "the competition is not at that point"),
    "competitions_terms_fixed": (Conflict, "the competition's terms are fixed"),
    # nothing that a peer can ask for leads here
    "write_batches_ledger_check": (Internal, _BUG),
    "players_ledger_check": (Internal, _BUG),
    "player_grants_open_check": (Internal, _BUG),
    "players_stay_erased": (NotFound, "there is no such player any more"),
}

#: By the beginning of PostgreSQL's code (manual, appendix A), the longest first.
_BY_SQLSTATE: tuple[tuple[str, type[WireError], str], ...] = (
    ("23505", Conflict, "this has been done already"),  # unique_violation
    ("23P01", Conflict, "this overlaps with what is there"),  # exclusion_violation
    ("23503", NotFound, "what this refers to does not exist"),  # foreign_key_violation
    ("23514", InvalidArgument, "this is out of range"),  # check_violation
    ("23001", Forbidden, "what is written stays as it is"),  # restrict_violation
    ("22", InvalidArgument, "this is out of range"),  # data exceptions
)


def refusal(error: Exception) -> WireError:
    """The wire error for what the database refused: final, and without PostgreSQL's own words.

    Args:
        error: a `Rejected`; anything else is a bug of ours.
    """
    if not isinstance(error, Rejected):
        return Internal(_BUG)
    if error.constraint in _BY_CONSTRAINT:
        kind, message = _BY_CONSTRAINT[error.constraint]
        return kind(message)
    for prefix, kind, message in _BY_SQLSTATE:
        if error.sqlstate.startswith(prefix):
            return kind(message)
    return Internal(_BUG)
