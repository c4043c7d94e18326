from pathlib import Path

import pytest

from loadtest.locust_run import Failure, Operation, read_failures, read_stats
from loadtest.own_server import LoadTestError

STATS = (
    "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,"
    "Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%\n"
    "WS,tap,190,2,2.0,1.9,0.8,4.7,0.0,21.1,0.2,2,2,2,2,3,3,4,4,4,4,4\n"
    "WS,resume,0,0,N/A,0,0,0,0.0,0.0,0.0,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A\n"
    ",Aggregated,190,2,2.0,1.9,0.8,4.7,0.0,21.1,0.2,2,2,2,2,3,3,4,4,4,4,4\n"
)


def write(folder: Path, text: str) -> Path:
    path = folder / "figures.csv"
    path.write_text(text)
    return path


def test_locusts_figures_are_read(tmp_path: Path) -> None:
    assert read_stats(write(tmp_path, STATS)) == {
        "tap": Operation("tap", 190, 2, 21.1, 0.8, 2.0, 3.0, 4.0, 4.7),
        "resume": Operation("resume", 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    }


def test_locusts_failures_are_read_most_frequent_first(tmp_path: Path) -> None:
    text = "Method,Name,Error,Occurrences\nWS,tap,\"Misbehaved('a, b')\",2\nWS,connect,Refused,30\n"
    assert read_failures(write(tmp_path, text)) == [
        Failure("connect", "Refused", 30),
        Failure("tap", "Misbehaved('a, b')", 2),
    ]
    assert read_failures(tmp_path / "none.csv") == []


@pytest.mark.parametrize("text", ["Name,Count\ntap,1\n", STATS.replace("190", "many")])
def test_another_form_is_no_result(tmp_path: Path, text: str) -> None:
    with pytest.raises(LoadTestError, match="should write"):
        read_stats(write(tmp_path, text))


def test_another_form_of_failures_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(LoadTestError, match="should write"):
        read_failures(write(tmp_path, "Name,Error\ntap,x\n"))
