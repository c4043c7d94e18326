"""What tests of the tree itself share."""

import os
import subprocess
from pathlib import Path, PurePosixPath

import pytest
import structlog
from hypothesis import HealthCheck, settings

# The machine is shared: how long an example takes says nothing about the code.
# Under AddressSanitizer one costs ten times as much, and the fuzzer looks further there: fewer are asked for.
EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "100"))
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=EXAMPLES)
settings.load_profile("untimed")

# As in the server; structlog's own default draws every local variable of a traceback, which takes seconds.
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

pytest_plugins = ["tests.secrets_watch"]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tracked() -> list[PurePosixPath]:
    """Every file of the repository that is there."""
    if not (ROOT / ".git").exists():
        assert os.environ.get("CI") != "true", "CI checks a git checkout"
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [PurePosixPath(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes make no name for a test: unreadable, and random ones differ between workers, which pytest-xdist refuses."""
    del config
    return argname if isinstance(val, bytes) else None
