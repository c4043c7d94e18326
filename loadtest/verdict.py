"""What a load test shows: the sentences, the table, the HTML section, and whether it failed."""

import html
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.table import Table

from loadtest.cpu_watch import CpuShare
from loadtest.locust_run import Operation, Outcome

GENERATOR_LIMIT: Final = 0.90  #: of a core; above it the figures are the generator's
MUST_HAVE_RUN: Final = ("connect", "hello", "tap")
COLUMNS: Final = ("operation", "count", "failed", "a second", "median ms", "p95 ms", "p99 ms", "highest ms")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the generator reached against a server that only answers."""

    per_s: float
    cpu: CpuShare


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything about one load test."""

    users: int
    seconds: int
    cores: int
    outcome: Outcome
    ceiling: Ceiling
    server_exit: int | None  #: of the server the test started; None = it had to be killed
    own_server: bool = True  #: False: it was there before, and its end is not ours to judge


def judge(findings: Findings) -> list[str]:
    """Why the load test failed, a sentence each; empty if it did not."""
    outcome = findings.outcome
    faults = [
        f"{operation.failures} of {operation.requests} operations `{operation.name}` failed."
        for operation in outcome.operations.values()
        if operation.failures
    ]
    faults += [
        f"No operation `{name}` ran."
        for name in MUST_HAVE_RUN
        if name not in outcome.operations or not outcome.operations[name].requests
    ]
    hello = outcome.operations.get("hello")
    if hello is not None and 0 < hello.requests < findings.users:
        faults.append(f"Only {hello.requests} of {findings.users} players came in.")
    if outcome.exit_code != 0 and not faults:
        faults.append(f"Locust ended with status {outcome.exit_code}.")
    if findings.own_server and findings.server_exit is None:
        faults.append("The server did not stop after SIGTERM and had to be killed.")
    elif findings.own_server and findings.server_exit != 0:
        faults.append(f"The server stopped with status {findings.server_exit}.")
    return faults


def caveats(findings: Findings) -> list[str]:
    """What has to be known before the figures are read."""
    generator, ceiling = findings.outcome.cpu["generator"], findings.ceiling
    per_s = findings.outcome.requests / findings.seconds
    told = [
        f"Generator, server and database shared {findings.cores} cores of one machine.",
        (
            "Times are the generator's, a tap's from when it was due; the ramp is in them, and locust rounds them to"
            " whole milliseconds or two digits."
        ),
        (
            "Locust's own ceiling, the same player against a server that only answers:"
            f" {ceiling.per_s:,.0f} round trips/s with {ceiling.cpu.mean:.0%} of a core. This run made {per_s:,.0f}/s."
        ),
        f"The generator used {generator.mean:.0%} of a core, {generator.highest:.0%} in its busiest half second.",
    ]
    if generator.mean > GENERATOR_LIMIT:
        told.append(f"That is above {GENERATOR_LIMIT:.0%}: these figures are the generator's, not the server's.")
    elif generator.highest > GENERATOR_LIMIT:
        told.append(f"Its peak is above {GENERATOR_LIMIT:.0%}: the slowest answers may be the generator's.")
    told += [
        f"The {name} used {share.mean:.0%} of a core, {share.highest:.0%} in its busiest half second."
        for name, share in findings.outcome.cpu.items()
        if name != "generator"
    ]
    return told


def rows(findings: Findings) -> list[tuple[str, ...]]:
    """The figures as text, one row an operation, in the order of `COLUMNS`."""
    return [_row(operation) for _, operation in sorted(findings.outcome.operations.items())]


def _row(operation: Operation) -> tuple[str, ...]:
    times = (operation.median_ms, operation.p95_ms, operation.p99_ms, operation.highest_ms)
    counts = (f"{operation.requests:,}", f"{operation.failures:,}", f"{operation.per_s:,.1f}")
    return (operation.name, *counts, *(f"{time_ms:,.0f}" for time_ms in times))


def render_table(findings: Findings) -> Table:
    """The figures for a terminal."""
    table = Table(box=None, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == COLUMNS[0] else "right")
    for row in rows(findings):
        table.add_row(*row)
    return table


def with_findings(page: str, findings: Findings) -> str:
    """Locust's HTML page with our part before its own.

    Args:
        page: as locust wrote it.
        findings: what to say.

    Raises:
        ValueError: it has no body.
    """
    before, body, after = page.partition("<body>")
    if not body:
        raise ValueError("locust's page has no <body>")
    faults = judge(findings)
    lines = [
        '<section style="font-family: sans-serif; max-width: 70em; margin: 1em auto; padding: 0 1em">',
        f"<h1>{findings.users:,} players, {findings.seconds} s: {'failed' if faults else 'passed'}</h1>",
        *(f"<p><strong>{html.escape(fault)}</strong></p>" for fault in faults),
        *(f"<p>{html.escape(caveat)}</p>" for caveat in caveats(findings)),
        "</section>",
    ]
    return "\n".join([before + body, *lines]) + after


def as_json(findings: Findings) -> dict[str, Any]:
    """Everything, for programs."""
    cpu = {name: share._asdict() for name, share in findings.outcome.cpu.items()}
    return {
        "passed": not judge(findings),
        "faults": judge(findings),
        "caveats": caveats(findings),
        **asdict(findings),
        "outcome": asdict(findings.outcome) | {"cpu": cpu},
        "ceiling": {"per_s": findings.ceiling.per_s, "cpu": findings.ceiling.cpu._asdict()},
    }
