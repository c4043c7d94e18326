"""What an installation holds, and that the lock files leave nothing open."""

import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = ("gameserver", "hotpath", "persistence", "http_admin")


def test_every_file_of_the_packages_is_installed(tracked: list[PurePosixPath], tmp_path: Path) -> None:
    wanted = {path for path in tracked if path.parts[0] in SHIPPED}
    for path in [*wanted, PurePosixPath("pyproject.toml"), PurePosixPath("LICENSE")]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / "README.md").touch()
    # Without setup.py: the extensions are not the subject, and their sources are files of the packages.
    program = "import setuptools; setuptools.setup()"
    build = [sys.executable, "-c", program, "-q", "build_py", "--build-lib", "installed"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    installed = {
        PurePosixPath(path.relative_to(tmp_path / "installed").as_posix())
        for path in (tmp_path / "installed").rglob("*")
        if path.is_file()
    }
    assert wanted - installed == set()
    assert installed - wanted == set()
    content = {path for path in installed if path.is_relative_to("persistence/seed/content")}
    assert len(content) > 10  # the game's own content goes where the server goes
    assert {path.suffix for path in content} == {".toml"}


def lock_faults(text: str) -> list[str]:
    """Requirements of a lock file that are not pinned by version and hash, and lines that name a place."""
    found = [line for line in text.splitlines() if re.search(r"://|--index|--find-links|--trusted|@ |^-", line)]
    entries = re.sub(r"\\\n", " ", text).splitlines()
    pinned = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,_-]+\])?==[\w.!+]+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+ *")
    return found + [entry[:60] for entry in entries if entry.strip() and not pinned.fullmatch(entry)]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_pin_by_hash_and_name_no_place(name: str) -> None:
    assert lock_faults((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "bad",
    [
        "trio>=0.30",
        "trio==0.30",
        "--index-url https://packages.example/simple",
        f"trio @ https://files.example/trio.whl --hash=sha256:{'0' * 64}",
        f"trio==0.30 \\\n    --hash=md5:{'0' * 32}",
    ],
)
def test_a_loose_lock_line_is_found(bad: str) -> None:
    good = f"trio==0.30 ; python_version < '4' \\\n    --hash=sha256:{'0' * 64}\n"
    assert lock_faults(good) == []
    assert lock_faults(good + bad + "\n") != []


def test_the_development_lock_agrees_with_the_one_that_ships() -> None:
    pins: list[set[str]] = [
        set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    ]
    assert pins[0] - pins[1] == set()
