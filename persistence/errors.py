"""What can go wrong at the database, and whether trying again helps.

    PersistenceError
    ├── DatabaseUnavailable   lost, refused, too slow, deadlock, disk full: nothing was committed; try again
    │   └── OutcomeUnknown    the connection died while COMMIT was on its way: try again only what may happen twice
    ├── Rejected              PostgreSQL says no to these data, and will say no again
    │   └── Duplicate         a unique key is already there
    ├── LoginEnded            who asks was logged out, erased or moved meanwhile: not to be answered
    ├── SchemaMismatch        the schema is not the one this server was built for; says which command helps
    ├── BackupUnusable        the file is no sound backup that this server can restore
    └── SetupFailed           the operator's to put right: one sentence that says what is wrong and what to do
        ├── DataFolderInUse   another process runs the embedded database of this data folder
        └── NodeNameTaken     another process holds this node's name

Only `persistence.postgres` translates the driver's exceptions into these; nobody else sees the driver's.
"""


class PersistenceError(Exception):
    """Root of every error this package raises on purpose."""


class DatabaseUnavailable(PersistenceError):
    """Nothing was committed (but see `OutcomeUnknown`), and the same transaction may succeed later.

    Args:
        message: what happened.
        sqlstate: five characters, e.g. `55P03`; "" where it was not PostgreSQL that said so.
    """

    def __init__(self, message: str, *, sqlstate: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class OutcomeUnknown(DatabaseUnavailable):
    """The connection died in COMMIT; only a key written by the transaction can tell whether it happened.

    Args:
        message: what was lost, for the log.
        result: what the transaction's work returned before COMMIT was sent; true if the transaction did commit.
    """

    def __init__(self, message: str, *, result: object) -> None:
        super().__init__(message)
        self.result = result


class Rejected(PersistenceError):
    """PostgreSQL refuses these data (constraint, range, type, trigger); trying again changes nothing.

    Args:
        message: PostgreSQL's own words.
        sqlstate: five characters, e.g. `23514`; "" where the driver refused before sending.
        constraint: the name of the constraint, "" if there is none.
    """

    def __init__(self, message: str, *, sqlstate: str = "", constraint: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.constraint = constraint


class Duplicate(Rejected):
    """A unique key is already taken."""


class LoginEnded(PersistenceError):
    """The login that asks has ended, or its player is gone."""


class SchemaMismatch(PersistenceError):
    """The schema is older, newer or other than the one this server was built for."""


class BackupUnusable(PersistenceError):
    """A file that is damaged, no backup of this game, or made by a newer or other server."""


class SetupFailed(PersistenceError):
    """Something only the operator can change: address, folder, permission, installation."""


class DataFolderInUse(SetupFailed):
    """Another process runs the embedded database of this data folder."""


class NodeNameTaken(SetupFailed):
    """Another running process holds this node's name."""
