"""What can go wrong, and whose fault it is.

    GameError
    ├── WireError                 the peer's fault: answered on the wire, never logged as ours
    │   ├── Malformed         1   not MessagePack, not a frame
    │   ├── Unauthenticated   2   who are you?
    │   ├── Forbidden         3   we know you; no
    │   ├── NotFound          4   no such thing
    │   ├── InvalidArgument   5   well-formed, but out of range or of the wrong type
    │   ├── Conflict          6   the state says no
    │   ├── Insufficient      7   not enough tokens, energy, level
    │   ├── Retryable             nobody's fault: the same operation may succeed later
    │   │   ├── RateLimited   8*  too often
    │   │   ├── Busy          9*  this actor's queue is full
    │   │   └── Unavailable  10*  the server cannot just now (database away, draining, quarantine)
    │   ├── Expired          11   (reserved) an offer that has passed
    │   ├── TooOld           12   (reserved) client version
    │   └── Internal         13   our bug, as the peer sees it: logged once, contained to one operation
    └── OperatorError             the operator's or user's fault: one sentence that says what to do; the CLI prints it
                                  and exits with `exit_code`

`*` is retryable: `retry_after_ms` > 0 and the operation's `seq` is not consumed. All others are final and consume it.
Everything else that is raised is our own bug. Codes: wire protocol, "Errors".
"""

import enum
from typing import ClassVar

RETRY_MS = 1_000  #: what peers are told to wait where nobody can say how long it will take


class ErrorCode(enum.IntEnum):
    """Codes of the ERROR frame (wire protocol, "Errors")."""

    MALFORMED = 1  #: not MessagePack, or not a frame of this protocol
    UNAUTHENTICATED = 2  #: no credential, or one that does not verify
    FORBIDDEN = 3  #: known, but not allowed
    NOT_FOUND = 4  #: no such thing
    INVALID_ARGUMENT = 5  #: wrong type or range
    CONFLICT = 6  #: the state says no
    INSUFFICIENT = 7  #: not enough of something
    RATE_LIMITED = 8  #: too often
    BUSY = 9  #: too much is waiting for this player already
    UNAVAILABLE = 10  #: the server cannot just now
    EXPIRED = 11  #: reserved: an offer that has passed
    TOO_OLD = 12  #: reserved: client below the minimum version
    INTERNAL = 13  #: a bug of the server in this operation


class GameError(Exception):
    """Root of every error we raise on purpose."""


class WireError(GameError):
    """Something a peer caused; becomes an ERROR frame.

    Args:
        message: one sentence for the developer of the client.
        seq: the operation it answers; 0 where none could be read.
        retry_after_ms: wait before the same operation may be sent again; 0 = final.
    """

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, *, seq: int = 0, retry_after_ms: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.seq = seq
        self.retry_after_ms = retry_after_ms

    @property
    def name(self) -> str:
        """The code's name as it goes over the wire, e.g. `invalid_argument`."""
        return self.code.name.lower()

    @property
    def consumes_seq(self) -> bool:
        """Whether the cursor moves over `seq`: a final error that names its operation consumes it like a success."""
        return self.seq > 0 and self.retry_after_ms == 0


class Malformed(WireError):
    """Not MessagePack, not an array, no op, too short, trailing bytes, an ext type. Carries seq 0."""

    code = ErrorCode.MALFORMED


class Unauthenticated(WireError):
    """A credential is missing or does not verify.

    Args:
        expired: the credential was good once; the client should refresh it.
    """

    code = ErrorCode.UNAUTHENTICATED

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.expired = expired


class Forbidden(WireError):
    """The player is known and may not do this."""

    code = ErrorCode.FORBIDDEN


class NotFound(WireError):
    """What the operation names does not exist."""

    code = ErrorCode.NOT_FOUND


class InvalidArgument(WireError):
    """Well-formed, but of the wrong type or out of range."""

    code = ErrorCode.INVALID_ARGUMENT


class Conflict(WireError):
    """The present state does not allow it."""

    code = ErrorCode.CONFLICT


class Insufficient(WireError):
    """Not enough tokens, energy or level."""

    code = ErrorCode.INSUFFICIENT


class Retryable(WireError):
    """The same operation may succeed later; consumes nothing, and blocks what follows it in its lineage.

    Args:
        message: one sentence for the developer of the client.
        retry_after_ms: wait before the same operation may be sent again; at least 1. Who is sent away with a GOODBYE
            is told another time, by how many there are (`gameserver.edge.returns`).
        seq: the operation it answers; 0 where none could be read.
    """

    def __init__(self, message: str, *, retry_after_ms: int = RETRY_MS, seq: int = 0) -> None:
        if retry_after_ms < 1:
            raise ValueError(f"a retryable error needs retry_after_ms >= 1, not {retry_after_ms}")
        super().__init__(message, seq=seq, retry_after_ms=retry_after_ms)


class RateLimited(Retryable):
    """Too often; retryable."""

    code = ErrorCode.RATE_LIMITED


class Busy(Retryable):
    """The actor's mailbox is full; retryable."""

    code = ErrorCode.BUSY


class Unavailable(Retryable):
    """The server cannot do this just now; retryable."""

    code = ErrorCode.UNAVAILABLE


class Expired(WireError):
    """Reserved: an offer that has passed."""

    code = ErrorCode.EXPIRED


class TooOld(WireError):
    """Reserved: the client's version is below the minimum."""

    code = ErrorCode.TOO_OLD


class Internal(WireError):
    """Our own bug, as the peer sees it."""

    code = ErrorCode.INTERNAL


def first_of(group: BaseExceptionGroup[Exception]) -> Exception:
    """The first error inside nested groups, as nurseries raise them."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


class OperatorError(GameError):
    """Something the person at the command line can put right.

    Args:
        message: one sentence that says what is wrong and what to do.
        exit_code: the process's exit status, 1 … 125.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
