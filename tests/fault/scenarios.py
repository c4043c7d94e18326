"""Mixtures of faults: all of them, each family alone, and those in which a broken promise shows soonest."""

from collections.abc import Mapping

from tests.fault.faults import ALWAYS, LASTING, MIXTURE, Kind

_SERVER_DIES = {Kind.KILL_SERVER: 2.0, Kind.KILL_TOGETHER: 6.0}
_DATABASE_DIES = {Kind.KILL_POSTGRES: 4.0, Kind.DISK_FULL: 8.0}
_NETWORK = {
    Kind.CUT_DATABASE: 2.0,
    Kind.CUT_AT_COMMIT: 0.4,
    Kind.STALL_DATABASE: 4.0,
    Kind.SLOW_DATABASE: 6.0,
    Kind.HALF_CLOSE_DATABASE: 4.0,
}
_CLIENTS = {
    Kind.CUT_CLIENTS: 0.7,
    Kind.SLOW_READERS: 1.0,
    Kind.TAKEOVERS: 0.7,
    Kind.REPEATS: 0.7,
    Kind.MOVES: 1.5,
    Kind.DEATHS: 2.0,
}
_RARELY_ENOUGH_TO_START = {Kind.KILL_SERVER: 3.0, Kind.KILL_TOGETHER: 6.0, Kind.KILL_POSTGRES: 5.0}
_FROZEN = {Kind.FREEZE_SERVER: 6.0, Kind.FREEZE_AT_FLUSH: 2.0, Kind.MOVES: 1.0}
#: Lease checks are off all the time; one server is stopped in the middle of a flush now and then.
_FIGHT = {
    Kind.FIGHT: ALWAYS,
    Kind.FREEZE_AT_FLUSH: 20.0,
    Kind.CUT_AT_COMMIT: 4.0,
    Kind.CUT_CLIENTS: 2.0,
    Kind.TAKEOVERS: 2.0,
    Kind.REPEATS: 0.7,
    Kind.MOVES: 3.0,
    Kind.DEATHS: 6.0,
}
#: All that fits into some seconds: a server that is frozen past its lease takes as long as all the rest.
_SHORT = {kind: mean_s / 3 for kind, mean_s in MIXTURE.items() if kind not in LASTING} | _RARELY_ENOUGH_TO_START

SCENARIOS: Mapping[str, Mapping[Kind, float]] = {
    "all": MIXTURE,
    "none": {},
    "server-dies": _SERVER_DIES,
    "database-dies": _DATABASE_DIES,
    "network": _NETWORK,
    "clients": _CLIENTS,
    "frozen": _FROZEN,
    "fight": _FIGHT,
    "clock": {Kind.CLOCK_JUMP: 1.0},
    "short": _SHORT,
    "fenced": {Kind.FREEZE_AT_FLUSH: 2.0},
    "unknown": {Kind.CUT_AT_COMMIT: 0.4},
}
