"""What a swarm does, one thing after the other: read from the command line, as `kind:key=value,key=value`."""

from dataclasses import dataclass, field, fields
from typing import Final

KINDS: Final = ("idle", "closed", "open", "listen", "storm")


@dataclass(frozen=True, slots=True)
class Phase:
    """One thing.

    Raises:
        ValueError: it makes no sense; one sentence.
    """

    kind: str  #: one of `KINDS`
    s: float = 5.0  #: how long it is measured
    warmup_s: float = 0.0  #: how long it runs before
    drain_s: float = 5.0  #: how long the last answers are waited for
    window: int = 1  #: closed loop: requests without an answer per connection
    think_ms: float = 0.0  #: closed loop: mean pause
    rate: float = 0.0  #: open loop: requests a second, all connections together
    actions: float = 0.0  #: share of the requests that are small actions
    taps: int = 1  #: of a frame
    stamp_at: int = -1  #: listening: where a delivery has its time
    slow: float = 0.0  #: listening: share of the connections that stop reading
    share: float = 1.0  #: storm: of the connections that are dropped and come back
    at_once: int = field(default=512)  #: storm: how many may be on their way
    name: str = ""  #: for whoever reads the result

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"there is no phase {self.kind!r}; there are {', '.join(KINDS)}")
        if self.kind == "open" and self.rate <= 0:
            raise ValueError("an open loop needs a rate")
        if min(self.s, self.warmup_s, self.drain_s, self.think_ms, self.rate) < 0 or min(self.window, self.at_once) < 1:
            raise ValueError(f"a number of the phase {self.kind!r} is too small")
        if max(self.actions, self.slow, self.share) > 1 or min(self.actions, self.slow, self.share) < 0:
            raise ValueError("a share is between 0 and 1")
        if not 1 <= self.taps <= 100:
            raise ValueError("a frame has 1 to 100 taps")
        if self.think_ms and self.window != 1:
            raise ValueError("who thinks has one request at a time")


_TYPES: Final = {found.name: found.type for found in fields(Phase)}


def parse_phase(text: str) -> Phase:
    """Read `kind:key=value,…`.

    Raises:
        ValueError: it is not of this form, or makes no sense; one sentence.
    """
    kind, _, rest = text.partition(":")
    values: dict[str, float | int | str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or key not in _TYPES or key == "kind":
            raise ValueError(f"{part!r} is no setting of a phase")
        try:
            values[key] = {float: float, int: int, str: str}[_TYPES[key]](value)  # type: ignore[index]
        except ValueError:
            raise ValueError(f"{value!r} is no value for {key}") from None
    return Phase(kind, **values)  # type: ignore[arg-type]


def ring_for(phases: list[Phase], connections: int) -> int:
    """Requests without an answer that a connection must have room for, as a power of two.

    Args:
        phases: all of the run.
        connections: how many share a rate.
    """
    stall_s = 10.0  # so long an open loop goes on asking a server that does not answer
    wanted = max((max(phase.window, phase.rate / connections * stall_s) for phase in phases), default=1)
    ring = 16
    while ring < wanted:
        ring *= 2
    return ring
