"""The two twins have one surface, the façade shows the C one, and the Cython keeps the house rules."""

import ast
import gc
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from hotpath.player_state import Cursor, PlayerState, World
from hotpath.tap_signals import TapSignals

PACKAGE = Path(__file__).parents[3] / "hotpath"
ALL_MODULES = sorted(path.stem for path in PACKAGE.glob("[!_]*.py"))
#: What these have to do is written in an RFC, with another library as the oracle, or is the kernel's to say.
MODULES = [module for module in ALL_MODULES if module not in ("connection", "frame_codec", "gateway", "websocket")]
SOURCES = sorted([*PACKAGE.glob("*.pyx"), *PACKAGE.glob("*.pxd")])


def signatures(source: Path) -> dict[str, str]:
    """Name → parameters and result of every public function and method, as written."""
    found = {}
    for outer in ast.parse(source.read_text()).body:
        if isinstance(outer, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in outer.bases):
            continue  # what callers have to bring, which is there for type checkers only
        members = (
            [(f"{outer.name}.", inner) for inner in outer.body] if isinstance(outer, ast.ClassDef) else [("", outer)]
        )
        for prefix, member in members:
            if not isinstance(member, ast.FunctionDef) or (member.name[0] == "_" != member.name[1]):
                continue
            if any(isinstance(decorator, ast.Attribute) for decorator in member.decorator_list):
                continue  # a property's setter; a stub writes the property as an attribute
            result = ast.unparse(member.returns).strip("'") if member.returns else ""
            arguments = re.sub(r" = \w+| = [\d_]+", " = …", re.sub(r"=(\w+)", r" = \1", ast.unparse(member.args)))
            found[prefix + member.name] = f"({arguments}) -> {result}".replace("'", "")
    return found


@pytest.mark.parametrize("module", MODULES)
def test_the_facade_exposes_the_c_twin(module: str) -> None:
    facade, compiled = import_module(f"hotpath.{module}"), import_module(f"hotpath._{module}_c")
    assert compiled.__file__ is not None
    assert compiled.__file__.endswith(tuple(EXTENSION_SUFFIXES))
    for name in facade.__all__:
        assert getattr(facade, name) is getattr(compiled, name), name


@pytest.mark.parametrize("module", MODULES)
def test_both_twins_have_every_name_of_the_facade_and_the_same_constants(module: str) -> None:
    facade, readable = import_module(f"hotpath.{module}"), import_module(f"hotpath._{module}_py")
    for name in facade.__all__:
        ours, theirs = getattr(facade, name), getattr(readable, name)
        if not callable(ours):
            assert ours == theirs, name
        elif isinstance(ours, type):
            assert {member for member in dir(ours) if member[0] != "_"} == {
                member for member in dir(theirs) if member[0] != "_"
            }
    constants = {name for name in dir(readable) if name.isupper() and name[0] != "_"}
    imported = set() if module == "rules" else set(import_module("hotpath.rules").__all__)
    assert constants - imported == {name for name in facade.__all__ if name.isupper()}


@pytest.mark.parametrize("module", MODULES)
def test_the_stub_says_what_the_readable_twin_says(module: str) -> None:
    stub, readable = signatures(PACKAGE / f"_{module}_c.pyi"), signatures(PACKAGE / f"_{module}_py.py")
    # A field that the readable twin keeps in __slots__, or sets through a property, is a property or attribute there.
    for name in stub.keys() & readable.keys():
        assert stub[name] == readable[name], name
    functions = {name for name, signature in readable.items() if not signature.startswith("(self) ->")}
    assert functions
    assert functions <= stub.keys()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_a_facade_an_extension_a_stub_and_a_readable_twin(module: str) -> None:
    for name in (f"{module}.py", f"_{module}_c.pyx", f"_{module}_c.pxd", f"_{module}_c.pyi", f"_{module}_py.py"):
        assert (PACKAGE / name).is_file(), name
    assert {source.stem for source in PACKAGE.glob("*.pyx")} == {f"_{module}_c" for module in ALL_MODULES}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_cython_keeps_the_house_rules(source: Path) -> None:
    lines = source.read_text().splitlines()
    assert len(lines) <= 400
    for number, line in enumerate(lines, 1):
        where = f"{source.name}:{number}"
        assert not re.match(r"\s*(DEF|IF)\s", line), f"{where}: deprecated; write a cpdef enum"
        assert not re.match(r"#\s*cython:", line), f"{where}: a directive for a whole file; give it to one function"
        assert not re.match(r"\s*include\s", line), f"{where}: textual include; cimport instead"
        assert not re.search(r"boundscheck|wraparound|overflowcheck", line), f"{where}: checks are the build's choice"
        if "@cython.cdivision" in line:
            assert re.search(r"  # \S", line), f"{where}: say why no divisor is 0 and no operand negative"


def test_no_check_is_turned_off_for_the_whole_build() -> None:
    build = (PACKAGE.parent / "setup.py").read_text()
    assert not re.search(r"(boundscheck|wraparound|cdivision|overflowcheck)\W+(False|0)|cdivision", build)


def test_a_player_is_no_work_for_the_garbage_collector() -> None:
    objects = [Cursor(), World(), PlayerState.__new__(PlayerState), TapSignals()]
    assert not any(gc.is_tracked(thing) or hasattr(thing, "__dict__") for thing in objects)


def test_without_the_extensions_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "hotpath", ignore=lambda _, names: [n for n in names if not n.endswith(".py")])
    # -S: an editable installation would lend its own extensions to the copy.
    command = [sys.executable, "-S", "-c", "import hotpath.rules"]
    outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-1] == "ImportError: the C extensions are not built: run `make setup`"
