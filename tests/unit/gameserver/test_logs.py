"""Logs go to standard error in one format, whoever speaks."""

import json
import logging
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
from gameserver.logs import configure_logs, get_logger
configure_logs(as_json=sys.argv[1] == "json")
log = get_logger("gameserver.edge.listener")
log.info("taken", port=8600)
log.debug("not shown")
logging.getLogger("some.library").warning("careful: %s", "hot")
for noisy in ("trio-websocket", "wsproto", "hypercorn.error"):
    logging.getLogger(noisy).error("noise")
try:
    raise RuntimeError("a bug")
except RuntimeError:
    log.exception("crashed")
"""


def run(log_format: str) -> tuple[str, list[str]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, log_format], check=True, capture_output=True, text=True)
    return done.stdout, done.stderr.splitlines()


def test_json_is_one_object_a_line() -> None:
    out, lines = run("json")
    assert out == ""
    taken, careful, crashed = map(json.loads, lines)
    assert (taken["event"], taken["port"], taken["level"]) == ("taken", 8600, "info")
    assert taken["timestamp"].endswith("Z")
    assert (careful["event"], careful["level"]) == ("careful: hot", "warning")
    assert crashed["event"] == "crashed"
    assert "RuntimeError: a bug" in crashed["exception"]


def test_text_is_for_people() -> None:
    out, lines = run("text")
    assert out == ""
    assert any("taken" in line and "port=8600" in line for line in lines)
    assert any("careful: hot" in line for line in lines)
    assert any("RuntimeError: a bug" in line for line in lines)
    assert not any("noise" in line or "not shown" in line for line in lines)
    assert not any("\x1b" in line for line in lines), "no colours where nobody sees them"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_a_level_can_be_chosen(level: int) -> None:
    program = PROGRAM.replace('sys.argv[1] == "json"', f"False, level={level}")
    done = subprocess.run([sys.executable, "-c", program, "text"], check=True, capture_output=True, text=True)
    assert ("not shown" in done.stderr) is (level == logging.DEBUG)
    assert ("taken" in done.stderr) is (level == logging.DEBUG)
