"""The weights of what waits, held against what CPython allocates."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from gameserver.actors.lineage import Lineage, PendingAnswer
from gameserver.actors.messages import Attach, Detach, Taps
from gameserver.actors.player import PlayerActor
from gameserver.clock import ManualClock
from gameserver.wire.messages import Result
from hotpath.tap_signals import COUNTER_NAMES
from persistence.backlog import ANSWER_BYTES, EFFECT_BYTES, GRANT_BYTES, PLAYER_BYTES, POSTING_BYTES, SIGNALS_BYTES
from persistence.records import Account, GrantGiven, GrantKind, KeptSignals, LedgerKind, LedgerPosting
from tests.fakes.player_database import PlayerDatabase
from tests.fakes.recording_origin import RecordingOrigin

COUNT = 500
LARGE = 10**12  #: so that no number is one of those that CPython has once for all


@pytest.fixture(autouse=True)
def tracing() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@contextmanager
def weighed(expected_bytes: float) -> Iterator[list[object]]:
    """What is put into the list weighs that much apiece, within a third."""
    held: list[object] = []
    before, _ = tracemalloc.get_traced_memory()
    yield held
    after, _ = tracemalloc.get_traced_memory()
    assert (after - before) / COUNT == pytest.approx(expected_bytes, rel=0.34)


def posting(number: int) -> LedgerPosting:
    return LedgerPosting(
        f"u:{LARGE + number}", LedgerKind.UPGRADE, Account.BURN, -number - LARGE, LARGE, LARGE + number
    )


def given(number: int) -> GrantGiven:
    return GrantGiven(LARGE + number, f"transfer:{number}:{'a' * 32}", GrantKind.TRANSFER_RECEIVED, LARGE + number)


def signals(number: int) -> KeptSignals:
    counters = tuple(LARGE + number + each for each in range(len(COUNTER_NAMES)))
    return KeptSignals(counters, 1_000 + number, {"pace": 1_000 + number}, over_limit=False, kept_ms=LARGE + number)


@pytest.mark.parametrize(
    ("make", "each_bytes"),
    [
        (posting, POSTING_BYTES),
        (given, EFFECT_BYTES),
        (signals, SIGNALS_BYTES),
        (lambda number: LARGE + number, GRANT_BYTES),
    ],
)
def test_ledger_entries_and_grants(make: Callable[[int], object], each_bytes: int) -> None:
    with weighed(each_bytes) as held:
        for number in range(COUNT):
            held.append(make(number))


@pytest.mark.parametrize("result_bytes", [20, 200, 2_000])
def test_stored_answers_by_their_length(result_bytes: int) -> None:
    lineages = [Lineage(0) for _ in range(COUNT)]
    with weighed(ANSWER_BYTES + 2 * result_bytes) as held:
        for number, lineage in enumerate(lineages):
            result = msgspec.Raw(b"%*d" % (result_bytes, number))
            held.append(PendingAnswer(b"l" * 16, lineage, Result(LARGE + number, result, 0)))


def test_a_player_who_taps() -> None:
    clock, database = ManualClock(), PlayerDatabase()
    habitat = database.habitat(clock)
    loaded = [database.load(database.add()) for _ in range(COUNT)]
    with weighed(PLAYER_BYTES) as held:
        dirty: dict[PlayerActor, float] = {}
        for number, each in enumerate(loaded):
            actor = PlayerActor(each, habitat)
            origin = RecordingOrigin(number.to_bytes(16, "big"))
            for message in (Attach(origin, {}), Taps([(origin, 1, 5)]), Detach(origin)):
                actor.handle(message, clock.now_ms())
            dirty[actor] = float(number)
            held.append(actor.take_writes())
    assert database.backlog.beside_bytes == 0
