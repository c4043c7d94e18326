"""Feed the frame parser and the tap codec what a fuzzer comes up with: `python -m tests.fuzz.run SECONDS`.

The fuzzer is atheris (libFuzzer). It sees which way Python code takes, here the readable twin and the properties, and
turns its inputs towards new ways. Where it is not installed, or is blind (gcc's AddressSanitizer takes its eyes), the
inputs are those it found earlier, with random changes. What broke a property stays in the folder of findings, which is
`build/fuzz` unless another is named; `--again FILE` shows it again.
"""

import argparse
import importlib
import random
import sys
import time
from pathlib import Path
from typing import Any

MAX_BYTES = 4_096
MAX_CHANGES = 4


def main() -> int:
    """Run for as long as asked; the exit status is 0 if every property held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("seconds", type=float, nargs="?", default=30.0)
    parser.add_argument("--blind", action="store_true", help="random changes to what was found earlier")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--again", type=Path, help="one input, by its file")
    arguments = parser.parse_args()
    if arguments.again is not None:
        from tests.fuzz.properties import check

        check(arguments.again.read_bytes())
        return 0
    (arguments.findings / "corpus").mkdir(parents=True, exist_ok=True)
    if not arguments.blind:
        try:
            atheris = importlib.import_module("atheris")  # there is none for every platform, and it has no annotations
        except ImportError:
            say("atheris is not installed here: random inputs instead")
        else:
            return guided(atheris, arguments.seconds, arguments.findings)
    return blind(arguments.seconds, arguments.findings)


def guided(atheris: Any, seconds: float, findings: Path) -> int:
    """By atheris; it leaves the process."""
    with atheris.instrument_imports(include=["hotpath", "tests"], enable_loader_override=False):
        from tests.fuzz.properties import check
    options = [
        f"-max_total_time={seconds:.0f}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={findings}/",
        "-timeout=20",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(findings / "corpus")], check)
    atheris.Fuzz()
    return 1


def blind(seconds: float, findings: Path) -> int:
    """What was found earlier as it is, then with random changes."""
    from tests.fuzz.properties import check

    found = [path.read_bytes() for path in sorted((findings / "corpus").iterdir())] or [b""]
    seed = random.randrange(2**32)
    source = random.Random(seed)
    until_s = time.monotonic() + seconds
    runs = 0
    while runs < len(found) or time.monotonic() < until_s:
        data = found[runs] if runs < len(found) else changed(source.choice(found), source)
        try:
            check(data)
        except BaseException:
            (findings / "crash-blind").write_bytes(data)
            raise
        runs += 1
    say(f"{runs} inputs, {len(found)} of them found earlier, the others from seed {seed}: every property held")
    return 0


def changed(data: bytes, source: random.Random) -> bytes:
    """Some bytes of it put in, taken out or replaced."""
    changing = bytearray(data)
    for _ in range(source.randint(1, MAX_CHANGES)):
        at, size = source.randint(0, len(changing)), source.choice((0, 1, 1, 2, 8, 40))
        changing[at : at + source.choice((0, size))] = source.randbytes(source.choice((0, size)))
    return bytes(changing[:MAX_BYTES])


def say(text: str) -> None:
    """Tell whoever started it."""
    print(text, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    sys.exit(main())
