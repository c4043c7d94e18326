"""The rules of the tree that no other tool sees. Every scan is also given something bad, so that none is blind."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

import gameserver

ROOT = Path(__file__).parent.parent
PACKAGES = ("gameserver", "hotpath", "persistence", "http_admin", "loadtest")
TOP_LEVEL = {
    *PACKAGES,
    "tests",
    "docs",
    "deploy",
    "pyproject.toml",
    "setup.py",
    "requirements.lock",
    "requirements-dev.lock",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    ".ci",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
}
MAX_LINES = 400
LONGER: dict[str, str] = {}  #: path → why it may be longer
MAX_BYTES = 1_000_000
VENDORED = "http_admin/miniapp/vendor/"
CLOCK = "gameserver/clock.py"
CYTHON_MAY_IMPORT = re.compile(
    r"hotpath(\..+)?|cython|cpython\.(buffer|bytes|exc|long|mem|object|ref|unicode)|libc\.(limits|math|stddef|stdint|stdlib|string)"
)
#: The two modules whose subject is the kernel's sockets, and what they need of it.
SOCKET_MODULES = ("hotpath/_connection_c", "hotpath/_gateway_c")
SOCKETS = re.compile(
    r"from libc\.errno cimport .*|from collections import deque"
    r"|cdef extern from \"(sys/epoll|sys/eventfd|sys/socket|unistd|time)\.h\" nogil:"
)
#: One good plant per import contract: id → (file, line added to it, what the report then says).
PLANTS = {
    "layers-gameserver": ("gameserver/errors.py", "import gameserver.wire", "gameserver.errors -> gameserver.wire"),
    "layers-roots": ("persistence/records.py", "import gameserver.errors", "persistence.records -> gameserver.errors"),
    "door-asyncpg": ("gameserver/wire/ops.py", "import asyncpg", "gameserver.wire.ops -> asyncpg"),
    "door-trio-asyncio": ("http_admin/app.py", "import trio_asyncio", "http_admin.app -> trio_asyncio"),
    "pure": ("hotpath/rules.py", "import time", "hotpath.rules -> time"),
    "loadtest-outside": ("loadtest/swarm.py", "import gameserver.actors", "loadtest.swarm -> gameserver.actors"),
    "loadtest-alone": ("gameserver/clock.py", "import gevent", "gameserver.clock -> gevent"),
    "acyclic": ("hotpath/_rules_py.py", "import hotpath._rate_limit_py", "No cycles are allowed in hotpath"),
}


@pytest.fixture(scope="module")
def contracts() -> list[dict[str, Any]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return found


def sources(tracked: list[PurePosixPath], *suffixes: str) -> Iterator[tuple[PurePosixPath, str]]:
    for path in tracked:
        if path.suffix in suffixes:
            yield path, (ROOT / path).read_text(encoding="utf-8")


# ---- what imports what


def lint_imports(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-logo", "--no-cache", *arguments], cwd=tree, check=False, capture_output=True, text=True
    )


def test_import_contracts_are_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def test_every_import_contract_has_a_plant(contracts: list[dict[str, Any]]) -> None:
    assert {contract["id"] for contract in contracts} == set(PLANTS)


@pytest.mark.parametrize("contract", PLANTS)
def test_a_planted_import_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=_all_but_python)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    name, line, finding = PLANTS[contract]
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    if contract == "acyclic":  # one half of a circle is in the plant
        (tmp_path / "hotpath/_rate_limit_py.py").write_text("import hotpath._rules_py\n", encoding="utf-8")
    done = lint_imports(tmp_path, "--contract", contract)
    assert done.returncode == 1
    assert finding in done.stdout


def _all_but_python(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".py") and not Path(folder, name).is_dir()]


def foreign_cython_imports(text: str) -> list[str]:
    """What a .pyx, .pxd or .pyi of hotpath takes from outside, each as its line: import-linter reads only .py."""
    found = []
    for line in map(str.strip, text.splitlines()):
        if match := re.match(r"from\s+([\w.]+)\s+c?import\b", line):
            names = [match[1]]
        elif match := re.match(r"c?import\s+(.+)", line):
            names = [part.split()[0] for part in match[1].split(",")]
        elif re.match(r"cdef\s+extern\s+from\s+(?!\*)|include\s+[\"']|DEF\s+\w", line):
            found.append(line)
            continue
        else:
            continue
        if not all(CYTHON_MAY_IMPORT.fullmatch(name) for name in names):
            found.append(line)
    return found


def test_cython_imports_only_hotpath_and_plain_c(tracked: list[PurePosixPath]) -> None:
    every = dict(sources(tracked, ".pyx", ".pxd"))
    assert {path.parts[0] for path in every} == {"hotpath", "loadtest"}
    texts = {path: text for path, text in every.items() if path.parts[0] == "hotpath"}
    assert texts
    foreign = {str(path): found for path, text in texts.items() if (found := foreign_cython_imports(text))}
    for path, found in foreign.items():
        if path.startswith(SOCKET_MODULES):
            found[:] = [line for line in found if not SOCKETS.fullmatch(line)]
    assert {path: found for path, found in foreign.items() if found} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import gameserver.errors",
        "from gameserver.wire cimport codec",
        "cimport libc.math, libc.time",
        "from libc.time cimport time",
        "from libc.stdio cimport printf",
        "from posix.time cimport clock_gettime",
        "    import socket",
        "from persistence import records",
        'cdef extern from "sys/socket.h":',
        'include "rules.pxi"',
        "DEF SIZE = 4",
    ],
)
def test_a_foreign_cython_import_is_found(line: str) -> None:
    assert foreign_cython_imports(f"from libc.stdint cimport int64_t\n{line}\n") == [line.strip()]
    assert foreign_cython_imports("from hotpath._rules_c cimport level_of\ncdef extern from *:\n") == []


def foreign_loadtest_imports(text: str) -> list[str]:
    """What a module of loadtest takes from the server beside the wire, the error tree and the tap codec."""
    ours = re.compile(rf"({'|'.join(PACKAGES)})(\..+)?")
    may = re.compile(r"gameserver\.(wire|errors)(\..+)?|hotpath\.tap_codec|loadtest(\..+)?")
    return [name for name in imported(text) if ours.fullmatch(name) and not may.fullmatch(name)]


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from (f"{module}.{alias.name}" if "." not in module else module for alias in node.names)


def test_loadtest_sees_only_the_wire(tracked: list[PurePosixPath]) -> None:
    texts = {path: text for path, text in sources(tracked, ".py") if path.parts[0] == "loadtest"}
    assert {str(path): found for path, text in texts.items() if (found := foreign_loadtest_imports(text))} == {}


def test_a_foreign_loadtest_import_is_found() -> None:
    bad = "from gameserver import clock\nimport hotpath.rules\nfrom persistence.records import PlayerRow\n"
    assert foreign_loadtest_imports(bad) == ["gameserver.clock", "hotpath.rules", "persistence.records"]
    assert foreign_loadtest_imports("from gameserver.wire import codec\nfrom hotpath import tap_codec\n") == []


def patches_the_process(text: str) -> bool:
    return any(name.split(".")[0] in {"locust", "gevent"} for name in imported(text))


def test_only_the_locustfile_patches_its_process(tracked: list[PurePosixPath]) -> None:
    found = [str(path) for path, text in sources(tracked, ".py") if patches_the_process(text)]
    assert found == ["loadtest/locustfile.py"]


# ---- names, places, sizes


def test_nothing_else_at_the_top(tracked: list[PurePosixPath]) -> None:
    assert {path.parts[0] for path in tracked} - TOP_LEVEL == set()


def vague_names(paths: list[PurePosixPath]) -> list[str]:
    """Paths with a part that says nothing about what it holds."""
    vague = re.compile(r"_*(utils?|helpers?|common|misc)(_\w+)?|\w+_(utils?|helpers?|common|misc)")
    return [str(path) for path in paths if any(vague.fullmatch(part.split(".")[0]) for part in path.parts)]


def test_every_name_says_what_it_holds(tracked: list[PurePosixPath]) -> None:
    assert vague_names([path for path in tracked if not str(path).startswith(VENDORED)]) == []


def test_a_vague_name_is_found() -> None:
    bad = ["gameserver/utils.py", "hotpath/_common.pxd", "tests/helpers/x.py", "http_admin/string_utils.py"]
    assert vague_names([PurePosixPath(name) for name in [*bad, "gameserver/commons_board.py"]]) == bad


def too_long(path: str, text: str) -> bool:
    # A test file mirrors its module and is as long as the cases it lists.
    limit = 2 * MAX_LINES if path.startswith("tests/") else MAX_LINES
    return len(text.splitlines()) > limit and path not in LONGER


def test_modules_are_short(tracked: list[PurePosixPath]) -> None:
    texts = {str(path): text for path, text in sources(tracked, ".py", ".pyx", ".pxd")}
    assert [path for path, text in texts.items() if too_long(path, text)] == []
    assert LONGER.keys() <= texts.keys()


def test_a_long_module_is_found() -> None:
    assert too_long("gameserver/x.py", "x = 1\n" * 401)
    assert not too_long("gameserver/x.py", "x = 1\n" * 400)
    assert too_long("tests/unit/test_x.py", "x = 1\n" * 801)


def test_no_large_files(tracked: list[PurePosixPath]) -> None:
    sizes = {str(path): (ROOT / path).stat().st_size for path in tracked if not str(path).startswith(VENDORED)}
    assert max(sizes.values()) <= MAX_BYTES, max(sizes, key=sizes.__getitem__)


# ---- the layer map


def layer_map(text: str) -> list[list[str]]:
    """The rows of the map in `gameserver/__init__.py`, top to bottom."""
    rows = re.findall(r"^ {4}(\w+(?: *[,|] *\w+)*)", text, re.MULTILINE)
    return [re.split(r" *[,|] *", row) for row in rows]


def contract_layers(contracts: list[dict[str, Any]], identity: str) -> list[list[str]]:
    """The layers of a contract, top to bottom; those that do not exist yet are left out."""
    (contract,) = (contract for contract in contracts if contract["id"] == identity)
    rows = ([name.strip() for name in row.split("|")] for row in contract["layers"])
    return [[name.removeprefix("gameserver.") for name in row if name[0] != "(" or _exists(name)] for row in rows]


def _exists(optional: str) -> bool:
    module = ROOT / "gameserver" / optional.strip("()")
    return module.is_dir() or module.with_suffix(".py").is_file()


def rank_of(rows: list[list[str]]) -> dict[str, int]:
    return {name: rank for rank, row in enumerate(rows) for name in row}


def contradictions(drawn: list[list[str]], enforced: list[list[str]]) -> list[str]:
    """Names that only one of two layer lists knows, and neighbours that the other has the other way round."""
    enforced_rank = rank_of(enforced)
    found = sorted(rank_of(drawn).keys() ^ enforced_rank.keys())
    for upper, lower in pairwise(drawn):
        found += [
            f"{low} is not below {high}"
            for high in upper
            for low in lower
            if enforced_rank.get(low, len(enforced)) <= enforced_rank.get(high, -1)
        ]
    return found


def test_the_layer_map_is_what_the_contract_enforces(contracts: list[dict[str, Any]]) -> None:
    enforced = [row for row in contract_layers(contracts, "layers-roots") if row != ["__main__"]]
    assert contradictions(layer_map(gameserver.__doc__ or ""), enforced) == []


def test_both_layer_contracts_have_the_same_order(contracts: list[dict[str, Any]]) -> None:
    outside = {"http_admin", "persistence", "hotpath"}
    roots = [[name for name in row if name not in outside] for row in contract_layers(contracts, "layers-roots")]
    inside = contract_layers(contracts, "layers-gameserver")
    assert [row for row in roots if row] == [row for row in inside if row]


def test_a_wrong_layer_map_is_found() -> None:
    drawn = layer_map("Layers:\n\n    cli, main       composition\n    edge  | http_admin   doors\n    wire\n\nEnd.\n")
    assert drawn == [["cli", "main"], ["edge", "http_admin"], ["wire"]]
    good = [["cli"], ["main"], ["edge", "http_admin"], ["wire"]]
    assert contradictions(drawn, good) == []
    assert contradictions(drawn, [*good, ["errors"]]) == ["errors"]
    assert contradictions(drawn, [["cli"], ["main"], ["wire"], ["edge", "http_admin"]]) == [
        "wire is not below edge",
        "wire is not below http_admin",
    ]


# ---- hotpath


FACADES = sorted(path.stem for path in (ROOT / "hotpath").glob("[!_]*.py"))
#: What these have to do is written in an RFC, with another library as the oracle, or is the kernel's to say.
WITHOUT_TWIN = {"connection", "frame_codec", "gateway", "websocket"}
TWINNED = [name for name in FACADES if name not in WITHOUT_TWIN]


def test_every_extension_has_a_facade_and_a_readable_twin() -> None:
    assert TWINNED
    assert sorted(path.stem for path in (ROOT / "hotpath").glob("_*_c.pyx")) == [f"_{name}_c" for name in FACADES]
    parts = [f"_{name}_c{suffix}" for name in FACADES for suffix in (".pxd", ".pyi")]
    parts += [f"_{name}_py.py" for name in TWINNED]
    assert [part for part in parts if not (ROOT / "hotpath" / part).is_file()] == []


@pytest.mark.parametrize("name", FACADES)
def test_the_facade_exposes_the_compiled_twin(name: str) -> None:
    facade, compiled = importlib.import_module(f"hotpath.{name}"), importlib.import_module(f"hotpath._{name}_c")
    assert str(compiled.__file__).endswith(tuple(EXTENSION_SUFFIXES))
    assert facade.__all__
    assert [export for export in facade.__all__ if getattr(facade, export) is not getattr(compiled, export)] == []


@pytest.mark.parametrize("name", TWINNED)
def test_the_twins_have_the_same_surface(name: str) -> None:
    facade, readable = importlib.import_module(f"hotpath.{name}"), importlib.import_module(f"hotpath._{name}_py")
    assert [export for export in facade.__all__ if not hasattr(readable, export)] == []


def test_the_readable_twins_are_never_loaded() -> None:
    program = f"import sys, {', '.join(f'hotpath.{name}' for name in FACADES)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = done.stdout.split()
    assert {f"hotpath._{name}_c" for name in FACADES} <= set(loaded)
    assert [name for name in loaded if re.fullmatch(r"hotpath\._\w+_py", name)] == []


# ---- clocks


def wall_clock_reads(text: str) -> list[str]:
    """Places that look at the wall clock past the injected one."""
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(value=ast.Name(id="time"), attr="time" | "time_ns" as name):
                found.append(f"{node.lineno}: time.{name}")
            case ast.Attribute(
                value=ast.Name(id="datetime" | "date") | ast.Attribute(attr="datetime" | "date"),
                attr="now" | "utcnow" | "today" as name,
            ):
                found.append(f"{node.lineno}: {name}")
            case ast.ImportFrom(module="time", names=names):
                taken = {alias.name for alias in names} & {"time", "time_ns"}
                found.extend(f"{node.lineno}: from time import {name}" for name in sorted(taken))
    return found


def test_one_wall_clock(tracked: list[PurePosixPath]) -> None:
    reads: Callable[[str], list[str]] = wall_clock_reads
    texts = {str(path): text for path, text in sources(tracked, ".py") if path.parts[0] in PACKAGES}
    assert {path: found for path, text in texts.items() if path != CLOCK and (found := reads(text))} == {}
    assert reads(texts[CLOCK]) != []


@pytest.mark.parametrize(
    "line",
    [
        "import time; x = time.time()",
        "import time; read = time.time_ns",
        "from time import time",
        "import datetime; datetime.datetime.now()",
        "from datetime import date; date.today()",
    ],
)
def test_a_wall_clock_read_is_found(line: str) -> None:
    assert wall_clock_reads(line) != []
    assert wall_clock_reads("import time; time.perf_counter(); clock.now_ms()") == []
