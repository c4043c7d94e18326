"""The plug-in that looks for secrets in all that the suite's programs write, looked at itself: it can fail."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.loopback_game import KEY
from tests.fakes.telegram import BOT_TOKEN, init_data, signed_widget
from tests.secrets_watch import PASSPHRASES, Watch, secrets_in

ROOT = Path(__file__).parents[2]
JWT = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsxIn0.eyJpc3MiOiJwcGoiLCJhdWQiOiJwcGouZ2FtZSJ9.Zm9yZ2VkLXNpZ25hdHVyZQ"
REFRESH = "q0w9e8r7t6Y5u4i3o2p1A-s_D0f9G8h7J6k5L4z3X2c"
PASSWORD_ADDRESS = "postgresql://game:hunter2@db.example/game"

FOUND = {
    "access token": JWT,
    "refresh token": REFRESH,
    "bot token": BOT_TOKEN,
    "initData": init_data(1_767_225_600),
    "widget": json.dumps(signed_widget({"id": 42, "auth_date": 1_767_225_600})),
    "signing key": KEY,
    "passphrase": PASSPHRASES[0],
    "address": PASSWORD_ADDRESS,
}

PROGRAM = """
import httpx, logging, structlog
from structlog.testing import capture_logs

SECRET = {secret!r}

def test_output():
    print("logged in with", SECRET)

def test_log():
    logging.getLogger("x").warning("logged in with %s", SECRET)

def test_captured_entry():
    with capture_logs():
        structlog.get_logger().info("logged in", credential=SECRET)

def test_captured_exception():
    with capture_logs():
        structlog.get_logger().error("crashed", exc_info=ValueError(SECRET))

def test_problem():
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(401, text=SECRET))) as client:
        client.get("http://game.example/auth/verify")

def test_metrics():
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text=SECRET))) as client:
        client.get("http://game.example/metrics")

def test_the_callers_own():
    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text=SECRET))) as client:
        client.get("http://game.example/auth/refresh")
"""


@pytest.mark.parametrize("secret", FOUND.values(), ids=FOUND)
def test_each_kind_is_found_and_not_shown(secret: str) -> None:
    [found, *_] = secrets_in(f'2026-01-01 [info] logged in credential="{secret}" more')
    assert "credential" in found
    assert secret not in found


@pytest.mark.parametrize(
    "text",
    [
        "player=7f0c0c6e-3b0a-4f0e-9d67-0f6f1a1b2c3d session=0b9b3a4e-2f0c-4a53-9d0f-0f1d7c2f7a10",
        "sha256 c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2",
        "2026-11-29T03:37:39.356764Z [info     ] stopping",
        "Could not open http://127.0.0.1:8601/docs",
        "postgresql://game:***@db.example/game",
        "test_one_init_data_is_one_registration_one_invitation_and_one_login_event",
    ],
)
def test_what_is_no_secret_is_let_through(text: str) -> None:
    assert list(secrets_in(text)) == []


def test_what_is_found_is_told_once() -> None:
    watch = Watch()
    watch.look("here", "a drawn key: k-1", {"k-1": "a key"})
    assert len(watch.take()) == 1
    assert watch.take() == []


def test_a_suite_whose_program_writes_a_secret_fails(tmp_path: Path) -> None:
    (tmp_path / "test_program.py").write_text(PROGRAM.format(secret=JWT))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.secrets_watch",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
    ]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "6 failed, 1 passed" in done.stdout, done.stdout
    for name in ("output", "log", "captured_entry", "captured_exception", "problem", "metrics"):
        assert re.search(rf"test_program\.py::test_{name}\b", done.stdout), done.stdout
