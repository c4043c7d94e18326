"""People and bots who tap: when their batches of taps arrive at the server. All is drawn from one seeded generator.

A person's fingers → the client (gathers for 0.5 or 1 s or 50 taps, takes no tap without energy) → the network. A bot
stands in the place of the fingers (an auto-clicker on our client) or in that of the client (a script).
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from hotpath import rules
from hotpath.player_state import FIELD_RANGES, PlayerState

START_MS = 1_767_225_600_000  #: midnight, UTC
SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
FRAME_TAPS, BATCH_TAPS = 100, 50

#: (arrival, taps claimed)
Batch = tuple[int, int]


@dataclass(frozen=True)
class Network:
    """How late frames are: a log-normal part each, and stalls in which everything waits."""

    delay_ms: float = 40.0
    sigma: float = 0.25
    stall_every_s: float = 90.0  #: mean time between stalls
    stall_ms: float = 400.0  #: mean length of one

    def deliver(self, rng: Random, sent: Iterator[Batch]) -> Iterator[Batch]:
        """In order, as TCP does."""
        last_ms = stalled_until_ms = 0.0
        next_stall_ms = 0.0
        for at_ms, taps in sent:
            if at_ms > next_stall_ms:
                if next_stall_ms > at_ms - 10_000:
                    stalled_until_ms = next_stall_ms + rng.expovariate(1 / self.stall_ms)
                next_stall_ms = at_ms + rng.expovariate(1 / (self.stall_every_s * SECOND_MS))
            late_ms = self.delay_ms * rng.lognormvariate(0.0, self.sigma)
            last_ms = max(last_ms, stalled_until_ms, at_ms + late_ms)
            yield int(last_ms), taps


@dataclass(frozen=True)
class Fingers:
    """How somebody taps while tapping."""

    fingers: int = 1
    tap_ms: float = 190.0  #: median interval of one finger
    sigma: float = 0.2  #: of its logarithm
    drift: float = 0.08  #: how far the tempo wanders over some seconds
    burst_taps: float = 70.0  #: mean number of taps between two moments of looking elsewhere
    look_ms: float = 900.0  #: median length of such a moment
    beat_sd_ms: float = 0.0  #: keeps to an outer beat of `tap_ms`, so exactly

    def taps(self, rng: Random, start_ms: float, end_ms: float) -> Iterator[float]:
        """Their moments, ascending."""
        if self.beat_sd_ms:
            at_ms = start_ms
            while at_ms < end_ms:
                yield at_ms + rng.gauss(0.0, self.beat_sd_ms)
                at_ms += self.tap_ms
            return
        heap = [(start_ms + rng.random() * self.tap_ms, finger) for finger in range(self.fingers)]
        heapq.heapify(heap)
        tempo, pause_ms = 1.0, 0.0
        while True:
            at_ms, finger = heapq.heappop(heap)
            if at_ms + pause_ms >= end_ms:
                return
            yield at_ms + pause_ms
            tempo += 0.05 * (1.0 - tempo) + self.drift * 0.3 * rng.gauss(0.0, 1.0)
            tempo = min(1.6, max(0.6, tempo))
            if rng.random() < 1 / self.burst_taps:
                pause_ms += self.look_ms * rng.lognormvariate(0.0, 0.6)
            heapq.heappush(heap, (at_ms + self.tap_ms * tempo * rng.lognormvariate(0.0, self.sigma), finger))


@dataclass
class Energy:
    """As the client predicts it."""

    cap: int
    regen_mps: int
    units: float = field(default=0.0)
    at_ms: float = START_MS

    def __post_init__(self) -> None:
        self.units = float(self.cap)

    def have(self, now_ms: float) -> float:
        """Bring it up to date."""
        if now_ms > self.at_ms:
            self.units = min(self.cap, self.units + (now_ms - self.at_ms) * self.regen_mps / 1e6)
            self.at_ms = now_ms
        return self.units

    def full_at_ms(self) -> float:
        """When it will be full, if nobody taps."""
        return self.at_ms + (self.cap - self.units) * 1e6 / self.regen_mps


def client(rng: Random, taps: Iterator[float], energy: Energy, batch_ms: float, give_up: float) -> Iterator[Batch]:
    """Gather taps as client.js does.

    Args:
        rng: draws how late timers are.
        taps: moments at which somebody taps.
        energy: a tap without any is not taken.
        batch_ms: for how long taps are gathered.
        give_up: how likely somebody stops at a tap that is not taken.
    """
    first_ms = due_ms = 0.0
    count = 0
    for at_ms in taps:
        if count and at_ms >= due_ms:
            yield int(due_ms), count
            count = 0
        if energy.have(at_ms) < 1:
            if rng.random() < give_up:
                break
            continue
        energy.units -= 1
        if not count:
            first_ms = at_ms
            due_ms = first_ms + batch_ms + rng.expovariate(1 / 3.0)
        count += 1
        if count == BATCH_TAPS:
            yield int(at_ms), count
            count = 0
    if count:
        yield int(due_ms), count


@dataclass(frozen=True)
class Day:
    """When somebody plays: sessions between waking and sleeping."""

    sessions: float = 9.0  #: mean number a day
    session_ms: float = 4.0 * MINUTE_MS  #: median length
    wakes_ms: float = 7.5 * HOUR_MS
    sleeps_ms: float = 23.5 * HOUR_MS
    night_look: float = 0.05  #: how likely a session in the night is

    def hours(self, rng: Random, day: int) -> list[tuple[float, float]]:
        """Begin and end of each session of a day."""
        begin = START_MS + day * DAY_MS
        wakes, sleeps = rng.gauss(self.wakes_ms, 0.6 * HOUR_MS), rng.gauss(self.sleeps_ms, 0.6 * HOUR_MS)
        count = max(1, round(rng.gauss(self.sessions, 0.35 * self.sessions)))
        starts = sorted(rng.uniform(wakes, sleeps) for _ in range(count))
        if rng.random() < self.night_look:
            starts.insert(0, rng.uniform(1 * HOUR_MS, 5 * HOUR_MS))
        found: list[tuple[float, float]] = []
        for start in starts:
            length = min(90 * MINUTE_MS, self.session_ms * rng.lognormvariate(0.0, 0.7))
            free = max(start, found[-1][1] - begin + 30 * SECOND_MS) if found else start
            if free < sleeps:
                found.append((begin + free, begin + free + length))
        return found


@dataclass(frozen=True)
class Tapper:
    """Somebody, or something, who taps."""

    kind: str
    fingers: Fingers = Fingers()
    day: Day = Day()
    network: Network = Network()
    batch_ms: float = 500.0
    cap_level: int = 1
    regen_level: int = 1
    give_up: float = 0.5  #: at a tap without energy
    outages: bool = False  #: once a session a minute without a connection
    devices: int = 1
    refill_delay_ms: tuple[float, float] | None = None  #: plays when the energy is full, so much later (log-normal)
    # bots
    wake_within_ms: float = 0.0  #: plays whenever the energy is full, at most so much later
    click_ms: float = 0.0  #: an auto-clicker on our client, of this interval …
    click_jitter_ms: float = 0.0  #: … give or take so much, uniformly
    script_ms: float = 0.0  #: a script in the place of the client, that sends a batch so often …
    script_jitter_ms: float = 0.0  #: … give or take so much, uniformly …
    script_taps: tuple[int, int] = (0, 0)  #: … of so many taps, uniformly
    always: bool = False  #: day and night

    def state(self) -> PlayerState:
        """The player as the server has it."""
        fields = {name: low for name, (low, _) in FIELD_RANGES.items()} | {
            "energy_cap_level": self.cap_level,
            "energy_regen_level": self.regen_level,
            "energy_ue": rules.energy_cap(self.cap_level) * rules.UE_PER_ENERGY,
            "energy_at_ms": START_MS,
            "bucket_mt": rules.BUCKET_BURST_MT,
            "bucket_at_ms": START_MS,
        }
        return PlayerState(**fields)

    def batches(self, rng: Random, days: int) -> Iterator[list[Batch]]:
        """The batches of each session."""
        energy = Energy(rules.energy_cap(self.cap_level), rules.energy_regen_mps(self.regen_level))
        end_ms = 0.0
        for start, end in self._sessions(rng, days, energy):
            if start < end_ms:
                continue
            found = list(self.network.deliver(rng, iter(self._session(rng, start, end, energy))))
            if self.outages and found:
                found = _outage(rng, found)
            if found:
                end_ms = found[-1][0] + SECOND_MS
                yield found

    def _sessions(self, rng: Random, days: int, energy: Energy) -> Iterator[tuple[float, float]]:
        if self.always:
            for hour in range(24 * days):
                start = START_MS + hour * HOUR_MS + rng.uniform(0, 50) * MINUTE_MS
                yield start, start + 5 * MINUTE_MS
            return
        if not self.wake_within_ms and self.refill_delay_ms is None:
            for day in range(days):
                yield from self.day.hours(rng, day)
            return
        for day in range(days):
            at = START_MS + day * DAY_MS + self.day.wakes_ms
            sleeps = START_MS + day * DAY_MS + self.day.sleeps_ms
            while at < sleeps:
                yield at, at + 8 * MINUTE_MS
                full = max(energy.full_at_ms(), energy.at_ms)
                if self.refill_delay_ms is None:
                    at = full + rng.uniform(0.0, self.wake_within_ms)
                else:
                    median, sigma = self.refill_delay_ms
                    at = full + median * rng.lognormvariate(0.0, sigma)

    def _session(self, rng: Random, start: float, end: float, energy: Energy) -> list[Batch]:
        if self.script_ms:
            return list(self._script(rng, start, end, energy))
        if self.click_ms:
            taps = self._clicks(rng, start, end)
            return list(client(rng, taps, energy, self.batch_ms, self.give_up))
        streams = [
            list(client(rng, self.fingers.taps(rng, start, end), energy, self.batch_ms, self.give_up))
            for _ in range(self.devices)
        ]
        return sorted(batch for stream in streams for batch in stream)

    def _clicks(self, rng: Random, start: float, end: float) -> Iterator[float]:
        at_ms = start
        while at_ms < end:
            yield at_ms
            at_ms += self.click_ms + rng.uniform(-self.click_jitter_ms, self.click_jitter_ms)

    def _script(self, rng: Random, start: float, end: float, energy: Energy) -> Iterator[Batch]:
        at_ms = start
        while at_ms < end:
            taps = rng.randint(*self.script_taps)
            energy.have(at_ms)
            if energy.units < taps:
                return  # what is empty is left alone until the next session
            energy.units = max(0.0, energy.units - taps)
            yield int(at_ms), taps
            at_ms += self.script_ms + rng.uniform(-self.script_jitter_ms, self.script_jitter_ms)


def _outage(rng: Random, batches: list[Batch]) -> list[Batch]:
    """A minute of them comes at once, when the connection is back."""
    first_ms = batches[0][0]
    lost_ms = first_ms + rng.uniform(5, 90) * SECOND_MS
    back_ms = lost_ms + MINUTE_MS
    return [(int(back_ms), taps) if lost_ms <= at_ms < back_ms else (at_ms, taps) for at_ms, taps in batches]
