"""Builds the Cython extensions; everything else stands in pyproject.toml.

Switches, each an environment variable set to 1:
    HOTPATH_DEBUG     bounds, wraparound and overflow checks on, -O0 and debug symbols
    HOTPATH_ANNOTATE  write the annotated HTML beside each .pyx
    HOTPATH_COVERAGE  line tracing for coverage's Cython plugin
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG, ANNOTATE, COVERAGE = (
    os.environ.get(f"HOTPATH_{name}") == "1" for name in ("DEBUG", "ANNOTATE", "COVERAGE")
)

directives: dict[str, object] = {"language_level": 3, "embedsignature": True}
if DEBUG:
    directives |= {"boundscheck": True, "wraparound": True, "overflowcheck": True}
if COVERAGE:
    directives |= {"linetrace": True}

extensions = [
    Extension(
        ".".join(source.with_suffix("").parts),
        [source.as_posix()],
        extra_compile_args=["-O0", "-g"] if DEBUG else ["-O3"],
        define_macros=[("CYTHON_TRACE_NOGIL", "1")] if COVERAGE else [],
    )
    for source in sorted(Path("hotpath").glob("_*_c.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions, compiler_directives=directives, annotate=ANNOTATE, build_dir="build/cython", force=DEBUG
    )
)
