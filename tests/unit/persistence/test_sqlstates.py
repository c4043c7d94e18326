"""Which of PostgreSQL's error codes mean: try again."""

import pytest

from persistence.sqlstates import ends_connection, is_transient


@pytest.mark.parametrize(
    ("sqlstate", "transient", "lost"),
    [
        ("08006", True, True),  # connection failure
        ("57P01", True, True),  # admin shutdown
        ("57P03", True, True),  # cannot connect now
        ("25P03", True, True),  # idle in transaction for too long
        ("57014", True, False),  # query canceled, as by statement_timeout
        ("40001", True, False),  # serialization failure
        ("40P01", True, False),  # deadlock
        ("53100", True, False),  # disk full
        ("55P03", True, False),  # lock not available
        ("25006", True, False),  # read-only
        ("23505", False, False),  # unique violation
        ("23514", False, False),  # check violation
        ("22003", False, False),  # numeric value out of range
        ("P0001", False, False),  # raise exception
        ("42P01", False, False),  # undefined table
        ("", False, False),
    ],
)
def test_codes(sqlstate: str, transient: bool, lost: bool) -> None:
    assert is_transient(sqlstate) is transient
    assert ends_connection(sqlstate) is lost
