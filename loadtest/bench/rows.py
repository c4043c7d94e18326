"""What is measured, against what, and whether it is enough: raw figures in, one row a measurement out.

Every measurement is read from one repetition; the row is the median over the repetitions, and it is met if most
repetitions met it. Ratios are within one repetition, to the floor if nothing else is said.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtest.bench.plan import Plan
from loadtest.bench.runs import phase_of

Result = dict[str, Any]

LATER: Final = "later"
FAILED: Final = "not measured: a part of the run failed"


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one repetition."""

    value: float
    ratio: float | None = None
    met: bool | None = None  #: None: there is no target
    generator: float = 0.0  #: its share of a core
    disturbed: bool = False  #: something else ran on one of the cores, here or in what it is compared with
    note: str = ""  #: what has to be known of this figure alone


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row before it is measured."""

    name: str
    unit: str
    target: str
    read: Callable[[Result, Plan], Reading | None]  #: None: what it needs is not there
    why_not: str = LATER  #: what to say then


@dataclass(frozen=True, slots=True)
class Row:
    """One row."""

    name: str
    unit: str
    target: str
    value: float | None = None
    ratio: float | None = None
    met: bool | None = None
    generator: float = 0.0
    disturbed: bool = False
    note: str = ""  #: why there is no value, or what has to be known of it


def rows_of(repetitions: Sequence[Result], plan: Plan, measurements: Sequence[Measurement]) -> list[Row]:
    """Every row.

    Args:
        repetitions: raw figures of each.
        plan: how large they were.
        measurements: in their order.
    """
    return [_row(found, repetitions, plan) for found in measurements]


def _row(measurement: Measurement, repetitions: Sequence[Result], plan: Plan) -> Row:
    readings = [found for one in repetitions if (found := _read(measurement, one, plan)) is not None]
    if not readings:
        # Who says why himself is not there at all, whatever else failed.
        failed = measurement.why_not == LATER and any("failed" in one for one in repetitions)
        why_not = FAILED if failed else measurement.why_not
        return Row(measurement.name, measurement.unit, measurement.target, note=why_not)
    ratios = [found.ratio for found in readings if found.ratio is not None]
    verdicts = [found.met for found in readings if found.met is not None]
    return Row(
        measurement.name,
        measurement.unit,
        measurement.target,
        statistics.median(found.value for found in readings),
        statistics.median(ratios) if ratios else None,
        2 * sum(verdicts) > len(verdicts) if verdicts else None,
        max(found.generator for found in readings),
        any(found.disturbed for found in readings),
        next((found.note for found in readings if found.note), ""),
    )


def _read(measurement: Measurement, one: Result, plan: Plan) -> Reading | None:
    """A figure that is missing, or nothing to divide by, costs this row and no other."""
    try:
        return measurement.read(one, plan)
    except (LookupError, ZeroDivisionError):
        return None


# ---- reading one repetition

BUSY_ELSEWHERE: Final = 0.15  #: of a core, used by what is no part of the run


def ours(one: Result) -> str:
    """The transport that the targets are for: that it failed makes no other one ours."""
    name: str = one.get("ours") or ("gateway" if "gateway" in one else "portable")
    return name


def found_phase(one: Result, server: str, run: str, name: str) -> Result | None:
    """A phase of a server's run, if it was made."""
    result = one.get(server, {}).get(run)
    return phase_of(result, name) if result is not None else None


def reading(
    phase: Result, value: float, ratio: float | None = None, *, met: bool | None = None, beside: Result | None = None
) -> Reading:
    """A reading with what it says of the run's quality.

    Args:
        phase: where the value is from.
        value: in the measurement's unit.
        ratio: to what it is compared with.
        met: the verdict.
        beside: the phase of what it is compared with; a ratio is as good as its worse part.
    """
    disturbed = is_disturbed(phase) or (beside is not None and is_disturbed(beside))
    return Reading(value, ratio, met, phase.get("generator_cpu_share") or 0.0, disturbed)


def is_disturbed(phase: Result) -> bool:
    """Whether one of the two cores was busy with something that is no part of the run."""
    server = (phase.get("server_core_busy_share") or 0.0) - (phase.get("server_cpu_share") or 0.0)
    known = (phase.get("generator_cpu_share") or 0.0) + (phase.get("children_cpu_share") or 0.0)
    generator = (phase.get("generator_core_busy_share") or 0.0) - known
    return max(server, generator) > BUSY_ELSEWHERE


def all_answered(phase: Result) -> bool:
    """Nothing was left without an answer, nothing was answered with an error."""
    return not (phase["unanswered"] or phase["unsent"] or phase["errors"])


def growth_of(one: Result, server: str = "gateway") -> list[tuple[int, float]]:
    """CPU a tap in µs by sockets."""
    found = []
    for sockets, result in one.get(server, {}).get("growth", {}).items():
        phase = phase_of(result, "growth")
        if phase is not None and phase.get("server_cpu_us_each"):
            found.append((int(sockets), phase["server_cpu_us_each"]))
    return sorted(found)
