"""Every limit on how often something may be done: one table (docs/security.md, "Rate limits").

Taps are not in it: what counts of them is a rule of the game (a token bucket), and no frame of taps is refused.
"""

import enum
from dataclasses import dataclass
from typing import Final


class Scope(enum.StrEnum):
    """Whom a limit counts for."""

    SESSION = "session"  #: one socket
    PLAYER = "player"  #: all that one player does on this node, over sockets and HTTP
    ADDRESS = "address"  #: all that comes from one IPv4 address or one IPv6 /64 to this node


class LimitClass(enum.StrEnum):
    """Classes of what can be done too often."""

    FRAME = "frame"  #: a frame that is no TAP, refused ones included; beyond it the socket is closed with 4029
    PING = "ping"  #: PING
    READ = "read"  #: an action of kind `read`
    WRITE = "write"  #: a `soft` action that writes
    HARD = "hard"  #: a `hard` action: purchases, transfers
    HELLO = "hello"  #: HELLO; beyond it the socket is closed with 4029
    LOGIN = "login"  #: a login with what Telegram signed, over HTTP or in a HELLO, or by name in dev
    REFRESH = "refresh"  #: a refresh token over HTTP
    CREDENTIAL = "credential"  #: one that does not verify, wherever it is shown; too many, and none is looked at
    ACCOUNT_READ = "account_read"  #: looking at one's account over HTTP
    ACCOUNT_WRITE = "account_write"  #: changing it
    ACCOUNT_SENSITIVE = "account_sensitive"  #: changing what it hangs on: recovery, erasure, migration


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in a window that slides: at most `count` in each of its own, at most twice that in any other stretch."""

    scope: Scope
    limit_class: LimitClass
    count: int
    window_s: int
    why: str  #: for who reads the table

    @property
    def name(self) -> str:
        """Its name in logs, e.g. `player:hard`."""
        return f"{self.scope}:{self.limit_class}"


_SESSION, _PLAYER, _ADDRESS = Scope

#: A thousand players may share one address of a carrier, each of them far below what one player may.
TABLE: Final = (
    Limit(_SESSION, LimitClass.FRAME, 2_000, 10, "more than any client sends that heeds its refusals"),
    Limit(_SESSION, LimitClass.PING, 100, 10, "a client that measures its line"),
    Limit(_SESSION, LimitClass.READ, 1_000, 10, "pages that look often"),
    Limit(_SESSION, LimitClass.WRITE, 500, 10, "a queue that is sent again after a reconnect"),
    Limit(_SESSION, LimitClass.HARD, 200, 10, "the same, but each waits for a commit"),
    Limit(_PLAYER, LimitClass.READ, 2_000, 10, "two tabs that look often"),
    Limit(_PLAYER, LimitClass.WRITE, 1_000, 10, "two tabs that send their queues again"),
    Limit(_PLAYER, LimitClass.HARD, 300, 10, "more than anybody buys, over all tabs"),
    Limit(_PLAYER, LimitClass.HELLO, 120, 60, "eight tabs on a line that keeps breaking"),
    Limit(_PLAYER, LimitClass.LOGIN, 20, 60, "a page that is loaded again and again; each login is a transaction"),
    Limit(_PLAYER, LimitClass.ACCOUNT_READ, 120, 60, "a page that asks every second"),
    Limit(_PLAYER, LimitClass.ACCOUNT_WRITE, 60, 60, "somebody who tidies up"),
    Limit(_PLAYER, LimitClass.ACCOUNT_SENSITIVE, 30, 600, "somebody who makes mistakes; guesses are counted apart"),
    Limit(_ADDRESS, LimitClass.READ, 20_000, 10, "some percent of a core"),
    Limit(_ADDRESS, LimitClass.WRITE, 10_000, 10, "the same"),
    Limit(_ADDRESS, LimitClass.HARD, 4_000, 10, "some percent of what the database commits"),
    Limit(_ADDRESS, LimitClass.HELLO, 3_000, 60, "a thousand players who come back three times"),
    Limit(_ADDRESS, LimitClass.LOGIN, 1_200, 60, "a thousand players who open the page"),
    Limit(_ADDRESS, LimitClass.REFRESH, 1_200, 60, "a thousand players who come back after a quarter of an hour"),
    Limit(_ADDRESS, LimitClass.CREDENTIAL, 100, 600, "pages that were open for too long; who guesses needs far more"),
    Limit(_ADDRESS, LimitClass.ACCOUNT_READ, 1_200, 60, "a thousand players, each once"),
    Limit(_ADDRESS, LimitClass.ACCOUNT_WRITE, 600, 60, "half of them"),
    Limit(_ADDRESS, LimitClass.ACCOUNT_SENSITIVE, 300, 600, "few of them"),
)
