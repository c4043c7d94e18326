from typing import Any

import pytest
import trio
from trio.testing import MockClock

from gameserver.clock import SystemClock
from loadtest.bench.machine import Cores
from tests.bench import flush_cost
from tests.bench.flush_cost import CannotMeasureError, Crowd, flush_cpu_us, main, quantile, text_of
from tests.fakes.player_database import PlayerDatabase

FOUND: dict[str, Any] = {
    "players": 10,
    "measured_s": 2.0,
    "us_each": 2.25,
    "tap_us": {"before": 1.5, "after": 1.75},
    "taps_per_s": 20_000.0,
    "rows_per_s": 19_000.0,
    "rows_per_batch": 500.0,
    "retries": 0,
    "flush_lag_s": {"p50": 0.25, "p99": 0.3, "max": 0.4},
    "hold_ms": {"p99": 0.75, "max": 1.25},
    "server_cpu_share": 0.1,
    "server_core_busy_share": 0.2,
    "children_cpu_share": 0.3,
    "generator_core_busy_share": 0.4,
}


def window(cpu_s: float, taps: float, rows: float = 0.0) -> dict[str, float]:
    return {"cpu_s": cpu_s, "taps": taps, "rows": rows}


def test_what_the_taps_cost_alone_is_subtracted() -> None:
    # 1 µs a tap before, 3 µs after, so 2 µs a tap; 0.1 s of 0.16 s are left for 50 000 rows
    found = flush_cpu_us(window(0.01, 10_000), window(0.16, 30_000, 50_000), window(0.03, 10_000))
    assert found == pytest.approx(2.0)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_a_quantile_is_one_of_the_values(share: float, value: float) -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], share) == value


def test_a_process_that_is_not_pinned_says_so() -> None:
    assert "busy for 20.0%" in text_of(FOUND)
    assert "not pinned" in text_of(FOUND | {"server_core_busy_share": None})


async def test_everybody_is_tapped_in_turn_and_marked(autojump_clock: MockClock) -> None:  # noqa: ARG001 - no real time
    players = PlayerDatabase()
    crowd = Crowd(SystemClock(), players, players)
    added = [players.add() for _ in range(2)]
    for row in added:
        crowd.add(players.load(row))
    with trio.move_on_after(1.001):
        await crowd.tap(100)
    assert crowd.taps_total in (99, 100)
    assert {actor.player_id for actor in players.dirty} == {row.id for row in added}
    taps = [actor.state.taps for actor in players.dirty]
    assert sum(taps) == crowd.taps_total
    assert max(taps) - min(taps) <= 1
    assert crowd.dropped == []


@pytest.fixture(autouse=True)
def keep_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's handler is not ours."""
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--rate", "0"], ["--players", "0"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "--seconds and --rate are positive" in capsys.readouterr().err


def test_what_cannot_be_measured_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(_order: flush_cost.Order) -> dict[str, Any]:
        raise CannotMeasureError("nothing was written")

    monkeypatch.setattr(flush_cost, "measure", refuse)
    assert main([]) == 2
    assert "nothing was written" in capsys.readouterr().err


def test_the_cores_are_the_two_lowest_or_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[flush_cost.Order] = []

    def take(order: flush_cost.Order) -> dict[str, Any]:
        orders.append(order)
        return FOUND

    monkeypatch.setattr(flush_cost, "measure", take)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {3})
    assert main(["--json"]) == main(["--database-core", "5"]) == 0
    assert [order.cores for order in orders] == [Cores(None, None), Cores(3, 5)]
