"""How large and how long a bench is: the full one, and the quick one that fits into two minutes."""

import math
from dataclasses import dataclass
from typing import Final

from loadtest.phases import parse_phase

FILES_BESIDE_SOCKETS: Final = 500
SOCKETS: Final = 10_000
QUICK_SOCKETS: Final = 4_000
#: It does some thousands of taps a second; with all sockets at once even its /metrics would not be answered in time.
PORTABLE_SOCKETS: Final = 1_000
GROWTH_SOCKETS: Final = (1_000, 2_000, 5_000, 10_000, 18_000)
RATES: Final = (10_000, 40_000)  #: requests a second of the open loop
FLUSH_RATES: Final = (10_000, 20_000, 40_000)
GROWTH_RATE: Final = 10_000
STORM_AT_ONCE: Final = 1_000  #: connections on their way: everybody comes at once, and a listener's queue is finite
FAIR_SHARE: Final = 0.6  #: of saturation
FAIR_S: Final = 3.0
SLOW_SHARE: Final = 0.01
FANOUT_BYTES: Final = 100
FANOUT_RATE: Final = 5  #: messages a second to every socket
AT_ONCE: Final = 0  #: the rate of a fan-out whose next message follows at once


@dataclass(frozen=True, slots=True)
class Plan:
    """One bench."""

    quick: bool
    repetitions: int
    sockets: int
    portable_sockets: int  #: fewer: its handshakes take a millisecond each
    growth: tuple[int, ...]
    s: float  #: a measured window
    warmup_s: float
    start_players: int  #: in the database when the start is timed; 0 = an empty one
    flush_cost_s: float = 6.0  #: of the durable rows' own measurement
    few: int = 200  #: sockets of the pipelined saturation
    window: int = 8

    @property
    def players(self) -> int:
        """As many as the largest run needs."""
        return max(self.sockets, *self.growth)

    def saturation(self) -> str:
        """10 000 sockets, closed loop, window 1."""
        return self._phase("closed", "saturation", window=1)

    def pipelined(self) -> str:
        """Few sockets, several requests without an answer."""
        return self._phase("closed", "pipelined", window=self.window)

    def open_loop(self, rate: float, name: str = "") -> str:
        """Open loop at a rate."""
        return self._phase("open", name or f"rate_{rate:.0f}", rate=int(rate))

    def fair(self, rate: float) -> str:
        """Open loop, long enough for a 99th percentile of what is asked every 20 ms."""
        return self._phase("open", "fair", rate=int(rate), s=max(self.s, FAIR_S))

    def idle(self) -> str:
        """Nothing, to look at the memory."""
        return f"idle:s={self.warmup_s},name=idle"

    def actions(self) -> str:
        """Half of the frames are small actions."""
        return self._phase("closed", "actions", window=1, actions=0.5)

    @property
    def listen_s(self) -> float:
        """As long as a window, in whole messages: part of one would be counted in one window and not in the next."""
        return math.ceil(self.s * FANOUT_RATE) / FANOUT_RATE

    def listen(self) -> str:
        """Only receive."""
        return self._phase("listen", "fan_out", stamp_at=0, s=self.listen_s)

    def listen_beside_slow(self) -> str:
        """The same, beside readers that have stopped reading."""
        return self._phase("listen", "slow_readers", stamp_at=0, slow=SLOW_SHARE, s=self.listen_s)

    @staticmethod
    def storm() -> str:
        """All sockets drop and come back."""
        return f"storm:at_once={STORM_AT_ONCE},name=storm"

    def _phase(self, kind: str, name: str, **more: float) -> str:
        given = {"s": self.s, "warmup_s": self.warmup_s, "name": name, **more}
        return f"{kind}:" + ",".join(f"{key}={value}" for key, value in given.items())

    def floor_phases(self) -> list[str]:
        """Of the floor and of peers that know no HELLO."""
        return [self.idle(), self.saturation(), *map(self.open_loop, RATES)]

    def gateway_phases(self) -> list[str]:
        """Of our fast transport."""
        return [*self.floor_phases(), self.actions(), self.storm()]

    def portable_phases(self) -> list[str]:
        """Of our portable transport, which saturates below the rates of the others."""
        return [self.idle(), self.saturation()] if self.quick else self.gateway_phases()

    def flush_phases(self) -> list[str]:
        """With PostgreSQL behind."""
        return [*map(self.open_loop, FLUSH_RATES), self.saturation()]


def plan_for(*, quick: bool, file_limit: int, has_gateway: bool = True) -> Plan:
    """The bench that a machine can carry.

    Args:
        quick: two minutes at most.
        file_limit: open files a process may have.
        has_gateway: otherwise the portable transport is measured as ours, at the full number of sockets.
    """
    most = max(200, file_limit - FILES_BESIDE_SOCKETS)
    sockets = min(QUICK_SOCKETS if quick else SOCKETS, most)
    return Plan(
        quick=quick,
        repetitions=1 if quick else 3,
        sockets=sockets,
        portable_sockets=min(PORTABLE_SOCKETS, sockets) if has_gateway else sockets,
        growth=(min(1_000, sockets), sockets) if quick else tuple(sorted({min(at, most) for at in GROWTH_SOCKETS})),
        s=1.5 if quick else 5.0,
        warmup_s=0.5 if quick else 2.0,
        start_players=0 if quick else 100_000,
        flush_cost_s=2.0 if quick else 6.0,
    )


def duration_s(phases: list[str]) -> float:
    """How long phases take at most, connecting left out."""
    parsed = map(parse_phase, phases)
    return sum(phase.s + phase.warmup_s + phase.drain_s for phase in parsed)
