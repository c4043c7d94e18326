"""The command round the measurement, and that what it removes is there."""

from pathlib import Path

import pytest

from tests.bench import signals_cost
from tests.bench.signals_cost import COUNTING, CannotMeasureError, Cost, main, without_counting

SOURCE = Path(__file__).parents[3] / "hotpath" / signals_cost.SOURCE


def test_the_lines_that_count_are_found_and_removed() -> None:
    source = SOURCE.read_text(encoding="utf-8")
    without = without_counting(source)
    assert source.count("\n") - without.count("\n") == len(COUNTING)
    assert "self._signals.batch(" not in without
    with pytest.raises(CannotMeasureError, match="does not have once"):
        without_counting(without)


@pytest.mark.parametrize("arguments", [["--players", "0"], ["--rounds", "0"]])
def test_what_makes_no_sense_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "are at least 1" in capsys.readouterr().err


def test_figures_and_what_cannot_be_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signals_cost, "measure", lambda _players, rounds: Cost(97.0, 86.0, 1.125, rounds))
    assert main(["--rounds", "3"]) == 0
    assert "97 ns, without counting 86 ns, ratio 1.125 (median of 3 rounds" in capsys.readouterr().out

    def refuse(_players: int, _rounds: int) -> Cost:
        raise CannotMeasureError("there is no compiler")

    monkeypatch.setattr(signals_cost, "measure", refuse)
    assert main([]) == 2
    assert "there is no compiler" in capsys.readouterr().err
