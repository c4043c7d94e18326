"""`python -m loadtest.pinned CORE COMMAND …`: become a command that runs on one core only; the process id stays."""

import os
import sys
from collections.abc import Sequence
from typing import Never

USAGE_STATUS = 2


def main(words: Sequence[str]) -> int:
    """Replace this process.

    Args:
        words: the core's number, then the command.

    Returns:
        Only when it cannot: 2.
    """
    if len(words) < 2 or not words[0].isdecimal():
        print("usage: python -m loadtest.pinned CORE COMMAND …", file=sys.stderr)  # noqa: T201 - a command's answer
        return USAGE_STATUS
    return become(int(words[0]), words[1:])


def become(core: int, command: Sequence[str]) -> Never:
    """Run a command on one core, in this process."""
    os.sched_setaffinity(0, {core})
    os.execvp(command[0], list(command))  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
