"""The fuzzer's run, with eyes and without: it ends in time, and what breaks a property makes it fail and is kept."""

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.run import MAX_BYTES, changed

ROOT = Path(__file__).parents[3]
BROKEN = "from hotpath import tap_codec; tap_codec.decode_tap = lambda payload: None"
HAS_ATHERIS = importlib.util.find_spec("atheris") is not None

guided_and_blind = pytest.mark.parametrize(
    "way",
    [
        pytest.param((), id="guided", marks=pytest.mark.skipif(not HAS_ATHERIS, reason="atheris is not for here")),
        pytest.param(("--blind",), id="blind"),
    ],
)


def fuzz(findings: Path, *options: str, before: str = "") -> subprocess.CompletedProcess[str]:
    arguments = ["run", *options, "--findings", str(findings)]
    program = f"import sys; sys.argv = {arguments!r}; {before}\nfrom tests.fuzz.run import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@guided_and_blind
def test_a_run_over_good_code_ends_in_time_and_succeeds(tmp_path: Path, way: tuple[str, ...]) -> None:
    done = fuzz(tmp_path, "1", *way)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("crash-*"))


@guided_and_blind
def test_what_breaks_a_property_is_kept_and_can_be_shown_again(tmp_path: Path, way: tuple[str, ...]) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a tap").write_bytes(b"\x02\x94\x02\x07\x01\x00")
    done = fuzz(tmp_path, "20", *way, before=BROKEN)
    assert done.returncode != 0
    [kept] = tmp_path.glob("crash-*")
    assert fuzz(tmp_path, "--again", str(kept), before=BROKEN).returncode != 0
    assert fuzz(tmp_path, "--again", str(kept)).returncode == 0


def test_changes_stay_small_and_within_the_bound() -> None:
    source = random.Random(1)
    data = bytes(range(200))
    changes = [changed(data, source) for _ in range(500)]
    assert len({len(change) for change in changes}) > 20
    assert all(abs(len(change) - len(data)) <= 160 for change in changes)
    assert len(changed(bytes(MAX_BYTES + 500), source)) <= MAX_BYTES
