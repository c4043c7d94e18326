import json
from dataclasses import replace

import pytest
from rich.console import Console

from loadtest.cpu_watch import CpuShare
from loadtest.locust_run import Failure, Operation, Outcome
from loadtest.verdict import Ceiling, Findings, as_json, caveats, judge, render_table, with_findings

CALM = CpuShare(0.25, 0.5)


def operation(name: str, requests: int = 100, failures: int = 0) -> Operation:
    return Operation(name, requests, failures, 12.5, 1.0, 2.0, 3.0, 4.0, 1234.0)


def outcome(*operations: Operation, exit_code: int = 0, generator: CpuShare = CALM, failures: int = 0) -> Outcome:
    return Outcome(
        exit_code=exit_code,
        operations={found.name: found for found in operations or map(operation, ("connect", "hello", "tap"))},
        failures=[Failure("tap", "<b>wrong</b>", failures)] if failures else [],
        cpu={"generator": generator, "server": CpuShare(0.4, 0.6)},
    )


GOOD = Findings(
    users=100,
    seconds=30,
    cores=2,
    outcome=outcome(),
    ceiling=Ceiling(7_000.0, CpuShare(0.99, 1.0)),
    server_exit=0,
)


def test_a_good_run_has_no_fault() -> None:
    assert judge(GOOD) == []


@pytest.mark.parametrize(
    ("findings", "fault"),
    [
        (
            replace(GOOD, outcome=outcome(operation("connect"), operation("hello"), operation("tap", failures=3))),
            "3 of 100 operations `tap` failed.",
        ),
        (replace(GOOD, outcome=outcome(operation("connect"), operation("hello"))), "No operation `tap` ran."),
        (
            replace(GOOD, outcome=outcome(operation("connect"), operation("hello"), operation("tap", requests=0))),
            "No operation `tap` ran.",
        ),
        (replace(GOOD, users=101), "Only 100 of 101 players came in."),
        (replace(GOOD, outcome=outcome(exit_code=2)), "Locust ended with status 2."),
        (replace(GOOD, server_exit=1), "The server stopped with status 1."),
        (replace(GOOD, server_exit=None), "The server did not stop after SIGTERM and had to be killed."),
    ],
)
def test_every_fault_is_found(findings: Findings, fault: str) -> None:
    assert judge(findings) == [fault]


def test_the_end_of_somebody_elses_server_is_no_fault() -> None:
    assert judge(replace(GOOD, server_exit=None, own_server=False)) == []


def test_the_ceiling_stands_beside_the_figures() -> None:
    told = " ".join(caveats(GOOD))
    assert "7,000 round trips/s with 99% of a core. This run made 10/s." in told
    assert "The generator used 25% of a core, 50% in its busiest half second." in told
    assert "The server used 40% of a core" in told
    assert "90%" not in told


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        (CpuShare(0.91, 1.0), "these figures are the generator's, not the server's"),
        (CpuShare(0.5, 0.95), "the slowest answers may be the generator's"),
    ],
)
def test_a_busy_generator_is_told(share: CpuShare, sentence: str) -> None:
    assert sentence in " ".join(caveats(replace(GOOD, outcome=outcome(generator=share))))


def test_the_table_shows_every_operation() -> None:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(render_table(GOOD))
    lines = [line.split() for line in captured.get().splitlines()]
    assert lines[1:] == [[name, "100", "0", "12.5", "2", "3", "4", "1,234"] for name in ("connect", "hello", "tap")]


def test_the_page_tells_before_locusts_own_part() -> None:
    findings = replace(GOOD, server_exit=None)
    page = with_findings("<html><body><div>locust</div></body></html>", findings)
    assert page.startswith("<html><body>")
    assert page.index("100 players, 30 s: failed") < page.index("had to be killed") < page.index("<div>locust</div>")
    assert "passed" in with_findings("<body></body>", GOOD)
    with pytest.raises(ValueError, match="no <body>"):
        with_findings("", GOOD)


def test_programs_can_read_it() -> None:
    read = json.loads(json.dumps(as_json(replace(GOOD, outcome=outcome(failures=2, exit_code=1)))))
    assert read["passed"] is False
    assert read["faults"] == ["Locust ended with status 1."]
    assert read["outcome"]["operations"]["tap"]["p99_ms"] == 4.0
    assert read["outcome"]["cpu"]["generator"] == {"mean": 0.25, "highest": 0.5}
    assert read["ceiling"]["per_s"] == 7_000.0
