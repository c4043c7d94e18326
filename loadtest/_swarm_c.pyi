from typing import final

from loadtest._connections_c import Connections
from loadtest._histogram_c import Histogram

# `Connections` that play: closed loop, open loop, or listening.
@final
class Swarm(Connections):
    # From when a request was due to its answer; of a delivery from its stamp.
    @property
    def latency(self) -> Histogram: ...

    # How late the open loop sent, which is the generator's own doing.
    @property
    def send_lag(self) -> Histogram: ...

    # Begin one kind of load; `run` carries it.
    #
    # Args:
    #     window: closed loop: requests per connection without an answer.
    #     rate_per_s: open loop: requests a second over all connections, due at equal distances.
    #     think_s: closed loop: mean pause between answer and request.
    #     action_share: of the requests, how many are small actions instead of taps, 0 … 1.
    #     taps: of a TAP frame.
    #     listens: every message is a delivery.
    #     stamp_at: where in a delivery its CLOCK_REALTIME in µs stands, 8 bytes big-endian; -1 = nowhere.
    #
    # Raises:
    #     ValueError: not exactly one kind, or out of range.
    def start_load(
        self,
        *,
        window: int = 0,
        rate_per_s: float = 0.0,
        think_s: float = 0.0,
        action_share: float = 0.0,
        taps: int = 1,
        listens: bool = False,
        stamp_at: int = -1,
    ) -> None: ...

    # Ask nothing more.
    def stop_load(self) -> None: ...

    # Begin anew.
    def start_counting(self) -> None: ...

    # End; returns for how many seconds was counted. Latencies of what is still unanswered go on counting.
    def stop_counting(self) -> float: ...

    # Drive everything for so long.
    def run(self, seconds: float) -> None: ...

    # Wait for answers; returns how many counted requests have none, whose wait until now is their latency.
    def drain(self, seconds: float) -> int: ...

    # What was counted since `start_counting`, by the names of `tally`.
    def counts(self) -> dict[str, int | dict[int, int]]: ...
