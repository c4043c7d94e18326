"""What PostgreSQL's error codes mean for whoever has to decide whether to try again.

Codes and classes (the first two characters): PostgreSQL manual, appendix A.
"""

UNIQUE_VIOLATION = "23505"
LOCK_NOT_AVAILABLE = "55P03"  #: `lock_timeout` has passed
DEADLOCK_DETECTED = "40P01"

#: after these the same transaction may succeed: connection, resources, operator intervention, system, rollback
#: (serialization, deadlock), lock not available, read-only (a standby), time limits of a transaction
_TRANSIENT = ("08", "53", "57", "58", "40", "55P03", "25006", "25P03", "25P04")

#: these end the connection, so that the answer to a COMMIT stays unknown
_CONNECTION_LOST = ("08", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04")


def is_transient(sqlstate: str) -> bool:
    """Whether trying again may help."""
    return sqlstate.startswith(_TRANSIENT)


def ends_connection(sqlstate: str) -> bool:
    """Whether the connection is gone with it."""
    return sqlstate.startswith(_CONNECTION_LOST)
