"""A session's life as a table.

OPENING ──WELCOMED──▶ LIVE
   │                   │
   └──────ENDED────────┴──▶ DRAINING        each of the three ──GONE──▶ CLOSED
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class State(enum.Enum):
    """Where a session is in its life."""

    OPENING = enum.auto()  #: no WELCOME yet
    LIVE = enum.auto()  #: plays
    DRAINING = enum.auto()  #: the end is queued; input is ignored
    CLOSED = enum.auto()  #: the socket is gone


class Happening(enum.Enum):
    """What moves a session on."""

    WELCOMED = enum.auto()  #: the player's actor took it
    ENDED = enum.auto()  #: we decided to close
    GONE = enum.auto()  #: the socket is closed


#: What is not in the table changes nothing.
TRANSITIONS: Final[Mapping[State, Mapping[Happening, State]]] = MappingProxyType(
    {
        State.OPENING: {
            Happening.WELCOMED: State.LIVE,
            Happening.ENDED: State.DRAINING,
            Happening.GONE: State.CLOSED,
        },
        State.LIVE: {Happening.ENDED: State.DRAINING, Happening.GONE: State.CLOSED},
        State.DRAINING: {Happening.GONE: State.CLOSED},
        State.CLOSED: {},
    }
)
