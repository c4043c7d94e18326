"""The limit of open files: raised as far as it goes; where that is too little, fewer sockets and a sentence."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gameserver.file_limit import RESERVE_FILES, advice, attainable_files, raise_file_limit, sockets_that_fit

ROOT = Path(__file__).parents[3]


def in_process(soft: int, hard: int, expression: str) -> object:
    """What an expression is in a process with these limits: lowering the hard one of our own could not be undone."""
    program = (
        "import json, resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from gameserver.file_limit import *\n"
        f"print(json.dumps({expression}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    looked = "[raise_file_limit(300), *resource.getrlimit(resource.RLIMIT_NOFILE)]"
    assert in_process(200, 900, looked) == [900, 900, 900]
    assert in_process(900, 900, looked) == [900, 900, 900]
    assert in_process(200, 900, "attainable_files()") == 900


def test_where_the_hard_limit_cannot_be_had_what_is_wanted_is(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [256, resource.RLIM_INFINITY]

    def set_limits(_: int, asked: tuple[int, int]) -> None:
        if asked[0] == resource.RLIM_INFINITY:
            raise ValueError("as macOS says")
        limits[:] = asked

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", set_limits)
    assert raise_file_limit(20_000) == 20_000
    assert limits == [20_000, resource.RLIM_INFINITY]
    assert raise_file_limit(10_000) == 20_000, "a limit is never lowered"


def test_no_limit_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("there is nothing to raise")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_file_limit(10**6) >= 10**6
    assert advice(attainable_files(), 10**6) == ""


@pytest.mark.parametrize(
    ("files", "wanted", "fit"),
    [
        (10_000 + RESERVE_FILES, 10_000, 10_000),
        (10_000 + RESERVE_FILES - 1, 10_000, 9_999),
        (1_024, 10_000, 1_024 - RESERVE_FILES),
        (64, 10_000, 1),
    ],
)
def test_sockets_that_fit_and_what_to_do_otherwise(files: int, wanted: int, fit: int) -> None:
    assert sockets_that_fit(files, wanted) == fit
    sentence = advice(files, wanted)
    assert (sentence == "") is (fit == wanted)
    if sentence:
        assert "\n" not in sentence
        assert {str(files), str(fit), str(wanted), str(wanted + RESERVE_FILES)} <= set(re.findall(r"\d+", sentence))
        assert "LimitNOFILE" in sentence
        assert "ulimit" in sentence
