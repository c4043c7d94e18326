"""Builds the Cython extensions; everything else stands in pyproject.toml.

Switches, each an environment variable set to 1; a build in another mode than the last one builds everything anew:
    HOTPATH_DEBUG     bounds, wraparound and overflow checks on, -O0 and debug symbols
    HOTPATH_ASAN      AddressSanitizer and the checks for undefined behaviour; python then needs libasan in LD_PRELOAD
    HOTPATH_ANNOTATE  write the annotated HTML beside the generated C, under build/cython
    HOTPATH_COVERAGE  line tracing for coverage's Cython plugin, which wants the generated C beside the .pyx
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# The load generator's are for Linux, and no part of an installation.
PACKAGES = ["hotpath", "loadtest"] if sys.platform == "linux" and "--inplace" in sys.argv else ["hotpath"]
MODES = ("DEBUG", "ASAN", "ANNOTATE", "COVERAGE")
DEBUG, ASAN, ANNOTATE, COVERAGE = (os.environ.get(f"HOTPATH_{name}") == "1" for name in MODES)
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"] if ASAN else []
EPOLL = ("_connection_c", "_gateway_c")  # which only Linux has
directives: dict[str, object] = {"language_level": 3, "embedsignature": True}
if DEBUG:
    directives |= {"boundscheck": True, "wraparound": True, "overflowcheck": True}
if COVERAGE:
    directives |= {"linetrace": True}

# Generated C is kept apart by mode. That a built extension is of another mode its sources cannot say: a file does,
# which is written only when the mode changes and which every extension depends on.
mode = "coverage" * COVERAGE + "debug" * DEBUG + "asan" * ASAN or "release"
mode_file = Path("build/cython/mode")
if not mode_file.exists() or mode_file.read_text() != mode:
    mode_file.parent.mkdir(parents=True, exist_ok=True)
    mode_file.write_text(mode)

extensions = [
    Extension(
        ".".join(source.with_suffix("").parts),
        [source.as_posix()],
        depends=[mode_file.as_posix()],
        extra_compile_args=[*(["-O0", "-g"] if DEBUG or ASAN else ["-O3"]), *SANITIZERS],
        extra_link_args=SANITIZERS,
        define_macros=[("CYTHON_TRACE_NOGIL", "1")] if COVERAGE else [],
    )
    for package in PACKAGES
    for source in sorted(Path(package).glob("_*_c.pyx"))
    if sys.platform == "linux" or source.stem not in EPOLL
]

setup(
    ext_modules=cythonize(  # type: ignore[no-untyped-call]  # Cython gives it no annotations
        extensions,
        compiler_directives=directives,
        annotate=ANNOTATE,
        build_dir=None if COVERAGE else f"build/cython/{mode}",
        force=ANNOTATE or COVERAGE,
        quiet=True,
    )
)
