"""A build of the extensions with checks in it, in a copy of the tree: `python -m tests.checked_build MODE COMMAND…`.

debug   bounds, wraparound and overflow checks of Cython
asan    AddressSanitizer and the checks for undefined behaviour, over what Cython cannot check: raw memory

The extensions that were built in place stay what they are. The copy is `build/checked/<mode>`; only what has changed is
built again. COMMAND runs in it, with the arguments of this Python: `-m pytest tests/unit/hotpath`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("gameserver", "hotpath", "persistence", "http_admin", "loadtest", "tests", "docs")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
NOT_COPIED = {".so", ".c", ".pyc"}  #: made, not written
MARKS = {"debug": b"", "asan": b"__asan_init"}  #: what is in an extension of a mode


def main() -> int:
    """Build, then run the command; its exit status."""
    mode, *command = sys.argv[1:]
    try:
        copy = prepare(mode)
    except BuildError as error:
        print(f"checked_build: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the command's own voice
        return 1
    return subprocess.run([sys.executable, *command], cwd=copy, env=environment(mode, copy), check=False).returncode


class BuildError(Exception):
    """There is no such build here; one sentence."""


def prepare(mode: str) -> Path:
    """Bring the copy up to date and build in it.

    Returns:
        The copy's root.

    Raises:
        BuildError: it cannot be built, or is not what it should be.
    """
    if mode not in MARKS:
        raise BuildError(f"the modes are {', '.join(MARKS)}, not {mode!r}.")
    copy = ROOT / "build" / "checked" / mode
    for folder in FOLDERS:
        update(ROOT / folder, copy / folder)
    for name in FILES:
        shutil.copy2(ROOT / name, copy / name)
    build(mode, copy)
    return copy


def build(mode: str, tree: Path) -> None:
    """Build the extensions of a tree in place.

    Raises:
        BuildError: they cannot be built, or are not of this mode.
    """
    settings = {name: value for name, value in os.environ.items() if not name.startswith("HOTPATH_")}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "-j2"]
    done = subprocess.run(
        command,
        cwd=tree,
        env=settings | {f"HOTPATH_{mode.upper()}": "1"},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:  # otherwise it is gcc's remarks on what Cython has written
        raise BuildError(f"the extensions cannot be built in {tree}.\n{done.stdout}")
    built = [path for folder in ("hotpath", "loadtest") for path in (tree / folder).glob("_*_c*.so")]
    if not built:
        raise BuildError(f"there are no extensions in {tree}.")
    if (tree / "build/cython/mode").read_text() != mode or any(MARKS[mode] not in path.read_bytes() for path in built):
        raise BuildError(f"the extensions in {tree} are not of mode {mode}.")


def environment(mode: str, tree: Path) -> dict[str, str]:
    """What Python needs to load such extensions, and to load those.

    Raises:
        BuildError: the compiler has no libasan.
    """
    settings = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    if mode == "asan":
        asked = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"],
            check=True,
            capture_output=True,
            text=True,
        )
        library = Path(asked.stdout.strip())
        if not library.is_absolute():
            raise BuildError("gcc has no libasan; install it (Debian: libasan8).")
        settings |= {
            "LD_PRELOAD": str(library),
            "ASAN_OPTIONS": "detect_leaks=0",  # Python itself keeps what it has until the process ends
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "TEST_EXAMPLES": os.environ.get("TEST_EXAMPLES", "15"),
            "PYTHONMALLOC": "malloc",  # Python's own allocator would hide who owns which byte
        }
    return settings


def update(source: Path, target: Path) -> None:
    """Make `target` what `source` is, but for what is made; times are kept, so that little is built again."""
    wanted = {
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and path.suffix not in NOT_COPIED and "__pycache__" not in path.parts
    }
    there = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    for gone in there - wanted:
        if gone.suffix not in NOT_COPIED or not (source / gone.name.partition(".")[0]).with_suffix(".pyx").exists():
            (target / gone).unlink()
    for name in wanted:
        before, now = target / name, source / name
        if not before.exists() or (before.stat().st_mtime_ns, before.stat().st_size) != (
            now.stat().st_mtime_ns,
            now.stat().st_size,
        ):
            before.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(now, before)


if __name__ == "__main__":
    sys.exit(main())
