"""From TAP to TAPPED: the C twin answers, counts and announces as the readable one, whatever happens around it."""

from types import ModuleType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hotpath import _player_state_py, _tap_path_py, _tap_signals_py, player_state, tap_path, tap_signals

START_MS = 1_767_225_600_000
FIELDS = {name: low for name, (low, _) in player_state.FIELD_RANGES.items()} | {
    "energy_ue": 1_000_000_000,
    "energy_at_ms": START_MS,
    "bucket_mt": 30_000,
    "bucket_at_ms": START_MS,
    "xp": 90,
}


class Twin:
    """One player with one seat, in either twin; writes down what it is told."""

    def __init__(self, states: ModuleType, path: ModuleType, signals: ModuleType) -> None:
        self.state = states.PlayerState(**FIELDS)
        self.cursor = states.Cursor()
        self.tally = path.Tally()
        self.node = path.Gate()
        self.gate = path.Gate(self.node)
        self.notices = path.Notices(0)
        self.seat = path.Seat(0, self.notices)
        self.signals = signals.TapSignals()
        self.line = path.TapLine(self.state, self.cursor, states.World(), self.tally, self.signals)
        self.told: list[Any] = []
        self.now_ms = 0

    def touched(self) -> None:
        self.state.awaiting_flush = True
        self.told.append("touched")

    def announce_levels(self, before: int, now_ms: int) -> None:
        self.told.append(("levels", before, now_ms))

    def tell_durable(self, durable_seq: int) -> None:
        self.told.append(("durable", durable_seq))

    def crashed(self, error: Exception) -> None:
        raise error

    def do(self, step: tuple[str, int, int]) -> None:
        """One thing that may happen."""
        kind, a, b = step
        match kind:
            case "tap":
                self.told.append(self.seat.tap(a, b, START_MS + self.now_ms))
                self.seat.announce_levels(START_MS + self.now_ms)
            case "queued tap":
                self.told.append(self.line.answer(a, b, START_MS + self.now_ms))
            case "wait":
                self.now_ms += a
                self.seat.heard_ms = self.now_ms
            case "beat":
                self.now_ms += a
                self.notices.beat(self.now_ms)
            case "gate":
                self.gate.open, self.node.open = bool(a % 2), bool(b % 2)
            case "seat":
                if a % 2:
                    self.seat.take(self.line, self.gate, self, self)
                else:
                    self.seat.leave()
            case "block":
                self.seat.blocked = (a, ValueError()) if a % 2 else None
            case "flush":
                self.state.awaiting_flush = False
                self.cursor.confirm(a)
                self.seat.durable(self.cursor.durable_seq)
            case "told":
                self.seat.told(min(a, self.cursor.durable_seq))
        self.told.append(
            (
                self.seat.told_seq,
                self.seat.operated_ms,
                self.cursor.applied_seq,
                self.state.columns(),
                self.tally.accepted_total,
                self.tally.refused_total,
                self.tally.repeated_frames_total,
                self.signals.counters(),
            )
        )


SEQ = st.integers(1, 60)
STEP = st.one_of(
    st.tuples(st.sampled_from(["tap", "tap", "tap", "queued tap"]), SEQ, st.integers(1, 100)),
    st.tuples(st.sampled_from(["wait", "beat"]), st.integers(0, 3_000), st.just(0)),
    st.tuples(st.just("gate"), st.sampled_from([1, 1, 1, 0]), st.sampled_from([1, 1, 1, 0])),
    st.tuples(st.just("seat"), st.sampled_from([1, 1, 1, 0]), st.just(0)),
    st.tuples(st.sampled_from(["block", "flush", "told"]), SEQ, st.just(0)),
)
OPENING = [("gate", 1, 1), ("seat", 1, 0)]


@settings(max_examples=300)
@given(st.lists(STEP, min_size=1, max_size=60))
def test_both_twins_do_the_same(steps: list[tuple[str, int, int]]) -> None:
    compiled, readable = (
        Twin(player_state, tap_path, tap_signals),
        Twin(_player_state_py, _tap_path_py, _tap_signals_py),
    )
    for step in [*OPENING, *steps]:
        compiled.do(step)
        readable.do(step)
        assert compiled.told == readable.told, step


def test_a_tap_that_must_queue_is_left_alone() -> None:
    twin = Twin(player_state, tap_path, tap_signals)
    assert twin.seat.tap(1, 1, START_MS) is None, "no seat taken"
    for step in OPENING:
        twin.do(step)
    for shut in (("gate", 0, 1), ("gate", 1, 0), ("block", 1, 0)):
        twin.do(shut)
        assert twin.seat.tap(1, 1, START_MS) is None
        assert (twin.cursor.applied_seq, twin.tally.accepted_total) == (0, 0)
        twin.do(("gate", 1, 1))
    twin.do(("block", 0, 0))
    assert twin.seat.tap(1, 1, START_MS) is not None
    twin.seat.leave()
    assert twin.seat.tap(2, 1, START_MS) is None


def test_a_seat_that_is_busy_gets_no_notice_and_a_quiet_one_gets_one() -> None:
    twin = Twin(player_state, tap_path, tap_signals)
    for step in [*OPENING, ("tap", 1, 1), ("flush", 1, 0), ("wait", 100, 0), ("tap", 2, 1)]:
        twin.do(step)
    twin.told.clear()
    for _ in range(20):
        twin.do(("beat", 100, 0))
    assert ("durable", 1) not in twin.told, "the second TAPPED said it"
    twin.do(("flush", 2, 0))
    for _ in range(20):
        twin.do(("beat", 100, 0))
    assert [entry for entry in twin.told if entry == ("durable", 2)] == [("durable", 2)]
