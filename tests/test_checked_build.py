"""The checked builds find what they are there to find: planted faults, which the normal build lets pass."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checked_build import BuildError, build, environment, main, update

ROOT = Path(__file__).parent.parent
PLANT = """
def read_behind(bytes data not None):
    cdef const unsigned char* start = data
    return start[len(data) + 1]

def square(int number):
    return number * number

def shifted(int number):
    return 1 << number

def at(bytes data not None, Py_ssize_t index):
    cdef const unsigned char[::1] view = data
    return view[index]
"""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="gcc and its sanitizers"),
    pytest.mark.xdist_group("checked builds"),  # built once
]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tree for each mode, with faults in it."""
    trees = {mode: tmp_path_factory.mktemp(mode) for mode in ("debug", "asan")}
    for mode, tree in trees.items():
        (tree / "hotpath").mkdir()
        (tree / "hotpath/__init__.py").touch()
        (tree / "hotpath/_plant_c.pyx").write_text(PLANT)
        shutil.copy(ROOT / "setup.py", tree)
        build(mode, tree)
    return trees


def run(mode: str, tree: Path, expression: str) -> subprocess.CompletedProcess[str]:
    program = f"from hotpath import _plant_c as plant; print({expression})"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=tree,
        env=environment(mode, tree),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("mode", "fault", "finding"),
    [
        ("asan", "plant.read_behind(bytes(64))", "AddressSanitizer: heap-buffer-overflow"),
        ("asan", "plant.shifted(77)", "runtime error: shift exponent 77 is too large"),
        ("debug", "plant.square(2**30)", "OverflowError"),
        ("debug", "plant.at(bytes(8), 8)", "IndexError"),
    ],
)
def test_a_planted_fault_is_found(planted: dict[str, Path], mode: str, fault: str, finding: str) -> None:
    done = run(mode, planted[mode], fault)
    assert done.returncode != 0
    assert finding in done.stderr


@pytest.mark.parametrize("mode", ["debug", "asan"])
def test_what_is_right_is_let_through(planted: dict[str, Path], mode: str) -> None:
    done = run(mode, planted[mode], "plant.square(7), plant.shifted(3), plant.at(b'abc', 2)")
    assert (done.returncode, done.stdout) == (0, "49 8 99\n")


def test_a_build_of_another_mode_is_not_taken_for_it(planted: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.checked_build.MARKS", {"debug": b"a mark that is nowhere"})
    with pytest.raises(BuildError, match="not of mode debug"):
        build("debug", planted["debug"])


def test_an_unknown_mode_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["checked_build", "release", "-c", "pass"])
    assert main() == 1
    assert capsys.readouterr().err == "checked_build: the modes are debug, asan, not 'release'.\n"


def test_the_copy_becomes_what_the_tree_is_and_keeps_what_was_built(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    (source / "inner").mkdir(parents=True)
    for name in ("_x_c.pyx", "kept.py", "gone.py", "inner/deep.py", "_x_c.cpython.so", "_x_c.c"):
        (source / name).write_text(f"{name} 1")
    os.utime(source / "kept.py", (1_000, 1_000))
    update(source, copy)
    assert {path.relative_to(copy).as_posix() for path in copy.rglob("*.*")} == {
        "_x_c.pyx",
        "kept.py",
        "gone.py",
        "inner/deep.py",
    }
    assert (copy / "kept.py").stat().st_mtime == 1_000
    for name in ("_x_c.cpython.so", "_old_c.cpython.so"):
        (copy / name).touch()
    (source / "gone.py").unlink()
    (source / "kept.py").write_text("changed")
    update(source, copy)
    assert {path.relative_to(copy).as_posix() for path in copy.rglob("*.*")} == {
        "_x_c.pyx",
        "kept.py",
        "inner/deep.py",
        "_x_c.cpython.so",
    }
    assert (copy / "kept.py").read_text() == "changed"
